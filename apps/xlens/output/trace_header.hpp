// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "output/trace_view.hpp"

namespace xlens::program {

/// The model and the tokens that were read, as many of the last as fit a line.
void print_trace_header(const trace_view& view);

}  // namespace xlens::program
