// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/storage/format_id.hpp>
#include <xlens/storage/formats/blocks_256.hpp>
#include <xlens/storage/formats/blocks_32.hpp>
#include <xlens/storage/formats/few_bits.hpp>
#include <xlens/storage/formats/float8.hpp>
#include <xlens/storage/formats/floats.hpp>
#include <xlens/storage/formats/iq.hpp>
#include <xlens/storage/formats/iq1.hpp>
#include <xlens/storage/formats/lookups.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstring>
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

template <block_format Format>
    requires(Format::block <= largest_block)
inline constexpr row_format row_format_v{Format::block, Format::bytes, std::is_same_v<Format, f32>,
                                         decode_row<Format>};

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
        case format_id::q2_k: return std::forward<Fn>(fn)(q2_k{});
        case format_id::q3_k: return std::forward<Fn>(fn)(q3_k{});
        case format_id::q4_k: return std::forward<Fn>(fn)(q4_k{});
        case format_id::q5_k: return std::forward<Fn>(fn)(q5_k{});
        case format_id::q6_k: return std::forward<Fn>(fn)(q6_k{});
        case format_id::iq4_nl: return std::forward<Fn>(fn)(iq4_nl{});
        case format_id::iq4_xs: return std::forward<Fn>(fn)(iq4_xs{});
        case format_id::mxfp4: return std::forward<Fn>(fn)(mxfp4{});
        case format_id::iq3_xxs: return std::forward<Fn>(fn)(iq3_xxs{});
        case format_id::iq3_s: return std::forward<Fn>(fn)(iq3_s{});
        case format_id::iq2_xxs: return std::forward<Fn>(fn)(iq2_xxs{});
        case format_id::iq2_xs: return std::forward<Fn>(fn)(iq2_xs{});
        case format_id::iq2_s: return std::forward<Fn>(fn)(iq2_s{});
        case format_id::iq1_s: return std::forward<Fn>(fn)(iq1_s{});
        case format_id::iq1_m: return std::forward<Fn>(fn)(iq1_m{});
        case format_id::tq1_0: return std::forward<Fn>(fn)(tq1_0{});
        case format_id::tq2_0: return std::forward<Fn>(fn)(tq2_0{});
        case format_id::nvfp4: return std::forward<Fn>(fn)(nvfp4{});
        case format_id::f8_e4m3: return std::forward<Fn>(fn)(f8_e4m3{});
        case format_id::f8_e5m2: return std::forward<Fn>(fn)(f8_e5m2{});
        case format_id::f8_e4m3_scaled: return std::forward<Fn>(fn)(f8_e4m3_scaled{});
    }
    fail("format: expected one of {} known ids, got {}", all_formats.size(), static_cast<int>(id));
}

static_assert(std::ranges::all_of(detail::format_table,
                                  [](const detail::format_facts& facts) {
                                      return visit_format(facts.id, [&]<class F>(F) {
                                          return F::name == facts.name && F::block == facts.block &&
                                                 F::bytes == facts.bytes;
                                      });
                                  }),
              "the table of storage/format_id.hpp says what the formats say");

#if XLENS_DEFINES(storage)
XLENS_API const row_format& row_format_of(format_id id) {
    return *visit_format(id, []<class F>(F) { return &row_format_v<F>; });
}
#endif

}  // namespace xlens
