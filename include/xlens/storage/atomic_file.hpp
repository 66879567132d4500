// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/storage/open_files.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
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

    void write(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const ssize_t count = ::write(m_number, bytes.data(), bytes.size());
            if (count < 0 && errno == EINTR) { continue; }
            if (count < 0) { refuse(errno); }
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        }
    }
    void commit() {
        give_rights();
        put_in_place();
    }
    /// The first half of commit: takes no time, but asks for the umask of the process, which other
    /// threads must not need meanwhile.
    void give_rights() {
        refuse_input(m_path);  // it may have been opened since
        // mkstemp made it for its owner alone; give it the rights that a new file would have.
        const mode_t mask = ::umask(0);
        ::umask(mask);
        if (::fchmod(m_number, 0666 & ~mask) != 0) { refuse(errno); }
    }
    /// The second: waits for the disk.
    void put_in_place() {
        if (::fsync(m_number) != 0) { refuse(errno); }
        if (::rename(m_part.c_str(), m_path.c_str()) != 0) { refuse(errno); }
        ::close(std::exchange(m_number, -1));
    }

private:
    [[noreturn]] void refuse(int reason) const {
        fail("{}: cannot be written: {}", printable(m_path.string(), 1024),
             std::generic_category().message(reason));
    }

    std::filesystem::path m_path;
    std::string m_part;
    int m_number = -1;
};

}  // namespace xlens
