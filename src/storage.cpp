// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for storage/ (core/compiled.hpp).
#define XLENS_BUILDING_storage 1
#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/cache_rows.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/growing_file.hpp>
#include <xlens/storage/run_checkpoint.hpp>
