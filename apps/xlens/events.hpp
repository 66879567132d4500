// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine.hpp"
#include "json_writer.hpp"

#include <xlens/analysis/events.hpp>
#include <xlens/analysis/events/functional.hpp>

#include <string>

namespace xlens::program {

/// What `xlens events` shows.
struct events_view {
    const engine& model;
    const event_run& run;
    const event_statistics& found;
    const functional_vectors& functional;
};

/// The document of --json and of FOLDER/events.json.
void write_events(json_writer& out, const events_view& view);
void print_events(const events_view& view);

}  // namespace xlens::program
