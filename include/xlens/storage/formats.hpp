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
#include <utility>

namespace xlens {

/// How numbers are stored: `block` elements in `bytes` bytes, turned into floats by `decode`, which
/// reads from any alignment. The bits are those of the `dequantize` of llama.cpp's gguf package.
template <class F>
concept block_format = requires(const std::byte* src, float* out) {
    { F::block } -> std::convertible_to<std::size_t>;
    { F::bytes } -> std::convertible_to<std::size_t>;
    { F::name } -> std::convertible_to<std::string_view>;
    F::decode(src, out);
};

/// out = the out.size() elements that begin at `src`, a multiple of Format::block of them.
template <block_format Format>
void decode_row(const std::byte* src, std::span<float> out) {
    if constexpr (Format::block == 1) {
        // Through a local array, which cannot overlap the output, so that the loop vectorises.
        constexpr std::size_t chunk = 32;
        std::array<typename Format::stored, chunk> bits;
        std::size_t i = 0;
        for (; i + chunk <= out.size(); i += chunk) {
            std::memcpy(bits.data(), src + i * Format::bytes, chunk * Format::bytes);
            float* to = out.data() + i;
            for (std::size_t j = 0; j < chunk; ++j) { to[j] = Format::value(bits[j]); }
        }
        for (; i < out.size(); ++i) { Format::decode(src + i * Format::bytes, &out[i]); }
    } else {
        const std::size_t blocks = out.size() / Format::block;
        for (std::size_t b = 0; b < blocks; ++b) {
            Format::decode(src + b * Format::bytes, out.data() + b * Format::block);
        }
    }
}

/// A plain copy, bit for bit.
template <>
inline void decode_row<f32>(const std::byte* src, std::span<float> out) {
    if (!out.empty()) { std::memcpy(out.data(), src, out.size_bytes()); }
}

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

/// The format of that name, spelt as format_name spells it.
[[nodiscard]] constexpr std::optional<format_id> format_from_name(std::string_view name) {
    const auto* found =
        std::ranges::find_if(all_formats, [name](format_id id) { return format_name(id) == name; });
    return found == all_formats.end() ? std::nullopt : std::optional(*found);
}

}  // namespace xlens
