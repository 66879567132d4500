// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/events/statistics.hpp>
#include <xlens/storage/run_checkpoint.hpp>
#include <xlens/text/text_windows.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// Where a run of `events` stands.
struct event_checkpoint {
    text_cursor cursor;
    std::uint64_t rows_bytes = 0;  ///< of the table of events, so far
    std::uint64_t cut = 0;         ///< 1: the limit ended the run within a window
    event_statistics found;
};

namespace detail {

inline constexpr checkpoint_kind events_checkpoint{"events", 3};

/// A list that must have as many elements as `to` has.
template <class T>
void fill(byte_reader& in, std::vector<T>& to, std::string_view field) {
    std::vector<T> list = in.list<T>(field);
    if (list.size() != to.size()) { fail_damaged(in.file()); }
    to = std::move(list);
}

}  // namespace detail

/// Writes a checkpoint; the file is whole or is the one before.
XLENS_API void write_checkpoint(const std::filesystem::path& path, const run_identity& identity,
                                event_checkpoint& now);

/// Reads a checkpoint into `to`, whose statistics must have the model's size. Throws xlens::error
/// if it is none, is damaged, or belongs to another run; the message names what differs.
XLENS_API void read_checkpoint(const std::filesystem::path& path, const run_identity& identity,
                               event_checkpoint& to);

#if XLENS_DEFINES(events)

XLENS_API void write_checkpoint(const std::filesystem::path& path, const run_identity& identity,
                                event_checkpoint& now) {
    byte_buffer body;
    byte_writer out(body);
    out.value(now.cursor);
    out.value(now.rows_bytes);
    out.value(now.cut);
    out.value(now.found.tokens);
    out.value(now.found.positions);
    out.value(now.found.windows);
    out.value(now.found.settled_counts);
    for (update_means& means : now.found.means) { out.list(means.state()); }
    out.list(now.found.neurons);
    out.list(now.found.extreme_updates);
    out.list(now.found.saturation_layers);
    out.list(now.found.by_part);
    out.value(now.found.part_positions);
    write_run_checkpoint(path, detail::events_checkpoint, identity, body);
}

XLENS_API void read_checkpoint(const std::filesystem::path& path, const run_identity& identity,
                               event_checkpoint& to) {
    run_checkpoint file(path, detail::events_checkpoint, identity);
    byte_reader& in = file.body();
    event_statistics& found = to.found;
    to.cursor = in.value<text_cursor>("cursor");
    to.rows_bytes = in.number<std::uint64_t>("rows");
    to.cut = in.number<std::uint64_t>("cut");
    found.tokens = in.number<std::uint64_t>("tokens");
    found.positions = in.number<std::uint64_t>("positions");
    found.windows = in.number<std::uint64_t>("windows");
    found.settled_counts = in.value<decltype(found.settled_counts)>("settled positions");
    for (update_means& means : found.means) { detail::fill(in, means.state(), "means"); }
    detail::fill(in, found.neurons, "neurons");
    detail::fill(in, found.extreme_updates, "extreme updates");
    detail::fill(in, found.saturation_layers, "saturation layers");
    detail::fill(in, found.by_part, "parts");
    found.part_positions = in.value<decltype(found.part_positions)>("positions of the parts");
}

#endif

}  // namespace xlens
