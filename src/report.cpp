// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for report/ (core/compiled.hpp).
#define XLENS_BUILDING_report 1
#include <xlens/report/compare_page.hpp>
#include <xlens/report/events_comparison.hpp>
#include <xlens/report/events_page.hpp>
#include <xlens/report/examples_page.hpp>
#include <xlens/report/fill.hpp>
#include <xlens/report/html_page.hpp>
#include <xlens/report/layer_chart.hpp>
#include <xlens/report/patch_page.hpp>
#include <xlens/report/octave_chart.hpp>
#include <xlens/report/trace_page_data.hpp>
