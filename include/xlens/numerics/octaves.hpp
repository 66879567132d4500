// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace xlens {

/// The bins of a histogram of numbers of any size and either sign, a bin an octave:
/// |x| in [2^e, 2^(e+1)) for e = -16 .. 15, the last of which has no end, and one bin for all
/// |x| < 2^-16. From the lowest numbers to the highest. The bins are the same for all numbers, so
/// that counts of parts add up to those of the whole; a bin is read off a float's exponent, exactly
/// and alike on every machine.
struct octaves {
    static constexpr int least = -16;             ///< e of the first bin
    static constexpr std::size_t of_a_sign = 32;  ///< bins
    static constexpr std::size_t small = 32;      ///< the bin of |x| < 2^-16
    static constexpr std::size_t count = 2 * of_a_sign + 1;

    /// The bin of x; of what is no number one of the two outermost.
    [[nodiscard]] static std::size_t of(float x) {
        const auto bits = std::bit_cast<std::uint32_t>(x);
        const int octave = static_cast<int>((bits >> 23U) & 0xffU) - (127 + least) + 1;
        const int size = std::clamp(octave, 0, static_cast<int>(of_a_sign));
        const int middle = static_cast<int>(small);
        return static_cast<std::size_t>((bits >> 31U) != 0 ? middle - size : middle + size);
    }

    /// The least |x| of a bin; 0 for the small ones.
    [[nodiscard]] static double least_magnitude(std::size_t bin) {
        if (bin == small) { return 0.0; }
        const std::size_t octave = bin > small ? bin - small - 1 : small - 1 - bin;
        return std::ldexp(1.0, least + static_cast<int>(octave));
    }
    /// What every |x| of a bin is below; infinite for the outermost.
    [[nodiscard]] static double magnitude_bound(std::size_t bin) {
        if (bin == 0 || bin + 1 == count) { return HUGE_VAL; }
        return bin == small ? std::ldexp(1.0, least) : 2.0 * least_magnitude(bin);
    }
};

}  // namespace xlens
