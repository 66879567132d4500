// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE json_reader
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/malformed_file.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/json/reader.hpp>

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
    BOOST_TEST(json.size() == 6U);
    const auto& a = json.at("a");
    BOOST_TEST(a.size() == 7U);
    BOOST_TEST(a[0].is_number_unsigned());
    BOOST_TEST(a[0].get<int>() == 1);
    BOOST_TEST(a[1].get<int>() == -2);
    BOOST_TEST(a[2].get<double>() == 0.5);
    BOOST_TEST(a[3].get<bool>() == true);
    BOOST_TEST(a[4].get<bool>() == false);
    BOOST_TEST(a[5].is_null());
    BOOST_TEST(a[6].get<std::string>() == "x\xc3\xa9\n");
    BOOST_TEST(json.at("b").at("c").is_object());
    BOOST_TEST(json.at("b").at("d").is_array());
    BOOST_TEST(json.at("max").get<std::uint64_t>() == std::numeric_limits<std::uint64_t>::max());
    BOOST_TEST(json.at("over").is_number_float());
    BOOST_TEST(json.at("min").get<std::int64_t>() == std::numeric_limits<std::int64_t>::min());
    BOOST_TEST(json.at("").get<std::string>().empty());
    BOOST_TEST(xlens::parse_json("a.json", "7").get<int>() == 7);
}

BOOST_AUTO_TEST_CASE(the_same_key_in_two_objects) {
    BOOST_TEST(xlens::parse_json("a.json", R"([{"a":1},{"a":{"a":2}}])").size() == 2U);
}

BOOST_AUTO_TEST_CASE(the_limits_are_the_last_that_pass) {
    const auto deepest = repeat("[", 64) + repeat("]", 64);
    BOOST_TEST(xlens::parse_json("a.json", deepest).is_array());

    const xlens::json_limits three{.depth = 2, .values = 3, .bytes = 8};
    BOOST_TEST(xlens::parse_json("a.json", "[1,2]", three).size() == 2U);
    BOOST_TEST(error_message([&] { (void)xlens::parse_json("a.json", "[1,2,3]", three); }) ==
               "a.json: expected at most 3 JSON values, got more");
    BOOST_TEST(error_message([&] { (void)xlens::parse_json("a.json", "[[[]]]", three); }) ==
               "a.json: expected JSON nested at most 2 deep, got deeper");
    BOOST_TEST(xlens::parse_json("a.json", "12345678", three).get<int>() == 12345678);
    BOOST_TEST(error_message([&] { (void)xlens::parse_json("a.json", "123456789", three); }) ==
               "a.json: expected at most 8 bytes of JSON, got 9");
}

BOOST_AUTO_TEST_CASE(files) {
    const xlens::test::temporary_directory folder;
    const auto path = folder.write("a.json", "{\"a\":1}\n");
    BOOST_TEST(xlens::read_json(path).at("a").get<int>() == 1);
    const auto empty = folder.write("empty.json", "");
    BOOST_TEST(error_message([&] { (void)xlens::read_json(empty); }) ==
               empty.string() + ": byte 0: not valid JSON near ''");
    const auto missing = folder.path() / "missing.json";
    BOOST_TEST(error_message([&] { (void)xlens::read_json(missing); }) ==
               missing.string() + ": cannot be opened: No such file or directory");
}
