// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"

#include <xlens/compare/comparison.hpp>
#include <xlens/core/types.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace xlens {
class atomic_file;
}

// `xlens compare`: a table, a JSON document and a page of one comparison.

namespace xlens::program {

struct compare_view {
    const engine& a;
    const engine& b;          ///< may be a
    const edit_flags& edits;  ///< of B
    const std::string& text;  ///< the text's name: a file, or "prompt"
    std::span<const token_id> tokens;
    std::size_t window = 0;  ///< tokens of one; 0: a prompt
    const comparison& found;
};

void print_comparison(const compare_view& view);
/// {"text", "tokens", "window", "positions", "kl", "agreement", "log_probability_change",
/// "probability_change", "perplexity", "largest": [..], "end", "layers": [..], "saturation",
/// "values": [..], "left_out", "values_left_out", "run_b", "run"}
void write_comparison(const compare_view& view);
/// Returns the page's bytes.
std::size_t write_compare_page(atomic_file& file, const compare_view& view);

/// "NAME, f32, edited: 12:1033 = 0".
[[nodiscard]] std::string compared_name(const engine& model, const edit_flags& edits);

}  // namespace xlens::program
