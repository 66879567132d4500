// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE json_reader
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/malformed_file.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/json/reader.hpp>

#include <nlohmann/json.hpp>

#include "support/json_document.hpp"

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

namespace {

using xlens::test::error_message;
using xlens::test::malformed_file;

std::string repeat(const std::string& text, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) { out += text; }
    return out;
}

std::vector<malformed_file> cases() {
    return {
        {"empty", "", "byte 0: not valid JSON near ''"},
        {"white space", " \n", "byte 2: not valid JSON near ' \\x0a'"},
        {"word", "nul", "byte 3: not valid JSON near 'nul'"},
        {"NaN", "NaN", "byte 0: not valid JSON near 'N'"},
        {"Infinity", "[Infinity]", "byte 1: not valid JSON near '[I'"},
        {"single quotes", "{'a':1}", "byte 1: not valid JSON near '{''"},
        {"trailing comma", "[1,]", "byte 3: not valid JSON near '[1,]'"},
        {"leading zero", "[01]", "byte 2: not valid JSON near '[01'"},
        {"plus sign", "[+1]", "byte 1: not valid JSON near '[+'"},
        {"no digit", "[1.]", "byte 3: not valid JSON near '[1.]'"},
        {"open string", "\"ab", "byte 3: not valid JSON near '\"ab'"},
        {"line feed in a string", "\"a\nb\"", "byte 2: not valid JSON near '\"a\\x0a'"},
        {"bad escape", "\"\\x\"", "byte 2: not valid JSON near '\"\\x'"},
        {"lone surrogate", "\"\\ud800\"", "byte 7: not valid JSON near '\"\\ud800\"'"},
        {"overlong", "\"\xc0\xaf\"", "byte 1: not valid JSON near '\"\\xc0'"},
        {"UTF-8 surrogate", "\"\xed\xa0\x80\"", "byte 2: not valid JSON near '\"\\xed\\xa0'"},
        {"over U+10FFFF", "\"\xf4\x90\x80\x80\"", "byte 2: not valid JSON near '\"\\xf4\\x90'"},
        {"cut character", "\"\xe2\x82", "byte 3: not valid JSON near '\"\\xe2\\x82'"},
        {"byte order mark", "\xef\xbb\xbf{}", "byte 0: not valid JSON near '\\xef'"},
        {"NUL inside", std::string("[1,\0 2]", 7), "byte 3: not valid JSON near '[1,\\x00'"},
        {"NUL after", std::string("{}\0{", 4), "byte 2: not valid JSON near '{}\\x00'"},
        {"two values", "1 2", "byte 2: not valid JSON near '1 2'"},
        {"1e400", "[1e400]", "byte 5: number out of range near '[1e400'"},
        {"-1e400", "[0, -1e400]", "byte 9: number out of range near '[0, -1e400'"},
        {"key twice", R"({"a":1,"b":{},"a":2})", "key 'a' appears twice in one object"},
        {"key twice, escaped", R"({"a":1,"\u0061":2})", "key 'a' appears twice in one object"},
        {"65 arrays", repeat("[", 65), "expected JSON nested at most 64 deep, got deeper"},
        {"65 objects", repeat("{\"a\":", 65), "expected JSON nested at most 64 deep, got deeper"},
        {"a million arrays", repeat("[", 1'000'000),
         "expected JSON nested at most 64 deep, got deeper"},
    };
}

}  // namespace

BOOST_DATA_TEST_CASE(malformed, boost::unit_test::data::make(cases()), file) {
    BOOST_TEST(error_message([&] { (void)xlens::parse_json("a.json", file.bytes); }) ==
               "a.json: " + file.message);
}

BOOST_AUTO_TEST_CASE(values) {
    const auto json = xlens::parse_json("a.json", R"( {"a":[1,-2,0.5,true,false,null,"x\u00e9\n"],
        "b":{"c":{},"d":[]}, "max":18446744073709551615, "over":18446744073709551616,
        "min":-9223372036854775808, "":"" } )");
    BOOST_TEST(json.object().size() == 6U);
    const xlens::json_list& a = json.find("a")->list();
    BOOST_TEST(a.size() == 7U);
    BOOST_TEST(a[0].is_unsigned());
    BOOST_TEST(a[0].unsigned_integer() == 1U);
    BOOST_TEST(a[1].integer() == -2);
    BOOST_TEST(a[2].number() == 0.5);
    BOOST_TEST(a[3].boolean() == true);
    BOOST_TEST(a[4].boolean() == false);
    BOOST_TEST(a[5].is_null());
    BOOST_TEST(a[6].string() == "x\xc3\xa9\n");
    BOOST_TEST(json.find("b")->find("c")->is_object());
    BOOST_TEST(json.find("b")->find("d")->is_list());
    BOOST_TEST(json.find("max")->unsigned_integer() == std::numeric_limits<std::uint64_t>::max());
    BOOST_TEST(!json.find("over")->is_integer());
    BOOST_TEST(json.find("over")->number() == 0x1p64);
    BOOST_TEST(json.find("min")->integer() == std::numeric_limits<std::int64_t>::min());
    BOOST_TEST(json.find("")->string().empty());
    BOOST_TEST(json.find("absent") == nullptr);
    BOOST_TEST(xlens::parse_json("a.json", "7").number() == 7.0);
}

BOOST_AUTO_TEST_CASE(what_nlohmann_refuses_is_refused_at_the_same_byte) {
    const std::string sound =
        R"({"key":[1,-2.5e3,true,false,null,{}],"b":{"text":"a\u00e9\n\ud83d\ude00"},"last":0})";
    for (std::size_t i = 0; i < sound.size(); ++i) {
        for (const char put : std::string("\"{}[]:,0-.e+utfn\\ \n\xc3/")) {
            std::string text = sound;
            text[i] = put;
            std::string expected = "(no error)";
            try {
                (void)xlens::test::json_document(text).size();
            } catch (const nlohmann::json::parse_error& e) {
                expected = "a.json: byte " + std::to_string(e.byte - 1) + ": not valid JSON near";
            }
            const std::string got = error_message([&] { (void)xlens::parse_json("a.json", text); });
            BOOST_TEST(got.substr(0, expected.size()) == expected, text << ": " << got);
        }
    }
}

BOOST_AUTO_TEST_CASE(values_are_spelt_as_nlohmann_spells_them) {
    for (const std::string text :
         {"null", "true", "false", "0", "-0", "-7", "18446744073709551615", "18446744073709551616",
          "1.0", "-0.0", "0.1", "1e-7", "1e15", "1e16", "123456.789e300", "5e-324",
          "9.109383701528e-31", "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\u007f\\u00e9\""}) {
        BOOST_TEST(xlens::parse_json("a.json", text).text() ==
                   xlens::test::json_document(text).dump());
    }
    BOOST_TEST(xlens::parse_json("a.json", "[1]").text() == "array");
    BOOST_TEST(xlens::parse_json("a.json", "{}").text() == "object");
}

BOOST_AUTO_TEST_CASE(another_kind_than_asked_for_is_an_error) {
    BOOST_TEST(error_message([] { (void)xlens::parse_json("a.json", "\"x\"").number(); }) ==
               "JSON: a value of another kind was asked for, got \"x\"");
}

BOOST_AUTO_TEST_CASE(the_same_key_in_two_objects) {
    BOOST_TEST(xlens::parse_json("a.json", R"([{"a":1},{"a":{"a":2}}])").list().size() == 2U);
}

BOOST_AUTO_TEST_CASE(the_limits_are_the_last_that_pass) {
    const auto deepest = repeat("[", 64) + repeat("]", 64);
    BOOST_TEST(xlens::parse_json("a.json", deepest).is_list());

    const xlens::json_limits three{.depth = 2, .values = 3, .bytes = 8};
    BOOST_TEST(xlens::parse_json("a.json", "[1,2]", three).list().size() == 2U);
    BOOST_TEST(error_message([&] { (void)xlens::parse_json("a.json", "[1,2,3]", three); }) ==
               "a.json: expected at most 3 JSON values, got more");
    BOOST_TEST(error_message([&] { (void)xlens::parse_json("a.json", "[[[]]]", three); }) ==
               "a.json: expected JSON nested at most 2 deep, got deeper");
    BOOST_TEST(xlens::parse_json("a.json", "12345678", three).number() == 12345678.0);
    BOOST_TEST(error_message([&] { (void)xlens::parse_json("a.json", "123456789", three); }) ==
               "a.json: expected at most 8 bytes of JSON, got 9");
}

BOOST_AUTO_TEST_CASE(files) {
    const xlens::test::temporary_directory folder;
    const auto path = folder.write("a.json", "{\"a\":1}\n");
    BOOST_TEST(xlens::read_json(path).find("a")->number() == 1.0);
    const auto empty = folder.write("empty.json", "");
    BOOST_TEST(error_message([&] { (void)xlens::read_json(empty); }) ==
               empty.string() + ": byte 0: not valid JSON near ''");
    const auto missing = folder.path() / "missing.json";
    BOOST_TEST(error_message([&] { (void)xlens::read_json(missing); }) ==
               missing.string() + ": cannot be opened: No such file or directory");
}
