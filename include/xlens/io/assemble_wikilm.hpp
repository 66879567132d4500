// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/io/checkpoint.hpp>
#include <xlens/io/weights_as.hpp>
#include <xlens/nn/embedding.hpp>
#include <xlens/nn/unembedding.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <string>

namespace xlens::detail {

/// The adaptive embedding and softmax of wikilm: cluster i has the table `token_embd.i` and its
/// projection to D, `token_embd_proj.i`. The softmax is tied to them: the head scores x by table 0,
/// a tail by (x·projection)·tableᵀ, and only the head's rows for the tails (`output_classes`) are
/// its own.
template <class Weights>
void read_adaptive(const checkpoint& file, embedding<Weights>& in, unembedding<Weights>& out) {
    const hyperparameters& p = file.config();
    const auto matrix = [&](const std::string& name, std::size_t rows, std::size_t cols) {
        return weights_as<Weights>(file.matrix(name, rows, cols), file.name(), name);
    };
    std::size_t first = 0;
    for (std::size_t c = 0; c <= p.cutoffs.size(); ++c) {
        const std::size_t last = c < p.cutoffs.size() ? p.cutoffs[c] : p.vocabulary;
        const std::string name = fmt::format("token_embd.{}.weight", c);
        const std::size_t narrow = file.shape_of(name)[1];
        const Weights table = matrix(name, last - first, narrow);
        const Weights projection =
            matrix(fmt::format("token_embd_proj.{}.weight", c), p.width, narrow);
        in.clusters.push_back({first, table, projection});
        if (c == 0) {
            out.sections.push_back({first, matrix(name, last, p.width), {}});
        } else {
            out.sections.push_back({first, table, projection.transpose()});
        }
        first = last;
    }
    in.scale = p.embedding_scale;
    out.classes = matrix("output_classes.weight", p.cutoffs.size(), p.width);
}

}  // namespace xlens::detail
