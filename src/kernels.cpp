// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for kernels/ (core/compiled.hpp).
#define XLENS_BUILDING_kernels 1
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/attention.hpp>
#include <xlens/kernels/best_row.hpp>
#include <xlens/kernels/column_norms.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/log_sum.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/norm.hpp>
#include <xlens/kernels/rope.hpp>
#include <xlens/kernels/softmax.hpp>
