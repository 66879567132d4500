// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/words.hpp>

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

// A small table read by each lane for itself. xsimd 8 has no such permutation: one instruction with
// AVX-512, three with AVX2, a loop elsewhere.

namespace xlens {

using table_of_16 = std::array<float, 16>;

/// Lane l = table[index_l], every index below 16.
[[nodiscard]] inline batch look_up(const table_of_16& table, const word_lanes& index) {
#if defined(__AVX512F__)
    static_assert(lanes == 16);
    return batch(
        _mm512_permutexvar_ps(reinterpret_cast<__m512i>(index), _mm512_loadu_ps(table.data())));
#elif defined(__AVX2__)
    static_assert(lanes == 8);
    const auto which = reinterpret_cast<__m256i>(index);
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.data()), which);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.data() + 8), which);
    const __m256 upper_half = _mm256_castsi256_ps(_mm256_slli_epi32(which, 28));  // bit 3 on top
    return batch(_mm256_blendv_ps(low, high, upper_half));
#else
    std::array<float, lanes> out;
    for (std::size_t l = 0; l < lanes; ++l) { out[l] = table[index[l]]; }
    return batch::load_unaligned(out.data());
#endif
}

}  // namespace xlens
