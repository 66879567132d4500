// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <support/golden_bytes.hpp>

#include <xlens/core/types.hpp>

#include <nlohmann/json.hpp>

#include "support/json_document.hpp"

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace xlens::test {

/// A file of tests/golden/text as text.
inline std::string golden_text(const std::string& name) {
    const std::vector<std::byte> bytes = golden_bytes(std::filesystem::path("text") / name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Where the file lies.
inline std::filesystem::path golden_text_path(const std::string& name) {
    return std::filesystem::path(std::getenv("XLENS_TEST_DATA")) / "text" / name;
}

/// The strings that every reference tokenizer was given.
inline std::vector<std::string> golden_strings() {
    std::vector<std::string> out;
    std::istringstream lines(golden_text("strings.jsonl"));
    for (std::string line; std::getline(lines, line);) {
        out.push_back(json_document(line).get<std::string>());
    }
    return out;
}

/// The ids by line of strings.jsonl; see tests/golden/make_text.py for the layout.
inline std::map<std::size_t, std::vector<token_id>> golden_ids(const std::string& name) {
    const std::string bytes = golden_text(name);
    std::map<std::size_t, std::vector<token_id>> out;
    std::size_t at = 0;
    const auto next = [&] {
        std::size_t value = 0;
        for (unsigned shift = 0;; shift += 7) {
            const auto byte = static_cast<unsigned char>(bytes.at(at++));
            value |= std::size_t{byte & 0x7FU} << shift;
            if (byte < 0x80) { return value; }
        }
    };
    while (at < bytes.size()) {
        std::vector<token_id>& ids = out[next()];
        ids.resize(next());
        for (token_id& id : ids) { id = static_cast<token_id>(next()); }
    }
    return out;
}

}  // namespace xlens::test
