// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cstddef>
#include <span>

#if XLENS_DEFINES(kernels)
#include <xlens/core/simd.hpp>
#include <xlens/kernels/lanes.hpp>
#endif

namespace xlens::kernels {

/// out_i += a·x_i.
XLENS_API void add_scaled(float a, std::span<const float> x, std::span<float> out);

#if XLENS_DEFINES(kernels)
XLENS_API void add_scaled(float a, std::span<const float> x, std::span<float> out) {
    const batch scale(a);
    const std::size_t n = out.size();
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        const batch sum = batch::load_unaligned(&out[i]);
        multiply_add(scale, batch::load_unaligned(&x[i]), sum).store_unaligned(&out[i]);
    }
    if (i < n) {
        const batch sum = load_partial(&out[i], n - i, 0.0F);
        store_partial(multiply_add(scale, load_partial(&x[i], n - i, 0.0F), sum), &out[i], n - i);
    }
}
#endif

}  // namespace xlens::kernels
