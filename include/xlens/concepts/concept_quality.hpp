// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace xlens {

/// How far one end of a vector's scores over the vocabulary is a concept.
struct end_quality {
    /// Mean cosine between the centred unembedding rows (γ⊙(e_w - ē)) of any two of its tokens: do
    /// they belong together? The k nearest rows to any direction agree somewhat; compare with the
    /// control. NaN for fewer than two tokens.
    float coherence = 0.0F;
    /// How many standard deviations over the vocabulary the best token's score is from the mean.
    float peak = 0.0F;
};
struct concept_quality {
    end_quality promotes;
    end_quality suppresses;
};

/// A figure of a value vector beside that of random vectors.
struct controlled {
    float value = 0.0F;
    double random_mean = 0.0;
    float random_best = 0.0F;
    double random_share = 0.0;  ///< of the random vectors: those whose figure is as high
};
struct controlled_end {
    controlled coherence;
    controlled peak;
};
struct controlled_concept {
    controlled_end promotes;
    controlled_end suppresses;
};

}  // namespace xlens
