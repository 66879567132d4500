// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for generate/ (core/compiled.hpp).
#define XLENS_BUILDING_generate 1
#include <xlens/generate/beam.hpp>
#include <xlens/generate/choice.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/generate/perplexity.hpp>
#include <xlens/generate/perplexity_windows.hpp>
#include <xlens/generate/sampling.hpp>
#include <xlens/generate/stop.hpp>
