// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace xlens {

/// Token embedding: x_t = scale · P_c·table_c[id_t - first_c], c the cluster that holds the id.
/// A dense embedding is one cluster without projection. The adaptive one gives rarer tokens
/// narrower tables, each with a projection to D. Source: Baevski and Auli 2019 (1809.10853).
template <weight_matrix Weights>
struct embedding {
    struct cluster {
        std::size_t first = 0;              ///< ids first .. first + table.rows() - 1
        Weights table;                      ///< (tokens, d), d = D without projection
        std::optional<Weights> projection;  ///< (D, d)
    };
    std::vector<cluster> clusters;  ///< in the order of their ids
    float scale = 1.0F;

    /// tokens (T) -> out (T, D). Throws xlens::error for a token that is not there.
    void operator()(std::span<const token_id> tokens, rows<float> out) const {
        if (out.count() != tokens.size()) {
            fail("embedding: {} tokens into {} rows", tokens.size(), out.count());
        }
        for (std::size_t t = 0; t < tokens.size(); ++t) {
            look_up(static_cast<std::size_t>(tokens[t]), out[t]);
            if (scale != 1.0F) {
                for (float& x : out[t]) { x *= scale; }
            }
        }
    }

private:
    void look_up(std::size_t token, std::span<float> out) const {
        const auto after = std::find_if(clusters.begin() + 1, clusters.end(),
                                        [&](const cluster& c) { return c.first > token; });
        const cluster& c = *(after - 1);
        if (token - c.first >= c.table.rows()) {
            fail("embedding: token {}, expected 0 to {}", token,
                 clusters.back().first + clusters.back().table.rows() - 1);
        }
        if (!c.projection) { return c.table.row(token - c.first, out); }
        struct narrow_row;
        const std::span<float> row(kernels::scratch<narrow_row>(c.table.cols()), c.table.cols());
        c.table.row(token - c.first, row);
        kernels::matvec(*c.projection, std::span<const float>(row), out);
    }
};

}  // namespace xlens
