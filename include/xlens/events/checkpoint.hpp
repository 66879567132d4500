// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/events/statistics.hpp>
#include <xlens/storage/byte_reader.hpp>
#include <xlens/storage/byte_writer.hpp>
#include <xlens/text/text_windows.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(events)
#include <xlens/core/error.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/fingerprint.hpp>
#include <xlens/storage/mapped_file.hpp>

#include <cstring>
#endif

namespace xlens {

/// What a run is of, as (name, value): a checkpoint belongs to runs with equal values alone.
using run_identity = std::vector<std::pair<std::string, std::string>>;

/// Where a run of `events` stands.
struct event_checkpoint {
    text_cursor cursor;
    std::uint64_t rows_bytes = 0;  ///< of the table of events, so far
    std::uint64_t cut = 0;         ///< 1: the limit ended the run within a window
    event_statistics found;
};

namespace detail {

inline constexpr std::string_view checkpoint_magic = "xlens events checkpoint 3\n";

[[noreturn]] XLENS_API void fail_damaged(std::string_view file);

/// A list that must have as many elements as `to` has.
template <class T>
void fill(byte_reader& in, std::vector<T>& to, std::string_view field) {
    std::vector<T> list = in.list<T>(field);
    if (list.size() != to.size()) { fail_damaged(in.file()); }
    to = std::move(list);
}

XLENS_API void check_identity(byte_reader& in, const run_identity& now);

}  // namespace detail

/// Writes a checkpoint; the file is whole or is the one before.
XLENS_API void write_checkpoint(const std::filesystem::path& path, const run_identity& identity,
                                event_checkpoint& now);

/// Reads a checkpoint into `to`, whose statistics must have the model's size. Throws xlens::error
/// if it is none, is damaged, or belongs to another run; the message names what differs.
XLENS_API void read_checkpoint(const std::filesystem::path& path, const run_identity& identity,
                               event_checkpoint& to);

#if XLENS_DEFINES(events)

namespace detail {

[[noreturn]] XLENS_API void fail_damaged(std::string_view file) {
    fail("{}: damaged; delete it to start from the beginning", file);
}

XLENS_API void check_identity(byte_reader& in, const run_identity& now) {
    const auto count = in.number<std::uint64_t>("identity");
    if (count != now.size()) { fail_damaged(in.file()); }
    for (const auto& [field, value] : now) {
        const std::string_view then_field = in.string("identity");
        const std::string_view then = in.string(field);
        if (then_field != field) { fail_damaged(in.file()); }
        if (then != value) {
            fail(
                "{}: belongs to a run with {} {}, this one has {}; delete it to start from the "
                "beginning",
                in.file(), field, printable(then), printable(value));
        }
    }
}

}  // namespace detail

XLENS_API void write_checkpoint(const std::filesystem::path& path, const run_identity& identity,
                                event_checkpoint& now) {
    byte_buffer body;
    byte_writer out(body);
    out.size(identity.size());
    for (const auto& [field, value] : identity) {
        out.string(field);
        out.string(value);
    }
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
    fnv1a hash;
    hash.add(body.bytes);
    atomic_file file(path);
    byte_writer whole(file);
    whole.values(std::span(detail::checkpoint_magic));
    whole.value(hash.value());
    whole.values(std::span(body.bytes));
    file.commit();
}

XLENS_API void read_checkpoint(const std::filesystem::path& path, const run_identity& identity,
                               event_checkpoint& to) {
    const mapped_file file(path);
    const std::span<const std::byte> bytes = file.bytes();
    const auto magic = std::as_bytes(std::span(detail::checkpoint_magic));
    if (bytes.size() < magic.size() || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) {
        fail("{}: expected a checkpoint of xlens events, version 3", file.name());
    }
    byte_reader in(file.name(), bytes);
    in.take(magic.size(), "begin");
    const auto sum = in.number<std::uint64_t>("checksum");
    fnv1a hash;
    hash.add(bytes.subspan(in.position()));
    if (hash.value() != sum) { detail::fail_damaged(file.name()); }
    detail::check_identity(in, identity);
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
