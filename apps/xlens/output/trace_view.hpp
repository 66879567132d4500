// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"

#include <xlens/lens/logit_lens.hpp>

#include <algorithm>
#include <cstddef>
#include <span>

namespace xlens {
class atomic_file;
class observe_patterns;
struct traced_position;
}  // namespace xlens

namespace xlens::program {

/// What the pictures of a trace show.
struct trace_view {
    const engine& model;
    std::span<const token_id> tokens;
    std::size_t top = 10;                      ///< at most so many tokens in a cell
    std::size_t sub_updates = 2;               ///< lines of sub-updates a layer
    std::span<const std::size_t> layers = {};  ///< to show; none: all
    projection form = projection::folded;      ///< by which concepts are read
    const edit_flags* edits = nullptr;         ///< of the run, where it can have some

    [[nodiscard]] bool shows(std::size_t layer) const {
        return layers.empty() || std::ranges::find(layers, layer) != layers.end();
    }
};

/// Tokens that are read at each layer for the pictures: how deep the final token's rank is known.
inline constexpr std::size_t rank_depth = 200;

/// The whole trace of one position: two lines a layer.
void print_layers(const trace_view& view, const traced_position& position);

/// The top token of every layer and position.
void print_grid(const trace_view& view, std::span<const traced_position> positions);

/// Writes the page of a trace (report/trace_page.hpp) and commits the file; returns its bytes.
/// With the heads' patterns where they are given.
std::size_t write_trace_page(atomic_file& file, const trace_view& view,
                             std::span<const traced_position> positions, const edit_flags& edits,
                             const observe_patterns* patterns);

}  // namespace xlens::program
