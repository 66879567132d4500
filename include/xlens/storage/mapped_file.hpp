// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/storage/open_files.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace xlens {

/// A file's bytes, mapped read-only: opening costs the same for any size, and pages are read from
/// the disk when they are first touched. Moving it does not move the bytes. An empty file gives an
/// empty span.
///
/// The size is fixed when the file is opened. Another process that truncates the file afterwards
/// makes a read past the new end raise SIGBUS, as every mapping does; replace files by renaming.
/// Nothing of xlens writes over a file that is mapped (storage/open_files.hpp).
///
/// Fails for anything but a regular file that can be read: folders, pipes and devices are refused
/// without being read from.
class mapped_file {
public:
    explicit mapped_file(const std::filesystem::path& path)
        : m_name(printable(path.string(), 1024)) {
        // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
        const descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
        if (file.number < 0) { fail("{}: cannot be opened: {}", m_name, reason()); }
        struct stat status {};
        if (::fstat(file.number, &status) != 0) {
            fail("{}: cannot be read: {}", m_name, reason());
        }
        if (!S_ISREG(status.st_mode)) {
            fail("{}: expected a regular file, got {}", m_name, kind(status.st_mode));
        }
        const auto size = static_cast<std::uint64_t>(status.st_size);
        if (!std::in_range<std::size_t>(size)) {
            fail("{}: {} bytes cannot be mapped", m_name, size);
        }
        m_mark = input_mark(detail::file_identity{status.st_dev, status.st_ino}, m_name);
        if (size > 0) { map(file.number, static_cast<std::size_t>(size)); }
    }
    ~mapped_file() { unmap(); }

    mapped_file(mapped_file&& other) noexcept
        : m_name(std::move(other.m_name)),
          m_mark(std::move(other.m_mark)),
          m_bytes(std::exchange(other.m_bytes, {})) {}
    mapped_file& operator=(mapped_file&& other) noexcept {
        if (this != &other) {
            unmap();
            m_name = std::move(other.m_name);
            m_mark = std::move(other.m_mark);
            m_bytes = std::exchange(other.m_bytes, {});
        }
        return *this;
    }
    mapped_file(const mapped_file&) = delete;
    mapped_file& operator=(const mapped_file&) = delete;

    [[nodiscard]] std::span<const std::byte> bytes() const { return m_bytes; }
    /// The path as it was given, made safe for messages.
    [[nodiscard]] const std::string& name() const { return m_name; }

private:
    struct descriptor {
        int number;
        explicit descriptor(int n) : number(n) {}
        ~descriptor() {
            if (number >= 0) { ::close(number); }
        }
        descriptor(const descriptor&) = delete;
        descriptor& operator=(const descriptor&) = delete;
    };

    static std::string reason() { return std::generic_category().message(errno); }
    static std::string_view kind(mode_t mode) {
        if (S_ISDIR(mode)) { return "a folder"; }
        if (S_ISFIFO(mode)) { return "a pipe"; }
        if (S_ISCHR(mode) || S_ISBLK(mode)) { return "a device"; }
        return "something else";
    }
    void map(int file, std::size_t size) {
        void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
        if (address == MAP_FAILED) {
            fail("{}: {} bytes cannot be mapped: {}", m_name, size, reason());
        }
        m_bytes = {static_cast<const std::byte*>(address), size};
    }
    void unmap() noexcept {
        if (m_bytes.empty()) { return; }
        ::munmap(const_cast<std::byte*>(m_bytes.data()), m_bytes.size());
    }

    std::string m_name;
    input_mark m_mark;
    std::span<const std::byte> m_bytes;
};

}  // namespace xlens
