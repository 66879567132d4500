// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <support/golden_tokens.hpp>

#include <xlens/text/utf8.hpp>

#include <fmt/format.h>
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "support/json_document.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace xlens::test {

inline std::uint64_t fnv1a(std::string_view bytes) {
    std::uint64_t value = 0xCBF29CE484222325U;
    for (const char c : bytes) { value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3U; }
    return value;
}

/// Compares with the hashes of golden/text/code_points.json: for each block of 256 code points,
/// result(the assigned characters in it) must hash to what the reference's result hashes to.
template <class Result>
void check_code_points(const std::string& name, Result&& result) {
    const auto golden = json_document(golden_text("code_points.json"));
    const auto& blocks = golden.at("blocks");
    std::size_t count = 0;
    for (std::size_t b = 0; b < blocks.size(); ++b) {
        const auto mask = golden.at("assigned")[b].get<std::string>();  // 64 digits, high first
        std::vector<std::string> characters;
        for (unsigned i = 0; i < 256; ++i) {
            const unsigned digit =
                static_cast<unsigned>(std::stoi(mask.substr(63 - i / 4, 1), nullptr, 16));
            if ((digit >> (i % 4) & 1U) == 0) { continue; }
            append_utf8(characters.emplace_back(), blocks[b].get<char32_t>() * 256 + i);
        }
        count += characters.size();
        BOOST_TEST(fmt::format("{:016x}", fnv1a(result(characters))) ==
                       golden.at("hashes").at(name)[b].get<std::string>(),
                   fmt::format("{} differs in U+{:02X}00 to U+{:02X}FF", name,
                               blocks[b].get<unsigned>(), blocks[b].get<unsigned>()));
    }
    BOOST_TEST(count > 140000U);
}

}  // namespace xlens::test
