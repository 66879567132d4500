// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "output/trace_view.hpp"

#include <cstddef>

namespace xlens {
struct attribution;
}

namespace xlens::program {

/// The heads that add most to the logit, where they are known.
void print_heads(const attribution& a, std::size_t limit);

/// The positions from which one head takes most, where that was asked for.
void print_sources(const trace_view& view, const attribution& a, std::size_t limit);

}  // namespace xlens::program
