// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/core/words.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace xlens {

/// A block that is taken apart: an element is a small integer times the scale of its 16.
template <std::size_t block>
struct unpacked_block {
    std::array<std::int8_t, block> codes;
    std::array<float, block / 16> scales;
};

/// What a format is made of that few files have, so that it costs one function to compile: a plain
/// loop `Format::unpack(src, out)`, which fills an unpacked_block. Products with it decode rows
/// into a tile first, for one position too (kernels/typed_products.hpp asks for `rare`).
template <class Format>
struct rare_format {
    static constexpr bool rare = true;

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        unpacked_block<Format::block> in;
        unpack_apart(src, in);
        const auto* codes = reinterpret_cast<const std::byte*>(in.codes.data());
        for (std::size_t k = 0; k < Format::block / lanes; ++k) {
            const word_lanes code = load_signed_bytes(codes + k * lanes);
            sink(k, to_floats(code) * batch(in.scales[k * lanes / 16]));
        }
    }

private:
    /// Not inline: g++ 12 with -O1 and AVX-512 then reads codes before they are written.
    template <std::size_t block>
    [[gnu::noinline]] static void unpack_apart(const std::byte* src, unpacked_block<block>& out) {
        Format::unpack(src, out);
    }
};

/// Whether products with a format go through tiles alone.
template <class Format>
inline constexpr bool is_rare = requires { requires Format::rare; };

}  // namespace xlens
