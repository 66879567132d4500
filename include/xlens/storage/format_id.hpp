// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace xlens {

/// A format that is known only when the file is read. The formats themselves: storage/formats.hpp.
enum class format_id {
    f32,
    f16,
    bf16,
    q8_0,
    q4_0,
    q4_1,
    q5_0,
    q5_1,
    q2_k,
    q3_k,
    q4_k,
    q5_k,
    q6_k,
    iq4_nl,
    iq4_xs,
    mxfp4,
    iq3_xxs,
    iq3_s,
    iq2_xxs,
    iq2_xs,
    iq2_s,
    iq1_s,
    iq1_m,
    tq1_0,
    tq2_0,
    nvfp4,
    f8_e4m3,
    f8_e5m2,
    f8_e4m3_scaled
};

namespace detail {

struct format_facts {
    format_id id;
    std::string_view name;
    std::size_t block;  ///< elements
    std::size_t bytes;  ///< a block
};
/// In the order of format_id. storage/formats.hpp checks it against the formats.
inline constexpr std::array<format_facts, 29> format_table{{
    {format_id::f32, "f32", 1, 4},
    {format_id::f16, "f16", 1, 2},
    {format_id::bf16, "bf16", 1, 2},
    {format_id::q8_0, "q8_0", 32, 34},
    {format_id::q4_0, "q4_0", 32, 18},
    {format_id::q4_1, "q4_1", 32, 20},
    {format_id::q5_0, "q5_0", 32, 22},
    {format_id::q5_1, "q5_1", 32, 24},
    {format_id::q2_k, "q2_k", 256, 84},
    {format_id::q3_k, "q3_k", 256, 110},
    {format_id::q4_k, "q4_k", 256, 144},
    {format_id::q5_k, "q5_k", 256, 176},
    {format_id::q6_k, "q6_k", 256, 210},
    {format_id::iq4_nl, "iq4_nl", 32, 18},
    {format_id::iq4_xs, "iq4_xs", 256, 136},
    {format_id::mxfp4, "mxfp4", 32, 17},
    {format_id::iq3_xxs, "iq3_xxs", 256, 98},
    {format_id::iq3_s, "iq3_s", 256, 110},
    {format_id::iq2_xxs, "iq2_xxs", 256, 66},
    {format_id::iq2_xs, "iq2_xs", 256, 74},
    {format_id::iq2_s, "iq2_s", 256, 82},
    {format_id::iq1_s, "iq1_s", 256, 50},
    {format_id::iq1_m, "iq1_m", 256, 56},
    {format_id::tq1_0, "tq1_0", 256, 54},
    {format_id::tq2_0, "tq2_0", 256, 66},
    {format_id::nvfp4, "nvfp4", 64, 36},
    {format_id::f8_e4m3, "f8_e4m3", 1, 1},
    {format_id::f8_e5m2, "f8_e5m2", 1, 1},
    {format_id::f8_e4m3_scaled, "f8_e4m3_scaled", 32, 36},
}};

constexpr const format_facts& facts_of(format_id id) {
    const auto index = static_cast<std::size_t>(id);
    if (index >= format_table.size()) {
        fail("format: expected one of {} known ids, got {}", format_table.size(), index);
    }
    return format_table[index];
}

}  // namespace detail

inline constexpr std::array all_formats = [] {
    std::array<format_id, detail::format_table.size()> out{};
    for (std::size_t i = 0; i < out.size(); ++i) { out[i] = detail::format_table[i].id; }
    return out;
}();

/// "q4_1". These three throw xlens::error if `id` is none.
[[nodiscard]] constexpr std::string_view format_name(format_id id) {
    return detail::facts_of(id).name;
}
/// Elements a block.
[[nodiscard]] constexpr std::size_t format_block(format_id id) {
    return detail::facts_of(id).block;
}
/// Bytes a block.
[[nodiscard]] constexpr std::size_t format_bytes(format_id id) {
    return detail::facts_of(id).bytes;
}

/// The format of that name, spelt as format_name spells it.
[[nodiscard]] constexpr std::optional<format_id> format_from_name(std::string_view name) {
    for (const auto& facts : detail::format_table) {
        if (facts.name == name) { return facts.id; }
    }
    return std::nullopt;
}

/// What it takes to read the rows of a format, for code that serves all formats alike.
struct row_format {
    std::size_t block;                                           ///< elements
    std::size_t bytes;                                           ///< a block
    bool plain;                                                  ///< f32 itself
    void (*decode)(const std::byte* src, std::span<float> out);  ///< decode_row

    /// Bytes of so many elements, whole blocks of them.
    [[nodiscard]] constexpr std::size_t size(std::size_t elements) const {
        return elements / block * bytes;
    }
};
/// The most elements that a block has.
inline constexpr std::size_t largest_block = 256;

/// What reading its rows takes. Throws xlens::error if `id` is none.
[[nodiscard]] XLENS_API const row_format& row_format_of(format_id id);

}  // namespace xlens
