// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "support/json_document.hpp"
#include "support/run_program.hpp"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

// The program's --json documents.

namespace xlens::test {

/// Runs the program with --json: one valid document on standard output.
inline nlohmann::json json_of(std::vector<std::string> arguments) {
    arguments.push_back("--json");
    const auto result = run_program(arguments);
    BOOST_TEST(result.exit_code == 0, result.err);
    BOOST_TEST(std::count(result.out.begin(), result.out.end(), '\n') == 1);
    BOOST_REQUIRE(is_json_document(result.out));
    return json_document(result.out);
}

/// The object has these keys and no others.
inline void check_keys(const nlohmann::json& object, const std::set<std::string>& expected) {
    BOOST_REQUIRE(object.is_object());
    std::set<std::string> found;
    for (const auto& item : object.items()) { found.insert(item.key()); }
    BOOST_TEST(found == expected, boost::test_tools::per_element());
}

/// A list of TOK = {"id", "text", `number`}.
inline void check_tokens(const nlohmann::json& list, const std::string& number, std::size_t count) {
    BOOST_REQUIRE(list.is_array());
    BOOST_TEST(list.size() == count);
    for (const nlohmann::json& token : list) {
        check_keys(token, {"id", "text", number});
        BOOST_TEST(token["id"].is_number_integer());
        BOOST_TEST(token["text"].is_string());
        BOOST_TEST(token[number].is_number());
    }
}

}  // namespace xlens::test
