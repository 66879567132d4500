// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "output/json_writer.hpp"

#include <xlens/core/types.hpp>

#include <memory>
#include <string>
#include <vector>

namespace xlens {
class atomic_file;
struct text_examples;
struct token_ends;
}  // namespace xlens

namespace xlens::program {

/// Where neurons fire, and what is shown beside it.
struct examples_view {
    const engine& model;
    std::string file;
    const text_examples& run;
    std::vector<neuron> neurons;                              ///< those to show, in order
    std::vector<std::shared_ptr<const token_ends>> concepts;  ///< theirs
};

/// {"text", "text_tokens", "window", "prefix", "positions", "skipped", "apart", "threshold",
/// "neurons": [{"neuron", "promotes", "suppresses", "over", "positive", "zero", "histogram":
/// [{"least", "bound", "count"}], "largest", "lowest": [{"position", "window", "row",
/// "coefficient", "at", "tokens": [{"id", "text", "coefficient"}]}]}]}. Shares are of positions;
/// "at" is the example's token in "tokens"; bins of the histogram are least <= |m| < bound, both
/// negative below zero, without those of no position.
void write_examples(json_writer& out, const examples_view& view);

/// A line a neuron: {"neuron", "over", "positive", "zero", "histogram": [[bin, count]..],
/// "largest": [[row, m]..], "lowest"}; first one about all of them, with "tokens": ids by row. Rows
/// number what was read, what begins each window among it; shares and bins are counts.
void write_example_lines(atomic_file& file, const examples_view& view);

void print_examples(const examples_view& view);

/// The page as `examples_page` has it; its bytes.
std::size_t write_examples_page(atomic_file& file, const examples_view& view);

}  // namespace xlens::program
