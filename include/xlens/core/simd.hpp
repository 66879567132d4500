// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// GCC 12 takes the deliberately undefined operands of its own AVX-512 intrinsics for mistakes.
#ifndef __clang__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <xsimd/xsimd.hpp>
#ifndef __clang__
#pragma GCC diagnostic pop
#endif

#include <cstddef>

#ifdef __FAST_MATH__
#error "xlens needs IEEE arithmetic: -ffast-math (-Ofast) breaks NaN, infinity and equal bits"
#endif

namespace xlens {

/// The vector of floats that every kernel is written in: 16 lanes with AVX-512, 8 with AVX2, 4 with
/// SSE2 or NEON. The compiler's target flags choose it.
using batch = xsimd::batch<float>;
inline constexpr std::size_t lanes = batch::size;

/// x·y + z, rounded once where the processor can. xsimd 8 has no such instruction for AVX-512:
/// there a product and a sum were left to the compiler, and clang++ keeps these apart.
[[gnu::always_inline]] inline batch multiply_add(const batch& x, const batch& y, const batch& z) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(x, y, z);
#else
    return xsimd::fma(x, y, z);
#endif
}
/// x·y - z, the same way.
[[gnu::always_inline]] inline batch multiply_subtract(const batch& x, const batch& y,
                                                      const batch& z) {
#if defined(__AVX512F__)
    return _mm512_fmsub_ps(x, y, z);
#else
    return xsimd::fms(x, y, z);
#endif
}
/// z - x·y, the same way.
[[gnu::always_inline]] inline batch subtract_product(const batch& x, const batch& y,
                                                     const batch& z) {
#if defined(__AVX512F__)
    return _mm512_fnmadd_ps(x, y, z);
#else
    return xsimd::fnma(x, y, z);
#endif
}

/// Keeps what was loaded in its register. Without it g++ 12 loads a batch again for every
/// multiply-add that it takes part in, which costs a sixth of the speed of a product.
template <class Register>
[[gnu::always_inline]] inline void keep_in_register([[maybe_unused]] Register& x) {
#if defined(__x86_64__)
    asm("" : "+v"(x));  // NOLINT(hicpp-no-assembler): no instruction
#elif defined(__aarch64__)
    asm("" : "+w"(x));  // NOLINT(hicpp-no-assembler): no instruction
#endif
}
[[gnu::always_inline]] inline void keep_in_register(batch& x) { keep_in_register(x.data); }

/// Name of the instruction set that this translation unit was compiled for, for a run's manifest.
inline const char* instruction_set() { return batch::arch_type::name(); }

}  // namespace xlens
