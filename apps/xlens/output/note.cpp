// SPDX-License-Identifier: BSD-3-Clause
#include "output/note.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace xlens::program {

void note(std::string_view line) { fmt::print(stderr, "{}\n", line); }

}  // namespace xlens::program
