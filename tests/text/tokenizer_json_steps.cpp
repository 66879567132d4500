// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE tokenizer_json_steps
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>

#include <xlens/json/reader.hpp>
#include <xlens/text/tokenizer_json_steps.hpp>

#include <string>

using xlens::json_field;
using xlens::test::error_message;

// What the steps do is compared in normalizer.cpp and pre_tokenizer.cpp; here: how they are read.

namespace {

xlens::detail::spelling decoder(const std::string& text) {
    const auto value = xlens::parse_json("f", text);
    xlens::detail::spelling out;
    xlens::detail::read_decoder(json_field(value, "f: decoder"), out);
    return out;
}

std::string cut_message(const std::string& text) {
    const auto value = xlens::parse_json("f", text);
    std::vector<xlens::pre_tokenizer::step> out;
    return error_message(
        [&] { xlens::detail::read_pre_tokenizer(json_field(value, "f: pre_tokenizer"), out); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(decoders_tell_the_spelling) {
    BOOST_TEST(decoder(R"({"type":"ByteLevel"})").byte_level);
    const auto llama = decoder(R"({"type":"Sequence","decoders":[
        {"type":"Replace","pattern":{"String":"_"},"content":" "},{"type":"ByteFallback"},
        {"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})");
    BOOST_TEST(!llama.byte_level);
    BOOST_TEST(llama.mark == "_");
    BOOST_TEST(llama.drops_leading_space);
    BOOST_TEST(!decoder(R"({"type":"Metaspace","prepend_scheme":"never"})").drops_leading_space);
    BOOST_TEST(decoder(R"({"type":"Metaspace"})").mark == xlens::space_mark);
}

BOOST_AUTO_TEST_CASE(decoders_that_are_not_supported) {
    BOOST_TEST(error_message([] {
                   decoder(R"({"type":"Strip","content":" ","start":2,"stop":0})");
               }) == "f: decoder: expected start 0 or 1 and stop 0, got object");
    BOOST_TEST(error_message([] {
                   decoder(R"({"type":"Replace","pattern":{"String":"_"},"content":"-"})");
               }) == "f: decoder.content: expected one space, got \"-\"");
}

BOOST_AUTO_TEST_CASE(fields_of_pre_tokenizers) {
    BOOST_TEST(cut_message(R"({})") == "f: pre_tokenizer.type is missing");
    BOOST_TEST(cut_message(R"({"type":"Split","behavior":"Isolated"})") ==
               "f: pre_tokenizer.pattern is missing");
    BOOST_TEST(cut_message(R"({"type":"Split","pattern":{"String":""},"behavior":"Isolated"})") ==
               "f: pre_tokenizer.pattern.String: expected a non-empty string, got \"\"");
    BOOST_TEST(cut_message(R"({"type":"Metaspace","prepend_scheme":"last"})") ==
               "f: pre_tokenizer.prepend_scheme: expected always, first or never, got \"last\"");
    BOOST_TEST(cut_message(R"({"type":"Metaspace","split":1})") ==
               "f: pre_tokenizer.split: expected true or false, got 1");
    BOOST_TEST(cut_message(R"({"type":"Digits","individual_digits":"yes"})") ==
               "f: pre_tokenizer.individual_digits: expected true or false, got \"yes\"");
    BOOST_TEST(cut_message(R"({"type":"Sequence","pretokenizers":{}})") ==
               "f: pre_tokenizer.pretokenizers: expected a list, got object");
}
