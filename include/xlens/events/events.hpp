// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/events/checkpoint.hpp>
#include <xlens/events/event_rows.hpp>
#include <xlens/events/options.hpp>
#include <xlens/events/statistics.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/growing_file.hpp>
#include <xlens/text/tokenizer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#if XLENS_DEFINES(events)
#include <xlens/core/error.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/events/event_reader.hpp>
#include <xlens/text/text_windows.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#endif

namespace xlens {

/// A run of `events` over a text file.
struct event_run {
    std::filesystem::path text;
    std::optional<std::size_t> limit = {};             ///< tokens to read at most
    std::optional<std::filesystem::path> folder = {};  ///< events.csv, and what lets a run go on
    std::uint64_t model = 0;                           ///< its fingerprint
    std::string precision = "f32";
    std::chrono::seconds between_checkpoints{20};
    event_options options = {};
    prompt_options how = {};  ///< how the text becomes tokens
};

namespace detail {

XLENS_API run_identity identity_of(const event_run& run, std::uint64_t text_bytes);

/// What a run leaves on the disk while it goes on. Without a folder: nothing.
class event_files {
public:
    event_files(const event_run& run, run_identity identity, event_checkpoint& state);
    [[nodiscard]] bool resumes() const { return m_resumes; }
    void write(const std::string& row);
    [[nodiscard]] bool keeps_rows() const { return m_rows.has_value(); }
    void save(event_checkpoint& state);
    void finish();

private:
    run_identity m_identity;
    std::filesystem::path m_checkpoint;
    std::optional<growing_file> m_rows;
    bool m_resumes = false;
};

}  // namespace detail

/// Saturation and elimination events of a text file of any size, with the scores of their reference
/// tokens, controls, and what section 5 of Geva et al. 2022 counts: see event_reader.
///
/// With a folder, every event becomes a row of its `events.csv` at once, and `events.checkpoint`
/// says where the run stands: the same call goes on from there, with the result of a run that was
/// not interrupted, to the byte. When all is read it stays, so that the same call, or one with a
/// higher limit, need not read again. `progress(done, total)` counts tokens. Throws xlens::error
/// for a text that cannot be read, has fewer than 2 tokens or none that is looked at, a folder that
/// cannot be written, and a checkpoint that belongs to another run.
XLENS_API event_statistics events(const transformer<>& model, const tokenizer& text,
                                  const event_run& run, const progress_function& progress);

#if XLENS_DEFINES(events)

namespace detail {

XLENS_API run_identity identity_of(const event_run& run, std::uint64_t text_bytes) {
    const event_options& o = run.options;
    return {{"model", fmt::format("{:016x}", run.model)},
            {"precision", run.precision},
            {"instruction set", instruction_set()},
            {"text of bytes", std::to_string(text_bytes)},
            {"window", std::to_string(o.window)},
            {"every", std::to_string(o.every)},
            {"sub-updates", std::to_string(o.sub_updates)},
            {"seed", std::to_string(o.seed)},
            {"projection", o.form == projection::raw ? "raw" : "folded"},
            {"threshold", fmt::format("{}", o.threshold)},
            {"measured", std::to_string(o.measured)},
            {"skipped", std::to_string(o.skipped)},
            {"special tokens", run.how.special ? "parsed" : "plain text"},
            {"start tokens", run.how.bos ? "the model's" : "none"},
            {"lens", o.lens == nullptr ? "none" : fmt::format("{:016x}", o.lens->hash())}};
}

XLENS_API event_files::event_files(const event_run& run, run_identity identity,
                                   event_checkpoint& state)
    : m_identity(std::move(identity)) {
    if (!run.folder) { return; }
    std::error_code problem;
    std::filesystem::create_directories(*run.folder, problem);
    if (problem) {
        fail("{}: cannot be made: {}", printable(run.folder->string(), 1024), problem.message());
    }
    m_checkpoint = *run.folder / "events.checkpoint";
    m_resumes = std::filesystem::exists(m_checkpoint, problem);
    if (m_resumes) { read_checkpoint(m_checkpoint, m_identity, state); }
    m_rows.emplace(*run.folder / "events.csv", state.rows_bytes);
    if (!m_resumes) {
        m_rows->write(event_header(run.options.form == projection::raw ? "raw" : "folded"));
    }
}

XLENS_API void event_files::write(const std::string& row) {
    if (m_rows) { m_rows->write(row); }
}

XLENS_API void event_files::save(event_checkpoint& state) {
    if (!m_rows) { return; }
    state.rows_bytes = m_rows->flush();
    write_checkpoint(m_checkpoint, m_identity, state);
}

XLENS_API void event_files::finish() {
    if (m_rows) { m_rows->finish(); }
}

}  // namespace detail

XLENS_API event_statistics events(const transformer<>& model, const tokenizer& text,
                                  const event_run& run, const progress_function& progress) {
    using clock = std::chrono::steady_clock;
    if (run.options.window <= run.options.skipped) {
        fail("events: window: expected more than the {} positions that are skipped, got {}",
             run.options.skipped, run.options.window);
    }
    text_windows windows(run.text, text, run.options.window, run.how);
    event_checkpoint state{
        {}, 0, 0, event_statistics(model.config.layers, model.config.inner_width)};
    state.cursor = windows.cursor();
    event_reader reader(model, run.options);
    detail::event_files files(run, detail::identity_of(run, windows.bytes()), state);
    const std::uint64_t limit = run.limit.value_or(SIZE_MAX);
    if (files.resumes()) {
        const std::uint64_t read = state.found.tokens;
        if (read > limit || (state.cut != 0 && read != limit)) {
            fail(
                "limit: {} tokens, but the run in {} has read {}{}; delete its checkpoint to start "
                "from the beginning",
                limit, printable(run.folder->string(), 1024), read,
                state.cut != 0 ? ", the last window in part" : "");
        }
        windows.seek(state.cursor);
        reader.resume(state.found);
    }
    const std::size_t every = std::max<std::size_t>(run.options.every, 1);
    auto saved = clock::now();
    const auto save = [&] {
        state.cursor = windows.cursor();
        state.found = reader.statistics();
        files.save(state);
        saved = clock::now();
    };
    while (reader.statistics().tokens < limit) {
        const std::uint64_t first = windows.cursor().tokens;
        std::vector<token_id> tokens = windows.next();
        if (tokens.empty()) { break; }
        if (first / run.options.window % every != 0) { continue; }
        const std::uint64_t left = limit - reader.statistics().tokens;
        state.cut = tokens.size() > left ? 1 : 0;
        tokens.resize(static_cast<std::size_t>(std::min<std::uint64_t>(tokens.size(), left)));
        if (first == 0 && tokens.size() < 2) {
            fail("{}: {} tokens, expected at least 2", printable(run.text.string(), 1024),
                 tokens.size());
        }
        reader.read(tokens, first, [&](const text_event& e) {
            if (!files.keeps_rows()) { return; }
            files.write(event_row(e, run.options.form, text.text(e.what.token)));
        });
        if (clock::now() - saved >= run.between_checkpoints) { save(); }
        progress(static_cast<std::size_t>(reader.statistics().tokens),
                 std::min(static_cast<std::size_t>(limit), windows.expected_tokens() / every));
    }
    if (reader.statistics().positions == 0) {
        fail("{}: {} tokens, expected more than the {} that are skipped in every window",
             printable(run.text.string(), 1024), reader.statistics().tokens, run.options.skipped);
    }
    save();
    files.finish();
    return reader.statistics();
}

#endif

}  // namespace xlens
