// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE utf8
#include <boost/test/unit_test.hpp>

#include <xlens/text/utf8.hpp>

#include <nlohmann/json.hpp>

#include "support/json_document.hpp"

#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// nlohmann's own decoder, which refuses or replaces what is broken, as the reference.
bool valid_by_json(std::string_view bytes) {
    try {
        return !nlohmann::json(std::string(bytes)).dump().empty();
    } catch (const nlohmann::json::exception&) { return false; }
}

bool valid(std::string_view bytes) {
    bool all = true;
    xlens::for_each_stretch(bytes, [&](std::string_view, bool good) { all = all && good; });
    return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_scalar_value_comes_back) {
    for (char32_t c = 0; c < 0x110000; ++c) {
        if (c >= 0xD800 && c < 0xE000) { continue; }
        std::string text;
        xlens::append_utf8(text, c);
        const xlens::utf8_unit unit = xlens::read_utf8(text, 0);
        if (!unit.valid || unit.value != c || unit.length != text.size()) {
            BOOST_FAIL("code point " << static_cast<unsigned>(c));
        }
    }
}

BOOST_AUTO_TEST_CASE(broken_forms_are_found) {
    for (const std::string_view broken :
         {"\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
          "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\x80", "\xC3",
          "\xE2\x82", "\xF0\x9F\x98"}) {
        BOOST_TEST(!valid(broken));
        BOOST_TEST(!valid_by_json(broken));
    }
    BOOST_TEST(valid(std::string_view("a\0\xF4\x8F\xBF\xBF", 6)));
}

BOOST_AUTO_TEST_CASE(random_bytes_agree_with_another_decoder) {
    std::mt19937 random(3);  // NOLINT: the same bytes every time
    constexpr std::string_view likely = "\xF0\x90\x80\xBF\xE2\x82\xED\x9F\xC3\xA9 a";
    for (int round = 0; round < 20000; ++round) {
        std::string bytes(random() % 6, '\0');
        for (char& c : bytes) { c = likely[random() % likely.size()]; }
        BOOST_TEST(valid(bytes) == valid_by_json(bytes));
        // Replacement: one U+FFFD a maximal subpart, as nlohmann's handler does it.
        const std::string by_json =
            nlohmann::json(bytes).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        BOOST_TEST(xlens::replace_invalid(bytes) ==
                   xlens::test::json_document(by_json).get<std::string>());
    }
}

BOOST_AUTO_TEST_CASE(stretches_add_up) {
    std::vector<std::string> parts;
    std::vector<bool> kinds;
    xlens::for_each_stretch("ab\xFF\xFE\xC3\xA9\xE2\x82", [&](std::string_view part, bool good) {
        parts.emplace_back(part);
        kinds.push_back(good);
    });
    BOOST_TEST((parts == std::vector<std::string>{"ab", "\xFF\xFE", "\xC3\xA9", "\xE2\x82"}));
    BOOST_TEST((kinds == std::vector<bool>{true, false, true, false}));
    xlens::for_each_stretch("", [](std::string_view, bool) { BOOST_ERROR("nothing to visit"); });
}
