// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/cluster.hpp>
#include <xlens/early_exit/exit_splits.hpp>
#include <xlens/model/transformer.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/early_exit/exit_examples.hpp>
#include <xlens/early_exit/fit_cluster.hpp>
#include <xlens/model/each_pass.hpp>

#include <numeric>
#endif

namespace xlens::early_exit {

struct paper_table_options {
    std::vector<std::uint64_t> seeds = {38, 39, 40, 41, 42};  ///< one split each
    std::size_t window = 512;                                 ///< tokens that are read together
    std::vector<token_id> prefix = {};  ///< what each window begins with, and counts
    progress_function progress = {};
};

/// The paper's table (Geva et al. 2022, section 6.2) on a text: its baselines and its rule, over
/// random splits of the positions (exit_splits). `empty`: the rule `cluster` without examples
/// (cluster_rule). Cost: the text is read twice, once with an unembedding a position and layer.
XLENS_API std::vector<split_row> paper_table(const transformer<>& model,
                                             std::span<const token_id> tokens,
                                             const cluster_match& empty,
                                             const paper_table_options& options = {});

#if XLENS_DEFINES(early_exit)

XLENS_API std::vector<split_row> paper_table(const transformer<>& model,
                                             std::span<const token_id> tokens,
                                             const cluster_match& empty,
                                             const paper_table_options& options) {
    std::vector<std::size_t> layers(model.config.layers - 1);
    std::iota(layers.begin(), layers.end(), std::size_t{0});
    const std::vector<token_id> text = with_prefixes(tokens, options.window, options.prefix);
    const auto items = gather_cluster_items(model, text, options.window, empty, options.progress);
    const exit_examples e =
        gather_examples(model, text, options.window, layers, true, options.progress);
    return exit_splits(e, items, empty, options.seeds, options.progress);
}

#endif

}  // namespace xlens::early_exit
