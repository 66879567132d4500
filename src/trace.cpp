// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for trace/ (core/compiled.hpp).
#define XLENS_BUILDING_trace 1
#include <xlens/trace/attribute.hpp>
#include <xlens/trace/attribution.hpp>
#include <xlens/trace/attribution_log.hpp>
#include <xlens/trace/capture.hpp>
#include <xlens/trace/capture_folder.hpp>
#include <xlens/trace/capture_manifest.hpp>
#include <xlens/trace/capture_reader.hpp>
#include <xlens/trace/capture_recorder.hpp>
#include <xlens/trace/capture_rows.hpp>
#include <xlens/trace/capture_sites.hpp>
#include <xlens/trace/capture_source.hpp>
#include <xlens/trace/coefficient_examples.hpp>
#include <xlens/trace/find_examples.hpp>
#include <xlens/trace/head_shares.hpp>
#include <xlens/trace/keep_sites.hpp>
#include <xlens/trace/largest_contributions.hpp>
#include <xlens/trace/merge_captures.hpp>
#include <xlens/trace/observe.hpp>
#include <xlens/trace/observe_patterns.hpp>
#include <xlens/trace/observe_sources.hpp>
#include <xlens/trace/observe_updates.hpp>
#include <xlens/trace/position_choice.hpp>
#include <xlens/trace/residual.hpp>
#include <xlens/trace/saturation.hpp>
#include <xlens/trace/top_hits.hpp>
#include <xlens/trace/trace.hpp>
