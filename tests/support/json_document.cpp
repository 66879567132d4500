// SPDX-License-Identifier: BSD-3-Clause
#include "support/json_document.hpp"

#include <ostream>

namespace xlens::test {

nlohmann::json json_document(std::string_view text) { return nlohmann::json::parse(text); }
bool is_json_document(std::string_view text) { return nlohmann::json::accept(text); }

}  // namespace xlens::test

namespace nlohmann {

std::ostream& boost_test_print_type(std::ostream& out, const json& document) {
    return out << document.dump();
}

}  // namespace nlohmann
