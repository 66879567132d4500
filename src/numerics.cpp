// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for numerics/ (core/compiled.hpp).
#define XLENS_BUILDING_numerics 1
#include <xlens/numerics/cholesky.hpp>
#include <xlens/numerics/complete_linkage.hpp>
#include <xlens/numerics/directions.hpp>
#include <xlens/numerics/k_means.hpp>
#include <xlens/numerics/k_means_seeding.hpp>
#include <xlens/numerics/logistic_regression.hpp>
#include <xlens/numerics/partition.hpp>
#include <xlens/numerics/summary.hpp>
#include <xlens/numerics/top_eigenvector.hpp>
