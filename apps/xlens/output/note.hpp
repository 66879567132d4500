// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

namespace xlens::program {

/// One line on standard error, for what a run says about itself.
void note(std::string_view line);

}  // namespace xlens::program
