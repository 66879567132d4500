// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace xlens::test {

/// The bytes of a file below tests/golden, where XLENS_TEST_DATA points.
inline std::vector<std::byte> golden_bytes(const std::filesystem::path& name) {
    const char* root = std::getenv("XLENS_TEST_DATA");
    if (root == nullptr) { throw std::runtime_error("XLENS_TEST_DATA is not set"); }
    const auto path = std::filesystem::path(root) / name;
    std::ifstream file(path, std::ios::binary);
    if (!file) { throw std::runtime_error("cannot read " + path.string()); }
    const std::string text(std::istreambuf_iterator<char>(file), {});
    std::vector<std::byte> out(text.size());
    std::memcpy(out.data(), text.data(), text.size());
    return out;
}

}  // namespace xlens::test
