// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json.hpp>

#include <iosfwd>
#include <string_view>

// Compiled once for all tests (json_document.cpp): a parser of its own costs a test a second and a
// half.

namespace xlens::test {

/// The document of a text; throws nlohmann::json::parse_error where it is none.
[[nodiscard]] nlohmann::json json_document(std::string_view text);
[[nodiscard]] bool is_json_document(std::string_view text);

}  // namespace xlens::test

namespace nlohmann {

/// How Boost.Test prints a document.
std::ostream& boost_test_print_type(std::ostream& out, const json& document);

}  // namespace nlohmann
