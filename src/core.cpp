// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for core/ (core/compiled.hpp).
#define XLENS_BUILDING_core 1
#include <xlens/core/parallel.hpp>
#include <xlens/core/team.hpp>
