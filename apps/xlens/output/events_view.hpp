// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "output/json_writer.hpp"

#include <xlens/concepts/clusters.hpp>
#include <xlens/events/events.hpp>
#include <xlens/events/functional.hpp>
#include <xlens/events/functional_clusters.hpp>
#include <xlens/lens/token_ends.hpp>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace xlens::program {

/// Clusters of a file, and what extreme scores they give.
struct counted_clusters {
    std::string path;
    clusters of;
    functional_clusters functional;
};

/// What `xlens events` shows.
struct events_view {
    const engine& model;
    const event_run& run;
    const event_statistics& found;
    const functional_vectors& functional;
    std::span<const std::shared_ptr<const token_ends>> concepts;  // of the first of `often`
    const std::optional<counted_clusters>& by_cluster;
};

/// Value vectors that are named by their tokens, in the document, and how many tokens an end.
inline constexpr std::size_t named_vectors = 50;
inline constexpr std::size_t named_tokens = 10;

/// The document of --json and of FOLDER/events.json.
void write_events(json_writer& out, const events_view& view);
void print_events(const events_view& view);
/// events.json, with the record of the run, the tables as CSV and report.html.
void write_events_folder(const events_view& view, const run_record& run,
                         const std::filesystem::path& folder);

/// The clusters' part of both: the value of "functional_clusters", and a table.
void write_functional_clusters(json_writer& out, const events_view& view,
                               const counted_clusters& found);
void print_functional_clusters(const events_view& view, const counted_clusters& found);

/// {"share", "margin"…} of functional_share, as fields of an open object.
void write_share(json_writer& out, std::string_view name, const functional_share& share);
/// "1.81 ± 0.02 %".
std::string share_text(double share, double margin);

}  // namespace xlens::program
