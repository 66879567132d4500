// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <xlens/core/compiled.hpp>

#if XLENS_DEFINES(kernels)
#include <xlens/core/simd.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/lanes.hpp>
#endif

namespace xlens::kernels {

/// out = x / sqrt(mean(x²) + ε) ⊙ gain, rows of equal length (D). `out` may be `x` itself.
/// Zhang and Sennrich, arXiv 1910.07467.
XLENS_API void rms_norm(std::span<const float> x, std::span<const float> gain, float epsilon,
                        std::span<float> out);

/// out = (x - mean(x)) / sqrt(var(x) + ε) ⊙ gain + bias, rows of equal length (D), the variance
/// over n, not n - 1. `bias` may be empty; `out` may be `x` itself. Ba et al., arXiv 1607.06450.
XLENS_API void layer_norm(std::span<const float> x, std::span<const float> gain,
                          std::span<const float> bias, float epsilon, std::span<float> out);

#if XLENS_DEFINES(kernels)
XLENS_API void rms_norm(std::span<const float> x, std::span<const float> gain, float epsilon,
                        std::span<float> out) {
    const std::size_t n = x.size();
    if (n == 0) { return; }
    const batch scale(1.0F / std::sqrt(dot(x, x) / static_cast<float>(n) + epsilon));
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        const batch scaled = batch::load_unaligned(&x[i]) * scale;
        (scaled * batch::load_unaligned(&gain[i])).store_unaligned(&out[i]);
    }
    if (i < n) {
        const batch scaled = load_partial(&x[i], n - i, 0.0F) * scale;
        store_partial(scaled * load_partial(&gain[i], n - i, 0.0F), &out[i], n - i);
    }
}

XLENS_API void layer_norm(std::span<const float> x, std::span<const float> gain,
                          std::span<const float> bias, float epsilon, std::span<float> out) {
    const std::size_t n = x.size();
    if (n == 0) { return; }
    const auto count = static_cast<float>(n);
    const float mean = sum_of(x, 0.0F, [](const batch& v) { return v; }) / count;
    // In two passes: mean(x²) - mean(x)² cancels where the mean is large beside the deviation.
    const float squares = sum_of(x, mean, [mean](const batch& v) {
        const batch centred = v - batch(mean);
        return centred * centred;
    });
    const batch scale(1.0F / std::sqrt(squares / count + epsilon));
    const auto apply = [mean, scale](const batch& v, const batch& g, const batch& b) {
        return multiply_add((v - batch(mean)) * scale, g, b);
    };
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        const batch b = bias.empty() ? batch(0.0F) : batch::load_unaligned(&bias[i]);
        apply(batch::load_unaligned(&x[i]), batch::load_unaligned(&gain[i]), b)
            .store_unaligned(&out[i]);
    }
    if (i < n) {
        const batch b = bias.empty() ? batch(0.0F) : load_partial(&bias[i], n - i, 0.0F);
        const batch tail =
            apply(load_partial(&x[i], n - i, 0.0F), load_partial(&gain[i], n - i, 0.0F), b);
        store_partial(tail, &out[i], n - i);
    }
}
#endif

}  // namespace xlens::kernels
