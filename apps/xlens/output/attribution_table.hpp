// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "output/trace_view.hpp"

#include <span>

namespace xlens {
struct attribution;
}

namespace xlens::program {

/// The whole attribution: a waterfall from the embedding to the logit, then the sub-updates.
void print_attribution(const trace_view& view, const attribution& a);

/// Each in three lines: the sum, and the layers and sub-updates that add most.
void print_attributions(const engine& model, std::span<const attribution> attributions);

}  // namespace xlens::program
