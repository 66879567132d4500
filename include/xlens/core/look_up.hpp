// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

// A small table of bytes read by each byte for itself. xsimd 8 has no such permutation: one
// instruction with SSSE3 and later, a loop elsewhere.

namespace xlens {

/// Byte i = table[index_i], every index below 16. `Bytes`: a vector of 16 or 32 of them.
template <class Bytes>
[[nodiscard, gnu::always_inline]] inline Bytes look_up(const std::array<std::int8_t, 16>& table,
                                                       const Bytes& index) {
#if defined(__AVX2__)
    static_assert(sizeof(Bytes) == 32);
    const __m128i once = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table.data()));
    return reinterpret_cast<Bytes>(
        _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(once), reinterpret_cast<__m256i>(index)));
#else
    Bytes out;
    for (std::size_t i = 0; i < sizeof(Bytes); ++i) {
        out[i] = static_cast<std::uint8_t>(table[index[i]]);
    }
    return out;
#endif
}

}  // namespace xlens
