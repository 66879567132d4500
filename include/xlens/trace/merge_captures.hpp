// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/trace/capture.hpp>

#include <filesystem>
#include <span>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/trace/capture_folder.hpp>
#include <xlens/trace/capture_reader.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>
#endif

namespace xlens {

/// Puts the shards of a run together (capture_shard; in any order) into a new folder, which then
/// has, byte for byte, what the whole run would have written. The record of the run is that of
/// shard 0. Memory: a file's rows and the manifests. `progress` counts rows. Throws xlens::error
/// for shards of different runs, one that is missing or there twice, and files that are damaged.
XLENS_API capture_result merge_captures(std::span<const std::filesystem::path> parts,
                                        const std::filesystem::path& folder,
                                        const progress_function& progress = {});

#if XLENS_DEFINES(trace)

namespace detail {

inline std::string& shard_of(run_identity& identity, std::string_view file) {
    for (auto& [name, value] : identity) {
        if (name == "shard") { return value; }
    }
    fail("{}: identity: shard is missing", file);
}

/// The shards in their order, all of one run.
inline std::vector<capture_reader> open_shards(std::span<const std::filesystem::path> parts) {
    std::vector<capture_reader> out;
    std::vector<const std::filesystem::path*> folders(parts.size());
    for (const std::filesystem::path& p : parts) {
        const capture_manifest m(p);
        run_identity identity = m.facts().identity;
        const capture_shard shard = parse_shard(m.name() + ": shard", shard_of(identity, m.name()));
        if (shard.of != parts.size()) {
            fail("{}: shard {}/{}, expected as many folders, got {}", m.name(), shard.number,
                 shard.of, parts.size());
        }
        if (folders[shard.number] != nullptr) {
            fail("{}: shard {}/{}, which is that of {}, too", m.name(), shard.number, shard.of,
                 printable(folders[shard.number]->string(), 1024));
        }
        folders[shard.number] = &p;
    }
    for (const std::filesystem::path* p : folders) { out.emplace_back(*p); }
    run_identity first = out.front().manifest().facts().identity;
    const std::string shard = shard_of(first, out.front().manifest().name());
    for (const capture_reader& r : out) {
        const capture_facts& facts = r.manifest().facts();
        run_identity identity = facts.identity;
        shard_of(identity, r.manifest().name()) = shard;
        for (std::size_t i = 0; i < std::min(first.size(), identity.size()); ++i) {
            if (identity[i] != first[i]) {
                fail("{}: {} {}, in {} {} {}", r.manifest().name(), identity[i].first,
                     printable(identity[i].second), out.front().manifest().name(), first[i].first,
                     printable(first[i].second));
            }
        }
        if (facts.layouts != out.front().manifest().facts().layouts ||
            facts.file_rows != out.front().manifest().facts().file_rows ||
            facts.storage != out.front().manifest().facts().storage) {
            fail("{}: other arrays than in {}", r.manifest().name(), out.front().manifest().name());
        }
    }
    return out;
}

/// The rows of one sequence, which may fill several files.
inline void copy_rows(capture_reader& from, std::uint64_t rows, capture_folder& to) {
    while (rows > 0) {
        to.make_room();
        const auto some = std::min<std::uint64_t>(rows, to.rows().room());
        from.read(static_cast<std::size_t>(some), to.rows());
        rows -= some;
    }
}

}  // namespace detail

XLENS_API capture_result merge_captures(std::span<const std::filesystem::path> parts,
                                        const std::filesystem::path& folder,
                                        const progress_function& progress) {
    if (parts.empty()) { fail("merge: expected at least 1 folder, got none"); }
    std::vector<capture_reader> shards = detail::open_shards(parts);
    capture_facts facts = shards.front().manifest().facts();
    detail::shard_of(facts.identity, "merge") = "0/1";
    capture_folder to(folder, facts);
    if (!to.finished() && to.progress().sequences > 0) {
        fail("{}: holds a run that was interrupted, expected a new folder",
             printable(folder.string(), 1024));
    }
    std::uint64_t all = 0;
    std::uint64_t sequences = 0;
    for (const capture_reader& r : shards) {
        all += r.manifest().rows();
        sequences += r.manifest().sequences();
    }
    for (std::uint64_t n = to.finished() ? SIZE_MAX : 0; n != SIZE_MAX; ++n) {
        capture_reader& from = shards[n % shards.size()];
        const std::uint64_t i = n / shards.size();
        if (i == from.manifest().sequences()) { break; }
        const capture_sequence s = from.manifest().sequence(static_cast<std::size_t>(i));
        if (s.number != n) {
            fail("{}: sequences[{}]: sequence {}, expected {}", from.manifest().name(), i, s.number,
                 n);
        }
        detail::copy_rows(from, s.rows, to);
        to.end_sequence(s);
        progress(static_cast<std::size_t>(to.progress().rows), static_cast<std::size_t>(all));
    }
    if (!to.finished()) {
        if (to.progress().rows != all || to.progress().captured != sequences) {
            fail("merge: {} sequences follow one another, the shards have {}: one is not whole",
                 to.progress().captured, sequences);
        }
        to.finish();
    }
    return {to.progress().captured,
            to.progress().rows,
            to.progress().tokens,
            0,
            0.0,
            facts.layouts,
            to.files(),
            facts.run};
}

#endif

}  // namespace xlens
