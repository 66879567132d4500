// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>

#include <vector>

namespace xlens {

/// The two ends of a vector's scores over the vocabulary: a concept (Geva et al. 2022, section
/// 3.1).
struct token_ends {
    std::vector<scored> promotes;    ///< highest scores first
    std::vector<scored> suppresses;  ///< lowest scores first
};

}  // namespace xlens
