// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#if XLENS_DEFINES(storage)
#include <xlens/core/error.hpp>
#include <xlens/storage/open_files.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#endif

namespace xlens {

/// A file that grows while a run goes on, beside the name that it will get: `path`.part. A run that
/// goes on later cuts it back to what its checkpoint knows of. Throws xlens::error, also where a
/// name is that of a file that is being read.
class growing_file {
public:
    /// Goes on after the first `kept` bytes.
    growing_file(std::filesystem::path path, std::uint64_t kept);

    void write(std::string_view text);
    /// Everything is on the disk; how much that is.
    std::uint64_t flush();
    /// Gives the file its name.
    void finish();

private:
    struct closer {
        void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
    };
    [[noreturn]] static void refuse(const std::string& name);

    std::filesystem::path m_path;
    std::string m_part;
    std::uint64_t m_bytes = 0;
    std::unique_ptr<std::FILE, closer> m_file;
};

#if XLENS_DEFINES(storage)

XLENS_API growing_file::growing_file(std::filesystem::path path, std::uint64_t kept)
    : m_path(std::move(path)), m_part(m_path.string() + ".part"), m_bytes(kept) {
    refuse_input(m_path);
    refuse_input(m_part);
    std::error_code ignored;
    if (kept > 0 && !std::filesystem::exists(m_part, ignored)) {
        std::filesystem::rename(m_path, m_part, ignored);  // it was finished
    }
    // A name that can be foretold may be somebody's link to another file, or a pipe.
    const int number =
        ::open(m_part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (number < 0) { refuse(m_part); }
    m_file.reset(::fdopen(number, "r+b"));
    if (!m_file) {
        ::close(number);
        refuse(m_part);
    }
    struct stat status {};
    if (::fstat(number, &status) != 0) { refuse(m_part); }
    if (!S_ISREG(status.st_mode)) {
        fail("{}: cannot be written: not a regular file", printable(m_part, 1024));
    }
    if (static_cast<std::uint64_t>(status.st_size) < kept) {
        fail("{}: {} bytes, the run to be continued had written {}", printable(m_part, 1024),
             static_cast<std::uint64_t>(status.st_size), kept);
    }
    if (::ftruncate(::fileno(m_file.get()), static_cast<off_t>(kept)) != 0 ||
        std::fseek(m_file.get(), 0, SEEK_END) != 0) {
        refuse(m_part);
    }
}

XLENS_API void growing_file::write(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), m_file.get()) != text.size()) { refuse(m_part); }
    m_bytes += text.size();
}

XLENS_API std::uint64_t growing_file::flush() {
    if (std::fflush(m_file.get()) != 0 || ::fsync(::fileno(m_file.get())) != 0) { refuse(m_part); }
    return m_bytes;
}

XLENS_API void growing_file::finish() {
    flush();
    m_file.reset();
    if (std::rename(m_part.c_str(), m_path.c_str()) != 0) { refuse(m_path.string()); }
}

XLENS_API void growing_file::refuse(const std::string& name) {
    fail("{}: cannot be written: {}", printable(name, 1024),
         std::generic_category().message(errno));
}

#endif

}  // namespace xlens
