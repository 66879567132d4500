// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace xlens::test {

/// A new empty folder, removed with everything in it at the end.
class temporary_directory {
public:
    explicit temporary_directory(
        const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
        std::string name = (parent / "xlens-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) { throw std::runtime_error("no temporary folder"); }
        m_path = name;
    }
    ~temporary_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(m_path, ignored);
    }
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return m_path; }

    /// Writes a file, with the folders above it, and returns its path.
    std::filesystem::path write(const std::filesystem::path& name, std::string_view bytes) const {
        const auto path = m_path / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream out(path, std::ios::binary);
        out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        if (!out.flush()) { throw std::runtime_error("cannot write " + path.string()); }
        return path;
    }

private:
    std::filesystem::path m_path;
};

}  // namespace xlens::test
