// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "output/json_writer.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace xlens {
class atomic_file;
struct patch_grid_result;
}  // namespace xlens

namespace xlens::program {

/// A grid of patched runs, and what it is of.
struct patch_view {
    const engine& model;
    std::string metric;            ///< as its flag says it
    std::vector<token_id> tokens;  ///< that the metric is of
    std::span<const token_id> prompt;
    std::span<const token_id> source;                    ///< empty where there is none
    std::optional<std::string> ablate;                   ///< as its flag says it
    std::span<const std::optional<std::size_t>> row_at;  ///< of a source: patch_values::row_at
    const patch_grid_result& grid;

    /// Whether cells are shown as shares of the way from the prompt's metric to the source's; else
    /// as differences from the prompt's.
    [[nodiscard]] bool shares() const;
    /// What a cell shows.
    [[nodiscard]] double shown(std::size_t place, std::size_t column) const;
    /// What is coloured fully: 1 of shares, else the largest difference.
    [[nodiscard]] double full() const;
    /// "logit of ' John' less that of ' Mary'".
    [[nodiscard]] std::string metric_text() const;
};

/// {"metric", "metric_tokens", "ablate", "prompt": {"tokens", "metric"}, "source", "positions",
/// "heads" (of head_outputs, whose columns they are), "grid": [{"site", "layer", "metric": [..],
/// "normalised": [..] | null}]}
void write_patch(json_writer& out, const patch_view& view);
/// A table a site: rows are layers, columns positions or heads, as many as fit.
void print_patch(const patch_view& view);
/// The page (report/patch_page.hpp); returns its bytes.
std::size_t write_patch_page(atomic_file& file, const patch_view& view, const edit_flags& edits);

}  // namespace xlens::program
