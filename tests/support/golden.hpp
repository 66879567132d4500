// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json.hpp>

#include "support/json_document.hpp"

#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

// Reading the goldens that tests/golden/README.md describes.

namespace xlens::test {

inline std::filesystem::path variable(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr) { throw std::runtime_error(std::string(name) + " is not set"); }
    return value;
}
inline std::filesystem::path golden_path(const std::string& name) {
    return variable("XLENS_TEST_DATA") / name;
}
/// A file of the repository.
inline std::filesystem::path source_path(const std::string& name) {
    return variable("XLENS_TEST_DATA").parent_path().parent_path() / name;
}
/// The default model's file.
inline std::filesystem::path default_model() { return variable("XLENS_MODEL"); }
/// Gemma's, where it has been fetched; ./check without --full leaves out what needs it.
inline std::optional<std::filesystem::path> gemma_model() {
    const std::filesystem::path file = variable("XLENS_GEMMA");
    if (std::filesystem::exists(file)) { return file; }
    std::cerr << file.string() << " is not there; scripts/fetch_model gemma-3-270m fetches it\n";
    return std::nullopt;
}

inline nlohmann::json read_golden(const std::filesystem::path& path) {
    std::ifstream in(path);
    if (!in) { throw std::runtime_error("cannot read " + path.string()); }
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    return json_document(text);
}

/// Largest |a_i - b_i|; infinite where the sizes differ or a value is no number.
inline double max_difference(std::span<const float> a, std::span<const float> b) {
    if (a.size() != b.size()) { return INFINITY; }
    double largest = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double d = std::abs(double{a[i]} - double{b[i]});
        if (!(d <= largest)) { largest = std::isnan(d) ? INFINITY : d; }
    }
    return largest;
}
inline double largest_magnitude(std::span<const float> a) {
    double largest = 0.0;
    for (const float x : a) { largest = std::max(largest, std::abs(double{x})); }
    return largest;
}

}  // namespace xlens::test
