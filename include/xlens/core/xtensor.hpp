// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The only place that includes xtensor: its headers moved into sub-folders in 0.26.
#if __has_include(<xtensor/containers/xtensor.hpp>)
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/containers/xtensor.hpp>
#include <xtensor/core/xexpression.hpp>
#include <xtensor/core/xiterable.hpp>
#include <xtensor/core/xmath.hpp>
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xexpression.hpp>
#include <xtensor/xiterable.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>
#endif

// xlens runs its own parallel loops; xtensor's would open a team of threads for every assignment.
#ifdef XTENSOR_USE_OPENMP
#error "xlens needs XTENSOR_USE_OPENMP to be off: its own loops parallelise"
#endif
