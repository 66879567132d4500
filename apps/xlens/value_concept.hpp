// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/lens/vocabulary.hpp>

namespace xlens::program {

/// A value vector read in the vocabulary.
struct value_concept {
    float norm = 0.0F;  ///< ‖v‖
    token_ends ends;
};

}  // namespace xlens::program
