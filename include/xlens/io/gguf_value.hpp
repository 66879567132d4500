// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/gguf_types.hpp>
#include <xlens/storage/byte_reader.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace xlens {

/// Most elements of a metadata array, the limit that llama.cpp sets.
inline constexpr std::uint64_t max_gguf_array = std::uint64_t{1} << 30U;

/// A metadata value where it lies in the file: checked, not copied.
struct gguf_value {
    gguf_type type{};  // of the value, or of an array's elements
    bool is_array = false;
    std::uint64_t count = 1;           // elements of an array
    std::span<const std::byte> bytes;  // what follows the type (and the count)
};

/// "uint32", "array of string".
inline std::string describe_type(const gguf_value& value) {
    return fmt::format("{}{}", value.is_array ? "array of " : "", gguf_type_name(value.type));
}

/// fn(T{}) for the arithmetic type T that `type` stores. Strings, arrays and booleans have none:
/// they give `otherwise`.
template <class Result, class Fn>
Result visit_gguf_number(gguf_type type, Result otherwise, Fn&& fn) {
    switch (type) {
        case gguf_type::uint8: return fn(std::uint8_t{});
        case gguf_type::int8: return fn(std::int8_t{});
        case gguf_type::uint16: return fn(std::uint16_t{});
        case gguf_type::int16: return fn(std::int16_t{});
        case gguf_type::uint32: return fn(std::uint32_t{});
        case gguf_type::int32: return fn(std::int32_t{});
        case gguf_type::float32: return fn(float{});
        case gguf_type::uint64: return fn(std::uint64_t{});
        case gguf_type::int64: return fn(std::int64_t{});
        case gguf_type::float64: return fn(double{});
        default: return otherwise;
    }
}

/// The integer at `from` as an Integer; nothing where it does not fit or `type` is no integer type.
template <class Integer>
std::optional<Integer> load_gguf_integer(gguf_type type, const std::byte* from) {
    using result = std::optional<Integer>;
    return visit_gguf_number(type, result{}, [from]<class T>(T) -> result {
        if constexpr (std::is_integral_v<T>) {
            const T value = load_number<T>(from);
            if (std::in_range<Integer>(value)) { return static_cast<Integer>(value); }
        }
        return std::nullopt;
    });
}

/// The integer or floating-point number at `from`; nothing where `type` is neither.
inline std::optional<double> load_gguf_number(gguf_type type, const std::byte* from) {
    using result = std::optional<double>;
    return visit_gguf_number(type, result{}, [from]<class T>(T) -> result {
        return static_cast<double>(load_number<T>(from));
    });
}

/// Type and value, for messages: "int32 -5", "string", "array of float32".
inline std::string describe(const gguf_value& value) {
    if (value.is_array) { return describe_type(value); }
    return visit_gguf_number(value.type, describe_type(value), [&]<class T>(T) {
        return fmt::format("{} {}", describe_type(value), load_number<T>(value.bytes.data()));
    });
}

/// A name of 1 to `longest` bytes without NUL, which code in C would take for its end.
inline std::string read_gguf_name(byte_reader& in, std::string_view field, std::size_t longest) {
    const auto name = in.string(field);
    if (name.empty() || name.size() > longest) {
        fail("{}: {}: expected 1 to {} bytes, got {}", in.file(), field, longest, name.size());
    }
    if (name.find('\0') != std::string_view::npos) {
        fail("{}: {}: expected no NUL byte, got '{}'", in.file(), field, printable(name));
    }
    return std::string(name);
}

inline gguf_type read_gguf_type(byte_reader& in, std::string_view field) {
    const auto id = in.number<std::uint32_t>(field);
    if (id >= gguf_type_count) {
        fail("{}: type of {}: expected a number below {}, got {}", in.file(), field,
             gguf_type_count, id);
    }
    return static_cast<gguf_type>(id);
}

/// Steps over `count` values of one type and returns their bytes.
inline std::span<const std::byte> take_gguf_values(byte_reader& in, gguf_type type,
                                                   std::uint64_t count, std::string_view field) {
    if (type != gguf_type::string) {
        return in.take(count * gguf_type_bytes(type), field);  // count <= 2^30
    }
    byte_reader ahead = in;
    std::size_t size = 0;
    for (std::uint64_t i = 0; i < count; ++i) { size += 8 + ahead.string(field).size(); }
    return in.take(size, field);
}

/// Reads the type and the value of a key; `field` names it in messages.
inline gguf_value read_gguf_value(byte_reader& in, std::string_view field) {
    gguf_value value;
    value.type = read_gguf_type(in, field);
    if (value.type == gguf_type::array) {
        value.is_array = true;
        value.type = read_gguf_type(in, field);
        if (value.type == gguf_type::array) {
            fail("{}: {}: expected an array of numbers or strings, got an array of arrays",
                 in.file(), field);
        }
        value.count = in.number<std::uint64_t>(field);
        if (value.count > max_gguf_array) {
            fail("{}: {}: expected at most {} elements, got {}", in.file(), field, max_gguf_array,
                 value.count);
        }
    }
    value.bytes = take_gguf_values(in, value.type, value.count, field);
    const auto is_bool = [](std::byte b) { return std::to_integer<unsigned>(b) <= 1; };
    if (value.type == gguf_type::boolean && !std::ranges::all_of(value.bytes, is_bool)) {
        fail("{}: {}: expected bool 0 or 1, got {}", in.file(), field,
             std::to_integer<unsigned>(*std::ranges::find_if_not(value.bytes, is_bool)));
    }
    return value;
}

}  // namespace xlens
