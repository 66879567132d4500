// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for trace/ (core/compiled.hpp).
#define XLENS_BUILDING_trace 1
#include <xlens/trace/attribute.hpp>
#include <xlens/trace/attribution.hpp>
#include <xlens/trace/trace.hpp>
