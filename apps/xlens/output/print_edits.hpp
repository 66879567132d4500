// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "flags/flags.hpp"

namespace xlens::program {

/// "edited: 12:1033 = 0", as pages say it (output/names.hpp): the line of a table that tells it
/// from that of the model as it is. Nothing where nothing is edited.
void print_edits(const edit_flags& edits);

}  // namespace xlens::program
