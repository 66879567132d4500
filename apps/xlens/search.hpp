// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/lens/token_ends.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace xlens::program {

struct search_request {
    std::vector<token_id> tokens;  // what to search for: tokens …
    std::optional<neuron> like;    // … or a value vector
    std::string side = "value";    // names as the flags have them
    std::string scale = "none";
    std::string form = "folded";
    std::string end = "promotes";  // promotes, suppresses or either
    std::size_t limit = 20;
    std::size_t top = 10;                // tokens of each end of a hit
    std::optional<std::string> index;    // file that the hits' tokens are read from
    std::optional<std::size_t> control;  // random vectors a layer; none: as many as neurons
    std::uint64_t seed = 0;
};

struct search_answer {
    struct hit {
        neuron where;
        float score = 0.0F;
        float norm = 0.0F;  // of the vector that was found
        std::optional<double> random_share;
        token_ends ends;
    };
    std::vector<hit> hits;
    std::size_t random_vectors = 0;
    float random_best = 0.0F;  // if there are any
};

}  // namespace xlens::program
