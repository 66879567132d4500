// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/io/torch_pickle.hpp>
#include <xlens/io/zip_archive.hpp>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(io)
#include <xlens/core/checked.hpp>
#include <xlens/core/error.hpp>
#include <xlens/storage/formats.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#endif

namespace xlens {

/// A file of torch.save (torch 1.6 or newer): a ZIP archive of `data.pkl`, which says what there
/// is, and one entry a storage. Opened strictly: see zip_archive and torch_pickle; big-endian ones
/// and those of older torch are refused.
class torch_file {
public:
    explicit torch_file(const std::filesystem::path& path);

    [[nodiscard]] const std::string& name() const { return m_zip.name(); }
    /// What was saved.
    [[nodiscard]] const pickle_value& root() const { return m_pickle->root(); }

    /// Sizes of a tensor. `field` names it in the error if `v` is none.
    [[nodiscard]] std::vector<std::size_t> shape(const pickle_value& v,
                                                 std::string_view field) const;
    /// The elements of a tensor in C order as f32, whatever its dtype and strides. Throws
    /// xlens::error naming `field` for another shape, and for a storage that is not there, damaged
    /// or too short, before memory is taken for it.
    [[nodiscard]] std::vector<float> read(const pickle_value& v,
                                          std::span<const std::size_t> expected,
                                          std::string_view field) const;

private:
    zip_archive m_zip;
    std::string m_prefix;  // of all entries: "archive/"
    std::unique_ptr<torch_pickle> m_pickle;
};

#if XLENS_DEFINES(io)

namespace detail {

/// A dtype of torch by its storage's class.
struct torch_dtype {
    std::string_view storage;
    std::size_t bytes;
    std::optional<format_id> format;  ///< none: f64
};
inline constexpr std::array<torch_dtype, 4> torch_dtypes{{
    {"FloatStorage", 4, format_id::f32},
    {"HalfStorage", 2, format_id::f16},
    {"BFloat16Storage", 2, format_id::bf16},
    {"DoubleStorage", 8, std::nullopt},
}};

inline void decode_torch(const torch_dtype& type, const std::byte* from, std::span<float> out) {
    if (type.format) { return row_format_of(*type.format).decode(from, out); }
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = static_cast<float>(load_number<double>(from + 8 * i));
    }
}

/// The storage's bytes, which must be as many as it says that it has.
inline std::pair<torch_dtype, std::span<const std::byte>> torch_storage(const zip_archive& zip,
                                                                        const std::string& prefix,
                                                                        const pickle_value& s,
                                                                        std::string_view field) {
    for (const torch_dtype& type : torch_dtypes) {
        if (type.storage != s.text) { continue; }
        const auto bytes = zip.read(prefix + "data/" + s.items[0]->text);
        const auto count = static_cast<std::uint64_t>(s.items[1]->integer);
        if (checked_multiply<std::uint64_t>(count, type.bytes) != bytes.size()) {
            fail("{}: {}: expected {} elements of {} bytes, got {} bytes", zip.name(), field, count,
                 type.bytes, bytes.size());
        }
        return {type, bytes};
    }
    fail("{}: {}: {} is not supported", zip.name(), field, printable(s.text));
}

}  // namespace detail

XLENS_API torch_file::torch_file(const std::filesystem::path& path) : m_zip(path) {
    constexpr std::string_view pickle = "data.pkl";
    for (const auto& [entry, found] : m_zip.entries()) {
        if (!entry.ends_with(pickle) || entry.find('/') != entry.size() - pickle.size() - 1) {
            continue;
        }
        if (!m_prefix.empty()) { fail("{}: two entries named data.pkl", name()); }
        m_prefix = entry.substr(0, entry.size() - pickle.size());
    }
    if (m_prefix.empty()) { fail("{}: expected a file of torch.save, got no data.pkl", name()); }
    if (m_zip.entries().contains(m_prefix + "byteorder")) {
        const auto bytes = m_zip.read(m_prefix + "byteorder");
        const std::string_view order(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (order != "little") {
            fail("{}: byteorder: expected little, got {}", name(), printable(order));
        }
    }
    const std::string entry = m_prefix + std::string(pickle);
    constexpr std::size_t most = std::size_t{1} << 24U;
    const auto bytes = m_zip.read(entry);
    if (bytes.size() > most) {
        fail("{}: data.pkl: expected at most {} bytes, got {}", name(), most, bytes.size());
    }
    m_pickle = std::make_unique<torch_pickle>(name(), bytes);
}

XLENS_API std::vector<std::size_t> torch_file::shape(const pickle_value& v,
                                                     std::string_view field) const {
    if (v.is != pickle_value::kind::tensor) {
        fail("{}: {}: expected a tensor, got {}", name(), field, v.kind_name());
    }
    std::vector<std::size_t> out;
    for (const pickle_value* size : v.items[2]->items) {
        out.push_back(static_cast<std::size_t>(size->integer));
    }
    return out;
}

XLENS_API std::vector<float> torch_file::read(const pickle_value& v,
                                              std::span<const std::size_t> expected,
                                              std::string_view field) const {
    const std::vector<std::size_t> sizes = shape(v, field);
    if (!std::ranges::equal(sizes, expected)) {
        fail("{}: {}: expected ({}), got ({})", name(), field, joined(expected, ", "),
             joined(sizes, ", "));
    }
    const auto [type, bytes] = detail::torch_storage(m_zip, m_prefix, *v.items[0], field);
    const std::size_t stored = bytes.size() / type.bytes;
    // Every element lies in the storage, and none is there twice: an expanded tensor of few numbers
    // could be of any size.
    std::vector<std::uint64_t> strides;
    std::uint64_t count = 1;
    const auto first = static_cast<std::uint64_t>(v.items[1]->integer);
    std::optional<std::uint64_t> last = first;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] == 0) { return {}; }
        strides.push_back(static_cast<std::uint64_t>(v.items[3]->items[i]->integer));
        const auto reach = checked_multiply<std::uint64_t>(strides.back(), sizes[i] - 1);
        last = last && reach ? checked_add<std::uint64_t>(*last, *reach) : std::nullopt;
        const auto product = checked_multiply<std::uint64_t>(count, sizes[i]);
        count = product.value_or(std::numeric_limits<std::uint64_t>::max());
    }
    if (!last || *last >= stored || count > stored) {
        fail("{}: {}: ({}) reaches beyond its storage of {} elements", name(), field,
             joined(sizes, ", "), stored);
    }
    std::vector<float> all(static_cast<std::size_t>(count));
    const std::span<float> out(all);
    const std::size_t width = sizes.empty() ? 1 : sizes.back();
    const bool dense = width == 1 || strides.back() == 1;
    std::vector<std::size_t> at(sizes.size(), 0);
    for (std::size_t done = 0; done < out.size(); done += width) {
        std::uint64_t place = first;
        for (std::size_t i = 0; i + 1 < sizes.size(); ++i) { place += at[i] * strides[i]; }
        const auto row = out.subspan(done, width);
        if (dense) {
            detail::decode_torch(type, &bytes[place * type.bytes], row);
        } else {
            for (std::size_t i = 0; i < width; ++i) {
                detail::decode_torch(type, &bytes[(place + i * strides.back()) * type.bytes],
                                     row.subspan(i, 1));
            }
        }
        for (std::size_t i = sizes.size() - (sizes.empty() ? 0 : 1); i-- > 0;) {
            if (++at[i] < sizes[i]) { break; }
            at[i] = 0;
        }
    }
    return all;
}

#endif

}  // namespace xlens
