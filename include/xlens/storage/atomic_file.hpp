// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/storage/open_files.hpp>
#include <xlens/storage/past_cache.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace xlens {

/// A file that appears under its name only when it is whole: bytes go to a file beside it, which
/// `commit` flushes to the disk and renames. Destroyed before that, it leaves nothing behind, and a
/// file that had the name keeps its contents. Throws xlens::error, also where the name is that of a
/// file that is being read.
class atomic_file {
public:
    explicit atomic_file(std::filesystem::path path)
        : m_path(std::move(path)), m_part(m_path.string() + ".XXXXXX") {
        std::error_code ignored;
        const auto status = std::filesystem::status(m_path, ignored);
        if (std::filesystem::is_directory(status)) { refuse(EISDIR); }
        // A rename would put a file in the place of a device.
        if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
            fail("{}: cannot be written: not a regular file", printable(m_path.string(), 1024));
        }
        refuse_input(m_path);
        m_number = ::mkstemp(m_part.data());
        if (m_number < 0) { refuse(errno); }
    }
    ~atomic_file() {
        if (m_number < 0) { return; }
        ::close(m_number);
        ::unlink(m_part.c_str());
    }
    atomic_file(const atomic_file&) = delete;
    atomic_file& operator=(const atomic_file&) = delete;

    /// For a large file, before anything is written: past the system's cache.
    void write_past_cache() { m_pieces.emplace(m_number); }
    void write(std::span<const std::byte> bytes) {
        if (m_pieces) {
            if (!m_pieces->write(bytes)) { refuse(errno); }
            return;
        }
        while (!bytes.empty()) {
            const ssize_t count = write_some(m_number, bytes);
            if (count < 0) { refuse(errno); }
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        }
    }
    /// Waits for the disk. mkstemp made the file for its owner alone: it gets `rights`.
    void commit(mode_t rights = new_file_rights()) {
        refuse_input(m_path);  // it may have been opened since
        if (m_pieces && !m_pieces->finish()) { refuse(errno); }
        if (::fchmod(m_number, rights) != 0) { refuse(errno); }
        if (::fsync(m_number) != 0) { refuse(errno); }
        if (::rename(m_part.c_str(), m_path.c_str()) != 0) { refuse(errno); }
        ::close(std::exchange(m_number, -1));
    }
    /// The rights that a new file has. Changes the umask of the process for a moment, in which
    /// other threads must not need it.
    [[nodiscard]] static mode_t new_file_rights() {
        const mode_t mask = ::umask(0);
        ::umask(mask);
        return 0666 & ~mask;
    }

private:
    [[noreturn]] void refuse(int reason) const {
        fail("{}: cannot be written: {}", printable(m_path.string(), 1024),
             std::generic_category().message(reason));
    }

    std::filesystem::path m_path;
    std::string m_part;
    int m_number = -1;
    std::optional<past_cache> m_pieces;
};

}  // namespace xlens
