// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace xlens::program {

/// "3,5-8" or "all": numbers below `count`, in the order in which they are written. Throws
/// xlens::error, naming the flag, for anything else and for a number that is given twice.
std::vector<std::size_t> parse_ranges(std::string_view flag, std::string_view text,
                                      std::size_t count);

}  // namespace xlens::program
