// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <benchmark/benchmark.h>
#include <xlens/core/parallel.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <vector>

namespace xlens::bench {

/// What this machine can do at most, measured at the start of a run. Counters tell what share of it
/// a kernel reaches; on a busy machine both fall together.
struct peak {
    double flops_one_thread = 0.0;  ///< f32 operations a second; a multiply-add is two
    double flops = 0.0;             ///< of all threads
    double bytes = 0.0;             ///< read from memory a second, by all threads
};

namespace detail {

/// Seconds of the fastest of some runs.
template <class Body>
double best_seconds(Body body) {
    double best = 1e9;
    for (int run = 0; run < 7; ++run) {
        const auto begin = std::chrono::steady_clock::now();
        body();
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
        best = std::min(best, spent.count());
    }
    return best;
}

/// Keeps the compiler from leaving out what was computed. The array stays in registers: its sum is
/// what is shown.
template <std::size_t N>
void use(const std::array<batch, N>& x) {
    batch sum(0.0F);
    unrolled<N>([&](auto i) XLENS_INLINE { sum += x[i]; });
    benchmark::DoNotOptimize(xsimd::hadd(sum));
}

/// Multiply-adds in chains that do not wait for each other, on `threads` threads.
inline double measure_flops(std::size_t threads) {
    static constexpr std::size_t chains = 12;
    static constexpr std::size_t steps = 1U << 21U;
    const double seconds = best_seconds([&] {
        parallel_for(threads, steps, [](std::size_t) {
            const batch factor(0.5F);
            std::array<batch, chains> x;
            unrolled<chains>([&](auto i) { x[i] = batch(static_cast<float>(i)); });
            for (std::size_t s = 0; s < steps; ++s) {
                unrolled<chains>([&](auto i)
                                     XLENS_INLINE { x[i] = multiply_add(x[i], factor, factor); });
            }
            use(x);
        });
    });
    return static_cast<double>(2 * lanes * chains * steps * threads) / seconds;
}

/// The sum of 256 MiB, far more than any cache holds.
inline double measure_bytes() {
    static constexpr std::size_t parts = 256;
    static constexpr std::size_t part = (1U << 20U) / sizeof(float);
    static constexpr std::size_t sums = 8;
    const std::vector<float> data(parts * part, 1.0F);
    const double seconds = best_seconds([&] {
        parallel_for(parts, part, [&](std::size_t p) {
            std::array<batch, sums> sum;
            unrolled<sums>([&](auto i) { sum[i] = batch(0.0F); });
            for (std::size_t at = p * part; at < (p + 1) * part; at += sums * lanes) {
                unrolled<sums>([&](auto i) XLENS_INLINE {
                    sum[i] += batch::load_unaligned(&data[at + i * lanes]);
                });
            }
            use(sum);
        });
    });
    return static_cast<double>(data.size() * sizeof(float)) / seconds;
}

}  // namespace detail

/// Measured on the first call.
inline const peak& measured_peak() {
    static const peak found{detail::measure_flops(1), detail::measure_flops(max_threads()),
                            detail::measure_bytes()};
    return found;
}

}  // namespace xlens::bench
