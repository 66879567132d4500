// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace xlens {

namespace detail {

/// What a file is, whatever its name: device and inode.
using file_identity = std::pair<dev_t, ino_t>;

inline std::optional<file_identity> identity_of_file(const std::filesystem::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) { return std::nullopt; }
    return file_identity{status.st_dev, status.st_ino};
}

/// The files that this process has open for reading, with the names that they were given. May be
/// used by several threads.
class open_files {
public:
    using entry = std::multimap<file_identity, std::string>::iterator;

    /// Never destroyed: a mapped file may be one of the last things that are.
    static open_files& all() {
        static auto& files = *new open_files;
        return files;
    }
    entry add(const file_identity& file, std::string name) {
        const std::lock_guard lock(m_mutex);
        return m_files.emplace(file, std::move(name));
    }
    void remove(entry e) noexcept {
        const std::lock_guard lock(m_mutex);
        m_files.erase(e);
    }
    [[nodiscard]] std::optional<std::string> name_of(const file_identity& file) {
        const std::lock_guard lock(m_mutex);
        const auto found = m_files.find(file);
        return found == m_files.end() ? std::nullopt : std::optional(found->second);
    }

private:
    std::mutex m_mutex;
    std::multimap<file_identity, std::string> m_files;
};

}  // namespace detail

/// Says, as long as it lives, that a file is an input: nothing of xlens writes over it
/// (refuse_input). Every mapped_file holds one; whoever reads a file, closes it and writes another
/// later holds one for that time. Of a file that is not there it says nothing.
class input_mark {
public:
    input_mark() = default;
    explicit input_mark(const std::filesystem::path& path)
        : input_mark(detail::identity_of_file(path), printable(path.string(), 1024)) {}
    input_mark(std::optional<detail::file_identity> file, std::string name) {
        if (file) { m_entry = detail::open_files::all().add(*file, std::move(name)); }
    }
    ~input_mark() { forget(); }
    input_mark(input_mark&& other) noexcept : m_entry(std::exchange(other.m_entry, {})) {}
    input_mark& operator=(input_mark&& other) noexcept {
        if (this != &other) {
            forget();
            m_entry = std::exchange(other.m_entry, {});
        }
        return *this;
    }
    input_mark(const input_mark&) = delete;
    input_mark& operator=(const input_mark&) = delete;

private:
    void forget() noexcept {
        if (m_entry) { detail::open_files::all().remove(*std::exchange(m_entry, {})); }
    }

    std::optional<detail::open_files::entry> m_entry;
};

/// Throws xlens::error naming both if the file of this name, whatever it is called there, is one
/// that is being read: to write it would replace an input by an output.
inline void refuse_input(const std::filesystem::path& path) {
    const auto file = detail::identity_of_file(path);
    if (!file) { return; }
    if (const auto name = detail::open_files::all().name_of(*file)) {
        fail("{}: cannot be written: it is the input {}", printable(path.string(), 1024), *name);
    }
}

}  // namespace xlens
