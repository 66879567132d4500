// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/trace/capture_sites.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/finite.hpp>
#include <xlens/storage/to_half.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>
#endif

namespace xlens {

/// Types of the numbers in a capture's files.
enum class array_type { f32, f16, i32 };

/// What they are called, and the bytes of a number.
struct array_type_facts {
    array_type type;
    std::string_view safetensors;
    std::string_view numpy;
    std::size_t bytes;
};
inline constexpr std::array array_types{
    array_type_facts{array_type::f32, "F32", "<f4", 4},
    array_type_facts{array_type::f16, "F16", "<f2", 2},
    array_type_facts{array_type::i32, "I32", "<i4", 4},
};
inline const array_type_facts& facts_of(array_type t) {
    return array_types[static_cast<std::size_t>(t)];
}

/// An array of a capture as its files have it.
struct capture_layout {
    std::string name;
    array_type type = array_type::f32;
    std::vector<std::size_t> shape;         ///< of a row
    std::string site = {};                  ///< of a captured one
    std::optional<std::size_t> layer = {};  ///< of one that is of a layer
    std::string computed_by = {};           ///< captured_array::computed_by

    [[nodiscard]] std::size_t row_bytes() const;
    bool operator==(const capture_layout&) const = default;
};

/// The arrays of every capture that say what a row is of: the number of the sequence, the position
/// in it, and the token there. Then the captured ones.
inline constexpr std::array<std::string_view, 3> index_arrays{"sequence", "position", "token"};
XLENS_API std::vector<capture_layout> capture_layouts(std::span<const captured_array> arrays,
                                                      array_type type);

/// A number that cannot be kept as it is.
struct unfit_number {
    std::size_t row = 0;
    std::size_t column = 0;
    float value = 0.0F;
};

/// Rows of all arrays of a capture, up to as many as a file holds. Memory is taken as rows come.
class capture_rows {
public:
    capture_rows(std::vector<capture_layout> layouts, std::size_t capacity);

    [[nodiscard]] const std::vector<capture_layout>& layouts() const { return m_layouts; }
    [[nodiscard]] std::size_t capacity() const { return m_capacity; }
    [[nodiscard]] std::size_t count() const { return m_count; }
    [[nodiscard]] std::size_t room() const { return m_capacity - m_count; }

    /// Rows [count, count + n), which are then written by the functions below, belong to it.
    void add(std::size_t n) { m_count += n; }
    void clear() { m_count = 0; }
    /// What row r is of.
    void put_index(std::size_t r, std::size_t sequence, std::size_t position, token_id token);
    /// Row first + i of a captured array becomes x[from[i]]. Returns a number that is none, or that
    /// f16 has none near, if there is one; the rows are then not to be used.
    std::optional<unfit_number> put(std::size_t array, std::size_t first, rows<const float> x,
                                    std::span<const std::size_t> from);
    /// The bytes of `n` rows of an array from row `first` on.
    [[nodiscard]] std::span<std::byte> bytes(std::size_t array, std::size_t first, std::size_t n);

private:
    std::vector<capture_layout> m_layouts;
    std::size_t m_capacity;
    std::size_t m_count = 0;
    std::vector<std::unique_ptr<std::byte[]>> m_bytes;  // an array each
};

#if XLENS_DEFINES(trace)

XLENS_API std::size_t capture_layout::row_bytes() const {
    return std::accumulate(shape.begin(), shape.end(), facts_of(type).bytes, std::multiplies<>());
}

XLENS_API std::vector<capture_layout> capture_layouts(std::span<const captured_array> arrays,
                                                      array_type type) {
    std::vector<capture_layout> out;
    for (const std::string_view name : index_arrays) {
        out.push_back({std::string(name), array_type::i32, {}});
    }
    for (const captured_array& a : arrays) {
        out.push_back({a.name, type, a.shape, std::string(a.site->name),
                       a.site->per_layer ? std::optional(a.layer) : std::nullopt, a.computed_by});
    }
    return out;
}

XLENS_API capture_rows::capture_rows(std::vector<capture_layout> layouts, std::size_t capacity)
    : m_layouts(std::move(layouts)), m_capacity(capacity) {
    for (const capture_layout& l : m_layouts) {
        // Not written to: the system gives the pages when rows come.
        m_bytes.push_back(std::make_unique_for_overwrite<std::byte[]>(l.row_bytes() * capacity));
    }
}

XLENS_API std::span<std::byte> capture_rows::bytes(std::size_t array, std::size_t first,
                                                   std::size_t n) {
    const std::size_t row = m_layouts[array].row_bytes();
    return {m_bytes[array].get() + first * row, n * row};
}

XLENS_API void capture_rows::put_index(std::size_t r, std::size_t sequence, std::size_t position,
                                       token_id token) {
    if (sequence > INT32_MAX || position > INT32_MAX) {
        fail("capture: sequence {}, position {}: expected up to {}", sequence, position, INT32_MAX);
    }
    const std::array<std::int32_t, 3> values{static_cast<std::int32_t>(sequence),
                                             static_cast<std::int32_t>(position), token};
    for (std::size_t a = 0; a < values.size(); ++a) {
        std::memcpy(bytes(a, r, 1).data(), &values[a], sizeof(values[a]));
    }
}

XLENS_API std::optional<unfit_number> capture_rows::put(std::size_t array, std::size_t first,
                                                        rows<const float> x,
                                                        std::span<const std::size_t> from) {
    const bool half = m_layouts[array].type == array_type::f16;
    std::vector<std::size_t> unfit(from.size());
    const auto put_row = [&](std::size_t i) {
        const std::span<const float> source = x[from[i]];
        std::byte* to = bytes(array, first + i, 1).data();
        if (half) {
            to_half(source, reinterpret_cast<std::uint16_t*>(to));
            const auto too_large = [](float v) { return !(std::abs(v) < largest_half + 16.0F); };
            unfit[i] = static_cast<std::size_t>(
                std::find_if(source.begin(), source.end(), too_large) - source.begin());
        } else {
            std::memcpy(to, source.data(), source.size_bytes());
            unfit[i] = kernels::first_not_finite(source);
        }
    };
    parallel_for(from.size(), 4 * x.width(), put_row);
    for (std::size_t i = 0; i < from.size(); ++i) {
        if (unfit[i] < x.width()) { return unfit_number{i, unfit[i], x[from[i]][unfit[i]]}; }
    }
    return std::nullopt;
}

#endif

}  // namespace xlens
