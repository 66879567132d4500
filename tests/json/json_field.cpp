// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE json_field
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>

#include <xlens/json/json_field.hpp>

#include <nlohmann/json.hpp>

#include <string>

using xlens::json_field;
using xlens::test::error_message;

namespace {

const nlohmann::json document = nlohmann::json::parse(
    R"({"a":{"b":[1,"x",null,-1,2147483648,1.5,[]]},"flag":true,"none":null})");
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
        const std::string got = i == 6 ? "array" : document["a"]["b"][i].dump();
        BOOST_TEST(error_message([&] { (void)items[i].id(); }) ==
                   "t.json: a.b[" + std::to_string(i) +
                       "]: expected an id from 0 to 2147483647, got " + got);
    }
}
