// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE prompts
#include <boost/test/unit_test.hpp>

#include <xlens/io/load_tokenizer.hpp>
#include <xlens/text/templates/chat_template.hpp>
#include <xlens/text/templates/prompts.hpp>
#include <xlens/text/tokenizer.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/temporary_directory.hpp"

#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

const tokenizer& smollm2() {
    static const tokenizer text = load_tokenizer(default_model());
    return text;
}

prompts_options options() {
    prompts_options out;
    out.text = &smollm2();
    out.vocabulary = 49152;
    out.context = 64;
    return out;
}

std::vector<file_prompt> read(const std::string& text, const prompts_options& how = options()) {
    const temporary_directory folder;
    return read_prompts(folder.write("p", text), how);
}

/// The message without the folder's name.
std::string refusal(const std::string& text, const prompts_options& how = options()) {
    const temporary_directory folder;
    const auto path = folder.write("p", text);
    const std::string message = error_message([&] { (void)read_prompts(path, how); });
    const std::string front = path.string() + ": ";
    return message.starts_with(front) ? message.substr(front.size()) : message;
}

std::vector<token_id> chat(const conversation& messages) {
    return smollm2().encode(render_chat(smollm2(), messages), {.special = true});
}

}  // namespace

BOOST_AUTO_TEST_CASE(lines_of_text_are_prompts) {
    const auto found = read("The capital of France is\r\n\n{ is no JSON here\n  two spaces");
    BOOST_TEST_REQUIRE(found.size() == 3U);
    const std::vector<std::string> texts{"The capital of France is", "{ is no JSON here",
                                         "  two spaces"};
    const std::vector<std::size_t> lines{1, 3, 4};
    for (std::size_t i = 0; i < 3; ++i) {
        BOOST_TEST(found[i].tokens == smollm2().encode(texts[i]), boost::test_tools::per_element());
        BOOST_TEST(found[i].line == lines[i]);
        BOOST_TEST(found[i].place.ends_with(": line " + std::to_string(lines[i])));
        BOOST_TEST(found[i].metadata.empty());
    }
}

BOOST_AUTO_TEST_CASE(lines_of_json_are_prompts_with_metadata) {
    const auto found = read(
        R"({"prompt":"Hello, \u4e2d","label":1,"split":"train","nested":{"b":[1.5,null],"a":-2}})"
        "\n"
        R"({"ids":[1,2,49151]})");
    BOOST_TEST_REQUIRE(found.size() == 2U);
    BOOST_TEST(found[0].tokens == smollm2().encode("Hello, 中"), boost::test_tools::per_element());
    BOOST_TEST(found[0].metadata ==
               R"({"label":1,"nested":{"a":-2,"b":[1.5,null]},"split":"train"})");
    const std::vector<token_id> ids{1, 2, 49151};
    BOOST_TEST(found[1].tokens == ids, boost::test_tools::per_element());
    BOOST_TEST(found[1].metadata.empty());
}

BOOST_AUTO_TEST_CASE(conversations_are_rendered_by_the_template) {
    const auto found = read(
        R"({"prompt":"Hi","chat":true})"
        "\n"
        R"({"prompt":"Hi","chat":true,"system":"Be brief."})"
        "\n"
        R"({"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}],)"
        R"("prompt":"Bye","label":"x"})"
        "\n"
        R"({"chat":[{"role":"user","content":"Hi"}]})"
        "\n"
        R"({"prompt":"Hi","chat":false})");
    BOOST_TEST_REQUIRE(found.size() == 5U);
    using messages = std::vector<chat_message>;
    const std::vector<std::vector<token_id>> expected{
        chat(messages{{"user", "Hi"}}), chat(messages{{"system", "Be brief."}, {"user", "Hi"}}),
        chat(messages{{"user", "Hi"}, {"assistant", "Hello"}, {"user", "Bye"}}),
        chat(messages{{"user", "Hi"}}), smollm2().encode("Hi")};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        BOOST_TEST(found[i].tokens == expected[i], boost::test_tools::per_element());
    }
    BOOST_TEST(found[2].metadata == R"({"label":"x"})");
    prompts_options all = options();
    all.chat = true;
    all.system = "Be brief.";
    BOOST_TEST(read("Hi", all)[0].tokens == expected[1], boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_wrong_names_its_line) {
    BOOST_TEST(refusal("") == "empty, expected a text");
    BOOST_TEST(refusal("\n\r\n\n") == "no prompts, expected at least 1 line");
    BOOST_TEST(refusal("{\"prompt\":\"a\"}\n\n{\"prompt\":").starts_with("line 3: byte 10: "));
    BOOST_TEST(refusal("{\"prompt\":\"a\"}\nplain text").starts_with("line 2: byte 0: "));
    BOOST_TEST(refusal("{\"prompt\":\"a\"}\n[1]") ==
               "line 2: expected a JSON object, got an array");
    BOOST_TEST(refusal("{\"text\":\"a\"}") ==
               "line 1: expected one of prompt, ids and messages, got none");
    BOOST_TEST(refusal("{\"prompt\":7}") == "line 1: prompt: expected a string, got 7");
    BOOST_TEST(refusal("{\"prompt\":\"\"}") ==
               "line 1: expected at least 1 token, got 0; the "
               "model has no start token");
    BOOST_TEST(refusal("{\"ids\":[]}") ==
               "line 1: expected at least 1 token, got 0; the model "
               "has no start token");
    BOOST_TEST(refusal("{\"ids\":[3,49152]}") ==
               "line 1: ids[1]: token 49152: expected 0 to 49151");
    BOOST_TEST(refusal("{\"ids\":[-1]}") ==
               "line 1: ids[0]: expected an id from 0 to 2147483647, got -1");
    BOOST_TEST(refusal("{\"ids\":[1],\"prompt\":\"a\"}") ==
               "line 1: ids: expected no prompt with it");
    BOOST_TEST(refusal("{\"prompt\":\"a\",\"system\":\"b\"}") ==
               "line 1: system: expected chat or messages with it, got none");
    BOOST_TEST(refusal("{\"prompt\":\"a\",\"tools\":[]}") ==
               "line 1: tools: expected messages with it, got none");
    BOOST_TEST(refusal("{\"messages\":\"a\"}").find("line 1: messages: expected a list") == 0U);
    BOOST_TEST(refusal("{\"prompt\":\"a\",\"chat\":1}") == "line 1: chat: expected a list, got 1");
    BOOST_TEST(refusal(R"({"messages":[{"role":"user","content":5}]})")
                   .find("line 1: chat template: '+' is not supported") == 0U);
    std::string many = "a";
    for (int i = 0; i < 64; ++i) { many += " a"; }
    BOOST_TEST(refusal("a\n" + many) == "line 2: 65 tokens, the model reads at most 64");
    prompts_options wordless = options();
    wordless.text = nullptr;
    BOOST_TEST(refusal("a", wordless) == "line 1: expected ids, for the model has no tokenizer");
    BOOST_TEST(read("{\"ids\":[5]}", wordless)[0].tokens.front() == 5);
    BOOST_TEST(refusal("caf\xe9").find("which is not UTF-8") != std::string::npos);
    BOOST_TEST(error_message([] { (void)read_prompts("/no/such", options()); }) ==
               "/no/such: cannot be opened: No such file or directory");
}
