// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/io/gguf_parse.hpp>
#include <xlens/io/gguf_value.hpp>
#include <xlens/io/tensor_names.hpp>
#include <xlens/storage/guarded.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace xlens {

/// A GGUF file (v2 or v3, little endian), mapped and checked when it is opened. Tensors point into
/// the mapping and live as long as this object, which may be moved.
///
/// A file in parts ("x-00001-of-00003.gguf") is opened by the path of any of them; the others must
/// lie beside it. Its keys are the first part's.
///
/// The getters fail where a key is missing or has another type, naming the file, the key and both
/// types. Those with a fallback accept a missing key, never a wrong type.
/// Cost: opening is O(metadata); tensor data are not read. Getters of arrays copy them.
class gguf_file {
public:
    static constexpr tensor_names names = tensor_names::gguf;

    explicit gguf_file(const std::filesystem::path& path);

    /// The path as it was given.
    [[nodiscard]] const std::string& name() const { return m_name; }
    /// The whole file; of one in parts the first.
    [[nodiscard]] std::span<const std::byte> bytes() const { return m_files.front().bytes(); }

    [[nodiscard]] const tensor_map& tensors() const { return m_contents.tensors; }
    /// The tensor of that name, or null.
    [[nodiscard]] const stored_tensor* find(std::string_view tensor) const {
        const auto found = m_contents.tensors.find(tensor);
        return found == m_contents.tensors.end() ? nullptr : &found->second;
    }

    [[nodiscard]] bool has(std::string_view key) const { return m_contents.metadata.contains(key); }

    [[nodiscard]] std::vector<std::string> keys() const {
        std::vector<std::string> out;
        for (const auto& [key, value] : m_contents.metadata) { out.push_back(key); }
        return out;
    }

    [[nodiscard]] std::string string(std::string_view key) const {
        const gguf_value& value = scalar(key, gguf_type::string, "a string");
        byte_reader in(name(), value.bytes);
        return std::string(in.string(key));
    }
    [[nodiscard]] std::string string(std::string_view key, std::string_view fallback) const {
        return has(key) ? string(key) : std::string(fallback);
    }

    /// An integer of any stored type, at least 0.
    [[nodiscard]] std::uint64_t unsigned_integer(std::string_view key) const {
        constexpr std::string_view expected = "an integer of at least 0";
        const gguf_value& value = get(key, expected);
        std::optional<std::uint64_t> number;
        if (!value.is_array) {
            number = load_gguf_integer<std::uint64_t>(value.type, value.bytes.data());
        }
        if (!number) { wrong_type(key, expected, value); }
        return *number;
    }
    [[nodiscard]] std::uint64_t unsigned_integer(std::string_view key,
                                                 std::uint64_t fallback) const {
        return has(key) ? unsigned_integer(key) : fallback;
    }

    /// A finite number of any stored type, integers included.
    [[nodiscard]] double number(std::string_view key) const {
        constexpr std::string_view expected = "a finite number";
        const gguf_value& value = get(key, expected);
        std::optional<double> number;
        if (!value.is_array) { number = load_gguf_number(value.type, value.bytes.data()); }
        if (!number || !std::isfinite(*number)) { wrong_type(key, expected, value); }
        return *number;
    }
    [[nodiscard]] double number(std::string_view key, double fallback) const {
        return has(key) ? number(key) : fallback;
    }

    [[nodiscard]] bool boolean(std::string_view key) const {
        return scalar(key, gguf_type::boolean, "bool").bytes.front() != std::byte{0};
    }
    [[nodiscard]] bool boolean(std::string_view key, bool fallback) const {
        return has(key) ? boolean(key) : fallback;
    }

    [[nodiscard]] bool is_boolean(std::string_view key) const {
        const auto found = m_contents.metadata.find(key);
        return found != m_contents.metadata.end() && !found->second.is_array &&
               found->second.type == gguf_type::boolean;
    }
    [[nodiscard]] bool is_array(std::string_view key) const {
        const auto found = m_contents.metadata.find(key);
        return found != m_contents.metadata.end() && found->second.is_array;
    }
    /// A list of truth values.
    [[nodiscard]] std::vector<bool> booleans(std::string_view key) const {
        constexpr std::string_view expected = "array of bool";
        const gguf_value& value = get(key, expected);
        if (!value.is_array || value.type != gguf_type::boolean) {
            wrong_type(key, expected, value);
        }
        std::vector<bool> out;
        for (const std::byte b : value.bytes) { out.push_back(b != std::byte{0}); }
        return out;
    }

    [[nodiscard]] std::vector<std::string> strings(std::string_view key) const {
        constexpr std::string_view expected = "array of string";
        const gguf_value& value = get(key, expected);
        if (!value.is_array || value.type != gguf_type::string) {
            wrong_type(key, expected, value);
        }
        return guarded(name(), [&] {
            std::vector<std::string> out;
            out.reserve(static_cast<std::size_t>(value.count));
            byte_reader in(name(), value.bytes);
            for (std::uint64_t i = 0; i < value.count; ++i) { out.emplace_back(in.string(key)); }
            return out;
        });
    }
    /// Numbers of any stored type as floats. They may be non-finite.
    [[nodiscard]] std::vector<float> numbers(std::string_view key) const {
        return array<float>(key, "array of numbers", [](gguf_type type, const std::byte* from) {
            const auto number = load_gguf_number(type, from);
            return number ? std::optional(static_cast<float>(*number)) : std::nullopt;
        });
    }
    /// Integers of any stored type; each must fit.
    [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key) const {
        return array<std::int64_t>(key, "array of integers below 2^63",
                                   load_gguf_integer<std::int64_t>);
    }

private:
    [[noreturn]] void wrong_type(std::string_view key, std::string_view expected,
                                 const gguf_value& value) const {
        fail("{}: key '{}': expected {}, got {}", name(), printable(key), expected,
             describe(value));
    }
    const gguf_value& get(std::string_view key, std::string_view expected) const {
        const auto found = m_contents.metadata.find(key);
        if (found == m_contents.metadata.end()) {
            fail("{}: key '{}': expected {}, got no such key", name(), printable(key), expected);
        }
        return found->second;
    }
    const gguf_value& scalar(std::string_view key, gguf_type type,
                             std::string_view expected) const {
        const gguf_value& value = get(key, expected);
        if (value.is_array || value.type != type) { wrong_type(key, expected, value); }
        return value;
    }
    /// load(type, from) for every element; an element that it cannot load fails.
    template <class T, class Load>
    std::vector<T> array(std::string_view key, std::string_view expected, Load&& load) const {
        const gguf_value& value = get(key, expected);
        const std::size_t stride = gguf_type_bytes(value.type);
        if (!value.is_array || stride == 0) { wrong_type(key, expected, value); }
        return guarded(name(), [&] {
            std::vector<T> out;
            out.reserve(static_cast<std::size_t>(value.count));
            for (std::size_t at = 0; at < value.bytes.size(); at += stride) {
                const std::optional<T> number = load(value.type, value.bytes.data() + at);
                if (!number) { wrong_type(key, expected, value); }
                out.push_back(*number);
            }
            return out;
        });
    }

    void read_parts(const std::filesystem::path& path, std::uint64_t parts);

    std::string m_name;
    std::vector<mapped_file> m_files;
    gguf_contents m_contents;
};

#if XLENS_DEFINES(io)
namespace detail {

/// The path of a part, from that of any: "x-00002-of-00003.gguf".
inline std::filesystem::path gguf_part(const std::filesystem::path& any, std::uint64_t part,
                                       std::uint64_t parts) {
    const std::string name = any.filename().string();
    const std::string end = fmt::format("-of-{:05}.gguf", parts);
    constexpr std::size_t digits = 6;  // with the dash before them
    const bool good = name.size() > end.size() + digits && name.ends_with(end) &&
                      name[name.size() - end.size() - digits] == '-';
    if (!good) {
        fail("{}: split.count: a part of {} files, whose name must end in -00001{}",
             printable(any.string(), 1024), parts, end);
    }
    const std::string stem = name.substr(0, name.size() - end.size() - digits);
    std::filesystem::path out = any.parent_path() / fmt::format("{}-{:05}{}", stem, part + 1, end);
    std::error_code ignored;
    if (!std::filesystem::exists(out, ignored)) {
        fail("{}: expected part {} of {} beside it, {}, got no such file",
             printable(any.string(), 1024), part + 1, parts,
             printable(out.filename().string(), 1024));
    }
    return out;
}

}  // namespace detail

XLENS_API void gguf_file::read_parts(const std::filesystem::path& path, std::uint64_t parts) {
    constexpr std::uint64_t most = 65'535;  // llama.cpp counts them in 16 bits
    if (parts > most) { fail("{}: split.count: expected 1 to {}, got {}", m_name, most, parts); }
    m_files.clear();
    for (std::uint64_t i = 0; i < parts; ++i) {
        const mapped_file& file = m_files.emplace_back(detail::gguf_part(path, i, parts));
        gguf_contents part = parse_gguf(file.name(), file.bytes());
        const std::uint64_t count = detail::gguf_split_number(file.name(), part, "split.count");
        const std::uint64_t number = detail::gguf_split_number(file.name(), part, "split.no");
        if (count != parts || number != i) {
            fail("{}: split.no, split.count: expected {} of {}, got {} of {}", file.name(), i,
                 parts, number, count);
        }
        if (i == 0) {
            m_contents = std::move(part);
            continue;
        }
        for (auto& [name, tensor] : part.tensors) {
            const auto [place, is_new] = m_contents.tensors.emplace(name, std::move(tensor));
            if (!is_new) {
                fail("{}: tensor '{}' is also in {}", file.name(), printable(name),
                     place->second.file);
            }
        }
    }
    const char* key = "split.tensors.count";
    const std::uint64_t tensors = detail::gguf_split_number(m_name, m_contents, key);
    if (tensors != m_contents.tensors.size()) {
        fail("{}: {}: expected {}, as many as its parts have, got {}", m_name, key,
             m_contents.tensors.size(), tensors);
    }
}

XLENS_API gguf_file::gguf_file(const std::filesystem::path& path)
    : m_name(printable(path.string(), 1024)) {
    guarded(m_name, [&] {
        const mapped_file& file = m_files.emplace_back(path);
        m_contents = parse_gguf(file.name(), file.bytes());
        const std::uint64_t parts = detail::gguf_parts(m_name, m_contents);
        if (parts > 1) { read_parts(path, parts); }
    });
}
#endif

}  // namespace xlens
