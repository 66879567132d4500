// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for compare/ (core/compiled.hpp).
#define XLENS_BUILDING_compare 1
#include <xlens/compare/compare.hpp>
#include <xlens/compare/compare_logits.hpp>
#include <xlens/compare/compare_values.hpp>
#include <xlens/compare/layer_collector.hpp>
#include <xlens/compare/output_collector.hpp>
#include <xlens/compare/same_tokens.hpp>
