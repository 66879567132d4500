// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE json_field
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>

#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>

#include <string>

using xlens::json_field;
using xlens::test::error_message;

namespace {

const auto document = xlens::parse_json(
    "t.json", R"({"a":{"b":[1,"x",null,-1,2147483648,1.5,[]]},"flag":true,"none":null})");
const json_field root(document, "t.json", ": ");

}  // namespace

BOOST_AUTO_TEST_CASE(values_and_places) {
    const auto items = root.at("a").at("b").items();
    BOOST_TEST(items[0].id() == 1);
    BOOST_TEST(items[1].string() == "x");
    BOOST_TEST(items[1].place() == "t.json: a.b[1]");
    BOOST_TEST(root.at("flag").boolean());
    BOOST_TEST(root.flag("flag", false));
    BOOST_TEST(root.flag("absent", true));
    BOOST_TEST(!root.find("none").has_value());
    BOOST_TEST(!root.find("absent").has_value());
}

BOOST_AUTO_TEST_CASE(mistakes_are_named_with_their_place) {
    const auto items = root.at("a").at("b").items();
    BOOST_TEST(error_message([] { (void)root.at("absent"); }) == "t.json: absent is missing");
    BOOST_TEST(error_message([] { (void)root.at("a").string(); }) ==
               "t.json: a: expected a string, got object");
    BOOST_TEST(error_message([&] { (void)items[0].find("x"); }) ==
               "t.json: a.b[0]: expected an object, got 1");
    BOOST_TEST(error_message([&] { (void)items[1].items(); }) ==
               "t.json: a.b[1]: expected a list, got \"x\"");
    BOOST_TEST(error_message([&] { (void)items[2].boolean(); }) ==
               "t.json: a.b[2]: expected true or false, got null");
    for (const std::size_t i : {1U, 3U, 4U, 5U, 6U}) {
        const std::string got = i == 6 ? "array" : items[i].value().text();
        BOOST_TEST(error_message([&] { (void)items[i].id(); }) ==
                   "t.json: a.b[" + std::to_string(i) +
                       "]: expected an id from 0 to 2147483647, got " + got);
    }
}

namespace {

const auto config = xlens::parse_json("config.json", R"({
    "width": 576, "eps": 1e-05, "name": "llama", "tied": true, "none": null, "minus": -1,
    "half": 0.5, "list": [1], "mixed": [1, -2], "rope": {"factor": 32.0, "deep": {"x": "y"}}})");
const xlens::json_object fields("config.json", config);

void says(const std::string& message, auto&& get) {
    BOOST_TEST(error_message(get) == "config.json: " + message);
}

}  // namespace

BOOST_AUTO_TEST_CASE(values) {
    BOOST_TEST(fields.unsigned_integer("width") == 576U);
    BOOST_TEST(fields.unsigned_integers("list") == std::vector<std::uint64_t>{1},
               boost::test_tools::per_element());
    BOOST_TEST(fields.number("eps") == 1e-5);
    BOOST_TEST(fields.number("width") == 576.0);
    BOOST_TEST(fields.number("minus") == -1.0);
    BOOST_TEST(fields.string("name") == "llama");
    BOOST_TEST(fields.boolean("tied"));
    BOOST_TEST(fields.object("rope").number("factor") == 32.0);
    BOOST_TEST(fields.object("rope").object("deep").string("x") == "y");
}

BOOST_AUTO_TEST_CASE(wrong_types) {
    says("none: expected an integer of at least 0, got null",
         [] { (void)fields.unsigned_integer("none"); });
    says("minus: expected an integer of at least 0, got -1",
         [] { (void)fields.unsigned_integer("minus"); });
    says("half: expected an integer of at least 0, got 0.5",
         [] { (void)fields.unsigned_integer("half"); });
    says("name: expected an integer of at least 0, got 'llama'",
         [] { (void)fields.unsigned_integer("name"); });
    says("width: expected an array of integers of at least 0, got 576",
         [] { (void)fields.unsigned_integers("width"); });
    says("mixed: expected an array of integers of at least 0, got -2",
         [] { (void)fields.unsigned_integers("mixed"); });
    says("list: expected a number, got an array", [] { (void)fields.number("list"); });
    says("rope: expected a string, got an object", [] { (void)fields.string("rope"); });
    says("width: expected true or false, got 576", [] { (void)fields.boolean("width"); });
    says("width: expected an object, got 576", [] { (void)fields.object("width"); });
    says("rope.factor: expected a string, got 32.0",
         [] { (void)fields.object("rope").string("factor"); });
    says("rope.deep.y: expected a number, got no such key",
         [] { (void)fields.object("rope").object("deep").number("y"); });
    says("gone: expected a string, got no such key", [] { (void)fields.string("gone"); });
}

BOOST_AUTO_TEST_CASE(fallbacks_stand_for_missing_keys_and_null) {
    BOOST_TEST(fields.has("width"));
    BOOST_TEST(!fields.has("none"));
    BOOST_TEST(!fields.has("gone"));
    BOOST_TEST(fields.unsigned_integer("none", 3) == 3U);
    BOOST_TEST(fields.number("gone", 0.5) == 0.5);
    BOOST_TEST(fields.string("gone", "else") == "else");
    BOOST_TEST(fields.boolean("none", true));
    BOOST_TEST(fields.unsigned_integer("width", 3) == 576U);
    says("name: expected a number, got 'llama'", [] { (void)fields.number("name", 1.0); });
}

BOOST_AUTO_TEST_CASE(not_an_object) {
    const auto list = xlens::parse_json("a.json", "[1]");
    BOOST_TEST(error_message([&] { const xlens::json_object o("a.json", list); }) ==
               "a.json: expected a JSON object, got an array");
}
