// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/generate/perplexity_windows.hpp>

#include <cstddef>
#include <utility>

namespace xlens {

/// What `compare` reads and keeps.
struct compare_options {
    explicit compare_options(perplexity_windows how) : windows(std::move(how)) {}

    perplexity_windows windows;  ///< how the text is cut; progress counts tokens, then layers
    bool to_end = false;         ///< also reads the last token: output_difference::end
    bool layers = true;          ///< also compares layer by layer, which costs a reading each
    bool value_vectors = true;   ///< of two models; then with what they promote
    std::size_t positions = 10;  ///< of largest KL that are kept
    std::size_t top = 5;         ///< tokens of each distribution there
    std::size_t dominant = 10;   ///< sub-updates of a layer and position that count as dominant
    std::size_t values = 10;     ///< neurons of smallest cosine that are kept
    std::size_t promoted = 10;   ///< tokens of a value vector's concept
    static constexpr std::size_t usual_sample = 32;
    /// Neurons of a layer, evenly spread, whose concepts count.
    std::size_t value_sample = usual_sample;
};

}  // namespace xlens
