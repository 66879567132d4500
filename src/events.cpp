// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for events/ (core/compiled.hpp).
#define XLENS_BUILDING_events 1
#include <xlens/events/checkpoint.hpp>
#include <xlens/events/detect.hpp>
#include <xlens/events/event_reader.hpp>
#include <xlens/events/event_rows.hpp>
#include <xlens/events/events.hpp>
#include <xlens/events/functional.hpp>
#include <xlens/events/functional_clusters.hpp>
#include <xlens/events/functional_rows.hpp>
#include <xlens/events/options.hpp>
#include <xlens/events/paper_figures.hpp>
#include <xlens/events/record_updates.hpp>
#include <xlens/events/scores.hpp>
#include <xlens/events/statistics.hpp>
