// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/trace/capture_manifest.hpp>
#include <xlens/trace/capture_rows.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/io/crc32.hpp>

#include <algorithm>
#include <system_error>
#endif

namespace xlens {

/// Reads the rows of a finished capture, first to last, whole files at a time: each is checked
/// against the manifest, its checksum among the rest. Throws xlens::error for files that are not
/// what the manifest says.
class capture_reader {
public:
    explicit capture_reader(std::filesystem::path folder);

    [[nodiscard]] const capture_manifest& manifest() const { return m_manifest; }
    /// Appends the next `count` rows to `to`, of the same arrays, which has room for them.
    void read(std::size_t count, capture_rows& to);
    /// Rows that have not been read.
    [[nodiscard]] std::uint64_t left() const { return m_manifest.rows() - m_row; }

private:
    void open_next();

    std::filesystem::path m_folder;
    capture_manifest m_manifest;
    std::vector<mapped_file> m_open;                   // the files of these rows
    std::vector<std::span<const std::byte>> m_arrays;  // what is left of each array in them
    std::uint64_t m_row = 0;
    std::size_t m_number = 0;  // of the next files
    std::size_t m_here = 0;    // rows that are left in the open ones
    std::size_t m_listed = 0;  // files that were opened
};

#if XLENS_DEFINES(trace)

XLENS_API capture_reader::capture_reader(std::filesystem::path folder)
    : m_folder(std::move(folder)), m_manifest(m_folder) {
    // Now, not when it is their turn: others are written by then.
    for (const capture_file& f : m_manifest.files()) {
        const std::filesystem::path path = m_folder / f.name;
        std::error_code problem;
        if (!std::filesystem::exists(path, problem)) {
            fail("{}: a file of {} is missing", printable(path.string(), 1024), m_manifest.name());
        }
    }
}

XLENS_API void capture_reader::open_next() {
    const capture_facts& facts = m_manifest.facts();
    const std::uint64_t rows = std::min<std::uint64_t>(facts.file_rows, left());
    m_open.clear();
    m_arrays.assign(facts.layouts.size(), {});
    m_here = static_cast<std::size_t>(rows);
    for (const capture_file_plan& plan :
         plan_capture_files(facts.storage, facts.layouts, m_number, m_here)) {
        const auto path = m_folder / plan.name;
        if (m_listed == m_manifest.files().size() ||
            m_manifest.files()[m_listed].name != plan.name) {
            fail("{}: files: expected '{}'", m_manifest.name(), plan.name);
        }
        const capture_file& listed = m_manifest.files()[m_listed++];
        const mapped_file& file = m_open.emplace_back(path);
        const auto header = std::as_bytes(std::span(plan.header));
        std::size_t size = header.size();
        for (const std::size_t a : plan.arrays) { size += m_here * facts.layouts[a].row_bytes(); }
        if (file.bytes().size() != size ||
            !std::ranges::equal(file.bytes().first(header.size()), header)) {
            fail("{}: damaged: not the {} bytes and the header that were written", file.name(),
                 size);
        }
        if (const std::uint32_t sum = crc32(file.bytes()); sum != listed.crc32) {
            fail("{}: damaged: checksum {}, expected {}", file.name(), fmt::format("{:08x}", sum),
                 fmt::format("{:08x}", listed.crc32));
        }
        std::size_t at = header.size();
        for (const std::size_t a : plan.arrays) {
            const std::size_t bytes = m_here * facts.layouts[a].row_bytes();
            m_arrays[a] = file.bytes().subspan(at, bytes);
            at += bytes;
        }
    }
    ++m_number;
}

XLENS_API void capture_reader::read(std::size_t count, capture_rows& to) {
    if (count > left()) {
        fail("{}: sequences of {} more rows than there are", m_manifest.name(), count - left());
    }
    while (count > 0) {
        if (m_here == 0) { open_next(); }
        const std::size_t some = std::min(count, m_here);
        for (std::size_t a = 0; a < m_arrays.size(); ++a) {
            const std::span<std::byte> target = to.bytes(a, to.count(), some);
            std::ranges::copy(m_arrays[a].first(target.size()), target.begin());
            m_arrays[a] = m_arrays[a].subspan(target.size());
        }
        to.add(some);
        m_row += some;
        m_here -= some;
        count -= some;
    }
}

#endif

}  // namespace xlens
