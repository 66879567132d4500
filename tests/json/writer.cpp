// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE json_writer
#include <boost/test/unit_test.hpp>

#include <xlens/json/writer.hpp>

#include <nlohmann/json.hpp>

#include "support/json_document.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

using xlens::json_escapes;
using xlens::json_writer;

namespace {

std::string quoted(std::string_view text, json_escapes escapes) {
    std::string out;
    xlens::append_json_string(out, text, escapes);
    return out;
}

/// All of ASCII, characters of two to four bytes, and JavaScript's line ends.
std::string every_byte() {
    std::string out;
    for (int c = 0; c < 0x80; ++c) { out += static_cast<char>(c); }
    return out + "\u00e9\u2027\u2028\u2029\u202a\uffff\U0001f600";
}

}  // namespace

BOOST_AUTO_TEST_CASE(strings_are_read_back_by_another_reader) {
    for (const auto escapes :
         {json_escapes::numbers, json_escapes::letters, json_escapes::script}) {
        const std::string text = every_byte();
        BOOST_TEST(xlens::test::json_document(quoted(text, escapes)).get<std::string>() == text);
    }
    // The spelling that nlohmann has.
    BOOST_TEST(quoted(every_byte(), json_escapes::letters) == nlohmann::json(every_byte()).dump());
}

BOOST_AUTO_TEST_CASE(what_is_escaped_and_how) {
    BOOST_TEST(quoted("a\"\\/\n\x01\x7f<&>\u2028", json_escapes::numbers) ==
               "\"a\\\"\\\\/\\u000a\\u0001\x7f<&>\u2028\"");
    BOOST_TEST(quoted("\b\f\n\r\t\x0b", json_escapes::letters) == R"("\b\f\n\r\t\u000b")");
    BOOST_TEST(quoted("</script><!--&\u2028\u2029\u202a\n", json_escapes::script) ==
               "\"\\u003c/script\\u003e\\u003c!--\\u0026\\u2028\\u2029\u202a\\u000a\"");
}

BOOST_AUTO_TEST_CASE(commas_and_brackets) {
    std::string text;
    json_writer out(text);
    out.begin_object();
    out.field("a", 1);
    out.key("b");
    out.begin_array();
    out.value("x");
    out.value(true);
    out.begin_array();
    out.end_array();
    out.begin_object();
    out.end_object();
    out.literal("1.50");
    out.end_array();
    out.line_break();
    out.field("c", std::string("y"));
    out.end_object();
    BOOST_TEST(text == "{\"a\":1,\"b\":[\"x\",true,[],{},1.50],\n\"c\":\"y\"}");
    out.finish();
    BOOST_TEST(text.back() == '\n');
}

BOOST_AUTO_TEST_CASE(numbers_give_back_the_same_bits) {
    std::string text;
    json_writer out(text);
    out.begin_array();
    out.value(0.1F);
    out.value(0.1);
    out.value(1.0 / 3.0);
    out.value(-1e-20F);
    out.value(std::numeric_limits<std::uint64_t>::max());
    out.value(std::int64_t{-5});
    out.value(std::nan(""));
    out.value(std::numeric_limits<float>::infinity());
    out.end_array();
    BOOST_TEST(text == "[0.1,0.1,0.3333333333333333,-1e-20,18446744073709551615,-5,null,null]");
}

BOOST_AUTO_TEST_CASE(a_long_document_comes_in_parts) {
    std::vector<std::string> parts;
    json_writer out([&](std::string_view part) { parts.emplace_back(part); });
    const std::string line(1000, 'x');
    out.begin_array();
    for (int i = 0; i < 200; ++i) {
        out.begin_array();
        out.value(line);
        out.end_array();
    }
    BOOST_TEST(parts.size() >= 2U);
    BOOST_TEST(parts.front().size() < 70'000U);
    out.end_array();
    out.finish();
    std::string whole;
    for (const std::string& part : parts) { whole += part; }
    BOOST_TEST(xlens::test::json_document(whole).size() == 200U);
    BOOST_TEST(whole.ends_with("]]\n"));
}
