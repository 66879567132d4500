// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for lens/ (core/compiled.hpp).
#define XLENS_BUILDING_lens 1
#include <xlens/lens/evaluate_lens.hpp>
#include <xlens/lens/fit_jacobian_lens.hpp>
#include <xlens/lens/fit_linear_lens.hpp>
#include <xlens/lens/fit_tuned_lens.hpp>
#include <xlens/lens/jacobian_lens_file.hpp>
#include <xlens/lens/lens_file.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/lens/reading.hpp>
#include <xlens/lens/tuned_lens_folder.hpp>
#include <xlens/lens/unembedding_rows.hpp>
#include <xlens/lens/vocabulary.hpp>
