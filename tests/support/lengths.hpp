// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>

#include <cstddef>
#include <vector>

namespace xlens::test {

/// Every length of a row around the vector width, and a few long ones with odd tails.
inline std::vector<std::size_t> row_lengths() {
    std::vector<std::size_t> out;
    for (std::size_t n = 0; n <= 4 * lanes + 3; ++n) { out.push_back(n); }
    for (const std::size_t n : {127U, 576U, 1001U, 4096U, 5003U}) { out.push_back(n); }
    return out;
}

}  // namespace xlens::test
