// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>

#include <array>
#include <cstddef>

namespace xlens {

/// What a format is made of that few files have, so that it costs one function to compile: a plain
/// loop `Format::decode(src, out)` over one block. Products with it decode rows into a tile first,
/// for one position too (kernels/typed_products.hpp asks for `rare`).
template <class Format>
struct rare_format {
    static constexpr bool rare = true;

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        std::array<float, Format::block> values;
        Format::decode(src, values.data());
        for (std::size_t k = 0; k < Format::block / lanes; ++k) {
            sink(k, batch::load_unaligned(values.data() + k * lanes));
        }
    }
};

/// Whether products with a format go through tiles alone.
template <class Format>
inline constexpr bool is_rare = requires { requires Format::rare; };

}  // namespace xlens
