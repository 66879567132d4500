// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "output/json_writer.hpp"
#include "output/trace_view.hpp"

#include <span>

namespace xlens {
struct attribution;
struct traced_position;
}  // namespace xlens

namespace xlens::program {

/// Where a trace has the concepts of its sub-updates: in each of them, or each neuron's once, in
/// "concepts" at the end.
enum class concepts_of_rows { each, once };

/// Prints the document of `xlens trace --json`, of the layers that the view shows; with
/// attributions, one a position.
void write_trace(json_writer& out, const trace_view& view,
                 std::span<const traced_position> positions,
                 std::span<const attribution> attributions, concepts_of_rows concepts);

}  // namespace xlens::program
