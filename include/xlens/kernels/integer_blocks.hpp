// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

// Which processors have what integer products ask for, and how stored blocks look to them. With
// AVX-512's VNNI one instruction multiplies and adds four codes in each of 16 lanes
// (integer_lanes_vnni.hpp). AVX2 has 8 lanes and takes two or three instructions, or one where
// there is AVX-VNNI (integer_lanes_avx2.hpp). xsimd offers neither, so intrinsics stand in the
// files integer_*.hpp; which others have some, and why: docs/hacking.md.

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && \
    defined(__AVX512CD__) && defined(__FMA__) && defined(__F16C__)
#define XLENS_VNNI 1
#else
#define XLENS_VNNI 0
#endif
#if !XLENS_VNNI && defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define XLENS_INTEGER_AVX2 1
#else
#define XLENS_INTEGER_AVX2 0
#endif
#if XLENS_INTEGER_AVX2 && defined(__AVXVNNI__)
#define XLENS_AVX_VNNI 1
#else
#define XLENS_AVX_VNNI 0
#endif
#if XLENS_VNNI || XLENS_INTEGER_AVX2
#define XLENS_INTEGER_DOTS 1
#else
#define XLENS_INTEGER_DOTS 0
#endif

#if XLENS_INTEGER_DOTS

namespace xlens::kernels::detail {

/// Where a stored block of 32 elements has what: a binary16 d, or d and m, then codes of 4 bits
/// (elements i and i + 16 share a byte) or of 8.
struct block_layout {
    std::size_t bytes;  ///< of a block
    std::size_t codes;  ///< where they begin: at 2 after d, at 4 after d and m
    int bits;           ///< of a code
};

/// Four blocks of a row.
struct four_blocks {
    const std::byte* at;
};

}  // namespace xlens::kernels::detail

#endif
