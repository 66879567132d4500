// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/storage/formats/blocks_256.hpp>
#include <xlens/storage/formats/blocks_32.hpp>
#include <xlens/storage/formats/floats.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace xlens {

/// How numbers are stored: `block` elements in `bytes` bytes. `each_batch(src, sink)` turns a group
/// (a block, but at least a batch of elements) into floats and calls sink(k, batch k) in order. It
/// reads from any alignment, and is always inlined: in a large program the compiler would call it
/// from the middle of a kernel, at half of the speed. The bits are those of the `dequantize` of
/// llama.cpp's gguf package.
template <class F>
concept block_format = requires(const std::byte* src, void (*sink)(std::size_t, const batch&)) {
    { F::block } -> std::convertible_to<std::size_t>;
    { F::bytes } -> std::convertible_to<std::size_t>;
    { F::name } -> std::convertible_to<std::string_view>;
    F::each_batch(src, sink);
};

/// Elements that one call of each_batch gives.
template <block_format Format>
inline constexpr std::size_t group_elements = std::max<std::size_t>(Format::block, lanes);
template <block_format Format>
inline constexpr std::size_t group_bytes = group_elements<Format> / Format::block * Format::bytes;

/// The first `count` < lanes elements at src as a batch, then zeros. Formats whose block is larger
/// than a batch have no such rest.
template <block_format Format>
    requires(Format::block == 1)
batch decode_rest(const std::byte* src, std::size_t count) {
    std::array<std::byte, group_bytes<Format>> padded{};
    std::memcpy(padded.data(), src, count * Format::bytes);
    batch out;
    Format::each_batch(padded.data(), [&](std::size_t, const batch& values) { out = values; });
    return out;
}

/// out = the out.size() elements that begin at `src`, a multiple of Format::block of them.
template <block_format Format>
void decode_row(const std::byte* src, std::span<float> out) {
    const std::size_t whole = out.size() - out.size() % group_elements<Format>;
    for (std::size_t i = 0; i < whole; i += group_elements<Format>) {
        Format::each_batch(src + i / Format::block * Format::bytes,
                           [to = out.data() + i](std::size_t k, const batch& values)
                               XLENS_INLINE { values.store_unaligned(to + k * lanes); });
    }
    if constexpr (Format::block == 1) {
        if (whole < out.size()) {
            const std::size_t count = out.size() - whole;
            std::array<float, lanes> rest;
            decode_rest<Format>(src + whole * Format::bytes, count).store_unaligned(rest.data());
            std::memcpy(out.data() + whole, rest.data(), count * sizeof(float));
        }
    }
}

/// A plain copy, bit for bit.
template <>
inline void decode_row<f32>(const std::byte* src, std::span<float> out) {
    if (!out.empty()) { std::memcpy(out.data(), src, out.size_bytes()); }
}

/// The most elements that a block has.
inline constexpr std::size_t largest_block = 256;

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
template <block_format Format>
    requires(Format::block <= largest_block)
inline constexpr row_format row_format_v{Format::block, Format::bytes, std::is_same_v<Format, f32>,
                                         decode_row<Format>};

/// A format that is known only when the file is read.
enum class format_id { f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k, q6_k };

inline constexpr std::array all_formats{format_id::f32,  format_id::f16,  format_id::bf16,
                                        format_id::q8_0, format_id::q4_0, format_id::q4_1,
                                        format_id::q5_0, format_id::q5_1, format_id::q4_k,
                                        format_id::q5_k, format_id::q6_k};

/// Calls fn(F{}) with the type of the format and returns what it returns: the one branch between
/// what a file says and code that is compiled for one format. Throws xlens::error if `id` is none.
template <class Fn>
constexpr decltype(auto) visit_format(format_id id, Fn&& fn) {
    switch (id) {
        case format_id::f32: return std::forward<Fn>(fn)(f32{});
        case format_id::f16: return std::forward<Fn>(fn)(f16{});
        case format_id::bf16: return std::forward<Fn>(fn)(bf16{});
        case format_id::q8_0: return std::forward<Fn>(fn)(q8_0{});
        case format_id::q4_0: return std::forward<Fn>(fn)(q4_0{});
        case format_id::q4_1: return std::forward<Fn>(fn)(q4_1{});
        case format_id::q5_0: return std::forward<Fn>(fn)(q5_0{});
        case format_id::q5_1: return std::forward<Fn>(fn)(q5_1{});
        case format_id::q4_k: return std::forward<Fn>(fn)(q4_k{});
        case format_id::q5_k: return std::forward<Fn>(fn)(q5_k{});
        case format_id::q6_k: return std::forward<Fn>(fn)(q6_k{});
    }
    fail("format: expected one of {} known ids, got {}", all_formats.size(), static_cast<int>(id));
}

/// "q4_1".
[[nodiscard]] constexpr std::string_view format_name(format_id id) {
    return visit_format(id, []<class F>(F) { return F::name; });
}

/// Elements a block.
[[nodiscard]] constexpr std::size_t format_block(format_id id) {
    return visit_format(id, []<class F>(F) { return F::block; });
}

/// Bytes a block.
[[nodiscard]] constexpr std::size_t format_bytes(format_id id) {
    return visit_format(id, []<class F>(F) { return F::bytes; });
}

/// What reading its rows takes.
[[nodiscard]] inline const row_format& row_format_of(format_id id) {
    return *visit_format(id, []<class F>(F) { return &row_format_v<F>; });
}

/// The format of that name, spelt as format_name spells it.
[[nodiscard]] constexpr std::optional<format_id> format_from_name(std::string_view name) {
    const auto* found =
        std::ranges::find_if(all_formats, [name](format_id id) { return format_name(id) == name; });
    return found == all_formats.end() ? std::nullopt : std::optional(*found);
}

}  // namespace xlens
