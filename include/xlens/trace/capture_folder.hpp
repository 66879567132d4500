// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/hash.hpp>
#include <xlens/core/later_work.hpp>
#include <xlens/storage/growing_file.hpp>
#include <xlens/trace/capture_manifest.hpp>
#include <xlens/trace/capture_rows.hpp>

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/io/crc32.hpp>
#include <xlens/storage/atomic_file.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#endif

namespace xlens {

/// How far a capture is.
struct capture_progress {
    std::uint64_t sequences = 0;           ///< of the input, done or left to other shards
    std::uint64_t captured = 0;            ///< of these, captured
    std::uint64_t rows = 0;                ///< of these
    std::uint64_t tokens = 0;              ///< of these
    std::uint64_t hash = fnv1a().value();  ///< of the tokens of `sequences`
};

/// A folder that a capture is written into: rows become files as soon as there are enough for one,
/// beside what fills the next, and never change again. `capture.checkpoint` says where the run
/// stands, with the rows that are in no file yet, so that the same run goes on from there; at the
/// end come `manifest.json` and, with it, the end of the checkpoint. Memory: rows of two files.
class capture_folder {
public:
    /// Goes on with what is there. Throws xlens::error for a folder that holds something else, or
    /// another capture, and one that cannot be written.
    capture_folder(std::filesystem::path path, capture_facts facts);
    capture_folder(const capture_folder&) = delete;
    capture_folder& operator=(const capture_folder&) = delete;

    /// Whether the folder holds the whole capture already.
    [[nodiscard]] bool finished() const { return m_finished; }
    [[nodiscard]] const capture_progress& progress() const { return m_progress; }
    [[nodiscard]] const std::vector<capture_file>& files() const { return m_files; }
    /// Where the next rows go: there is room for one at least after make_room().
    [[nodiscard]] capture_rows& rows() { return m_rows; }
    /// Makes a file of the rows where they fill one.
    void make_room();

    /// A sequence whose rows are in is done.
    void end_sequence(const capture_sequence& s);
    /// A sequence is left to another shard.
    void skip_sequence(std::span<const token_id> tokens);
    /// Writes the checkpoint.
    void save();
    /// Writes the last rows and the manifest.
    void finish();

private:
    [[nodiscard]] std::filesystem::path checkpoint() const { return m_path / checkpoint_name; }
    void open();
    void refuse_others() const;
    void resume();
    void check_file(const capture_file& f) const;
    void forget_run() const;
    void write_files();
    void wait_for_files();
    void hash(std::span<const token_id> tokens);

    /// Rows that become files, and these, once they are there.
    struct full_rows {
        capture_rows rows;
        std::vector<capture_file_plan> plans{};
        std::vector<capture_file> files{};

        void write(const std::filesystem::path& folder, std::uint64_t first_row, mode_t rights);
    };

    static constexpr const char* checkpoint_name = "capture.checkpoint";
    static constexpr const char* lines_name = "sequences.jsonl";
    static constexpr checkpoint_kind kind{"capture", 1};

    std::filesystem::path m_path;
    capture_facts m_facts;
    capture_rows m_rows;
    capture_progress m_progress;
    std::vector<capture_file> m_files;
    std::uint64_t m_lines_bytes = 0;
    std::optional<growing_file> m_lines;
    std::shared_ptr<full_rows> m_full;  // of the files before
    later_work m_writing;               // of these
    std::size_t m_written = 0;          // files' worths of rows
    std::uint64_t m_in_files = 0;       // rows
    bool m_finished = false;
};

#if XLENS_DEFINES(trace)

namespace detail {

inline capture_facts with_sorted_identity(capture_facts facts) {
    std::sort(facts.identity.begin(), facts.identity.end());
    return facts;
}

/// Whether a file of this name may be what a run that was killed had begun to write.
inline bool is_left_over(std::string_view name) {
    constexpr std::size_t suffix = 7;  // a dot and mkstemp's six letters
    if (name.size() <= suffix || name[name.size() - suffix] != '.') { return false; }
    name.remove_suffix(suffix);
    return name.ends_with(".safetensors") || name.ends_with(".npy") ||
           name == capture_manifest_name || name == "capture.checkpoint";
}

}  // namespace detail

XLENS_API capture_folder::capture_folder(std::filesystem::path path, capture_facts facts)
    : m_path(std::move(path)),
      m_facts(detail::with_sorted_identity(std::move(facts))),
      m_rows(m_facts.layouts, static_cast<std::size_t>(m_facts.file_rows)) {
    open();
}

XLENS_API void capture_folder::open() {
    std::error_code problem;
    const auto there = std::filesystem::status(m_path, problem);
    if (std::filesystem::exists(there) && !std::filesystem::is_directory(there)) {
        fail("{}: expected a folder, there is a file of this name",
             printable(m_path.string(), 1024));
    }
    std::filesystem::create_directories(m_path, problem);
    if (problem) {
        fail("{}: cannot be made: {}", printable(m_path.string(), 1024), problem.message());
    }
    if (std::filesystem::exists(m_path / capture_manifest_name, problem)) {
        const capture_manifest made(m_path);
        check_same_run(made.name(), made.facts().identity, m_facts.identity);
        m_finished = true;
        m_files = made.files();
        std::ranges::for_each(m_files, [&](const capture_file& f) { check_file(f); });
        m_progress.rows = made.rows();
        m_progress.captured = made.sequences();
        forget_run();
        return;
    }
    if (std::filesystem::exists(checkpoint(), problem)) {
        resume();
    } else {
        refuse_others();
        save();  // from now on the folder is ours
    }
    m_lines.emplace(m_path / lines_name, m_lines_bytes);
}

XLENS_API void capture_folder::refuse_others() const {
    std::error_code problem;
    for (const auto& entry : std::filesystem::directory_iterator(m_path, problem)) {
        fail("{}: holds '{}', expected a new folder, an empty one or a capture to go on with",
             printable(m_path.string(), 1024), printable(entry.path().filename().string()));
    }
    if (problem) {
        fail("{}: cannot be read: {}", printable(m_path.string(), 1024), problem.message());
    }
}

XLENS_API void capture_folder::save() {
    wait_for_files();  // the checkpoint speaks of them
    byte_buffer body;
    byte_writer out(body);
    m_lines_bytes = m_lines ? m_lines->flush() : 0;
    out.value(m_progress);
    out.value(m_lines_bytes);
    out.size(m_written);
    out.size(m_files.size());
    for (const capture_file& f : m_files) {
        out.string(f.name);
        out.value(f.first_row);
        out.value(f.rows);
        out.value(f.bytes);
        out.value(f.crc32);
    }
    out.size(m_rows.count());
    for (std::size_t a = 0; a < m_rows.layouts().size(); ++a) {
        out.values(m_rows.bytes(a, 0, m_rows.count()));
    }
    write_run_checkpoint(checkpoint(), kind, m_facts.identity, body);
}

XLENS_API void capture_folder::resume() {
    run_checkpoint file(checkpoint(), kind, m_facts.identity);
    byte_reader& in = file.body();
    m_progress = in.value<capture_progress>("progress");
    m_lines_bytes = in.number<std::uint64_t>("lines");
    m_written = static_cast<std::size_t>(in.number<std::uint64_t>("files"));
    const auto count = in.number<std::uint64_t>("files");
    for (std::uint64_t i = 0; i < count; ++i) {
        capture_file f;
        f.name = in.string("file");
        f.first_row = in.number<std::uint64_t>("file");
        f.rows = in.number<std::uint64_t>("file");
        f.bytes = in.number<std::uint64_t>("file");
        f.crc32 = in.number<std::uint32_t>("file");
        check_file(f);
        m_files.push_back(std::move(f));
    }
    const auto rows = in.number<std::uint64_t>("rows");
    if (rows > m_rows.room()) { fail_damaged(in.file()); }
    m_rows.add(static_cast<std::size_t>(rows));
    m_in_files = m_progress.rows - rows;
    for (std::size_t a = 0; a < m_rows.layouts().size(); ++a) {
        const std::span<std::byte> to = m_rows.bytes(a, 0, m_rows.count());
        std::ranges::copy(in.take(to.size(), "rows"), to.begin());
    }
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(m_path, ignored)) {
        if (detail::is_left_over(entry.path().filename().string())) {
            std::filesystem::remove(entry.path(), ignored);
        }
    }
}

XLENS_API void capture_folder::check_file(const capture_file& f) const {
    std::error_code missing;
    const auto bytes = std::filesystem::file_size(m_path / f.name, missing);
    if (missing || bytes != f.bytes) {
        fail("{}: {}, expected the {} bytes that were written",
             printable((m_path / f.name).string(), 1024),
             missing ? missing.message() : fmt::format("{} bytes", bytes), f.bytes);
    }
}

XLENS_API void capture_folder::forget_run() const {
    std::error_code ignored;
    std::filesystem::remove(m_path / (std::string(lines_name) + ".part"), ignored);
    std::filesystem::remove(checkpoint(), ignored);
}

XLENS_API void capture_folder::full_rows::write(const std::filesystem::path& folder,
                                                std::uint64_t first_row, mode_t rights) {
    for (const capture_file_plan& plan : plans) {
        capture_file out{plan.name, first_row, rows.count()};
        atomic_file file(folder / plan.name);
        file.write_past_cache();
        const auto put = [&](std::span<const std::byte> bytes) {
            out.bytes += bytes.size();
            while (!bytes.empty()) {  // so much stays in a cache that it is read once
                const auto some = bytes.first(std::min(bytes.size(), std::size_t{1} << 17U));
                file.write(some);
                out.crc32 = crc32(some, out.crc32);
                bytes = bytes.subspan(some.size());
            }
        };
        put(std::as_bytes(std::span(plan.header)));
        for (const std::size_t a : plan.arrays) { put(rows.bytes(a, 0, rows.count())); }
        file.commit(rights);
        files.push_back(std::move(out));
    }
}

XLENS_API void capture_folder::write_files() {
    wait_for_files();
    if (!m_full) {
        m_full = std::make_shared<full_rows>(
            full_rows{capture_rows(m_facts.layouts, m_rows.capacity())});
    }
    m_full->plans = plan_capture_files(m_facts.storage, m_facts.layouts, m_written, m_rows.count());
    std::swap(m_full->rows, m_rows);
    m_rows.clear();
    m_writing.begin(
        [full = m_full, folder = m_path, first = m_in_files,
         rights = atomic_file::new_file_rights()] { full->write(folder, first, rights); });
    m_in_files += m_full->rows.count();
    ++m_written;
}

/// Until the rows before are in their files.
XLENS_API void capture_folder::wait_for_files() {
    m_writing.wait();
    if (!m_full) { return; }
    for (capture_file& f : m_full->files) { m_files.push_back(std::move(f)); }
    m_full->files.clear();
}

XLENS_API void capture_folder::make_room() {
    if (m_rows.room() == 0) { write_files(); }
}

XLENS_API void capture_folder::hash(std::span<const token_id> tokens) {
    fnv1a hash(m_progress.hash);
    hash.add(tokens.size());
    hash.add(std::as_bytes(tokens));
    m_progress.hash = hash.value();
    ++m_progress.sequences;
}

XLENS_API void capture_folder::skip_sequence(std::span<const token_id> tokens) { hash(tokens); }

XLENS_API void capture_folder::end_sequence(const capture_sequence& s) {
    m_lines->write(capture_sequence_json(s, m_progress.rows) + '\n');
    hash(s.tokens);
    m_progress.rows += s.rows;
    m_progress.tokens += s.tokens.size();
    ++m_progress.captured;
}

XLENS_API void capture_folder::finish() {
    if (m_rows.count() > 0) { write_files(); }
    wait_for_files();
    m_lines->flush();
    const auto part = m_path / (std::string(lines_name) + ".part");
    write_capture_manifest(m_path, m_facts, m_progress.rows, m_files, part);
    m_lines.reset();
    forget_run();
    m_finished = true;
}

#endif

}  // namespace xlens
