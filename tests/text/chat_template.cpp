// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE chat_template
#include <boost/test/unit_test.hpp>

#include <xlens/text/templates/chat_template.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"

#include <cstddef>
#include <ctime>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

const std::vector<chat_message> talk{
    {"system", " Be brief. "}, {"user", "Hi"}, {"assistant", "Yes?"}};
const std::map<std::string, std::string, std::less<>> tokens{{"bos_token", "<s>"},
                                                             {"eos_token", "</s>"}};

std::string rendered(const std::string& source, const conversation& messages = talk,
                     const chat_options& options = {}) {
    return chat_template(source).render(messages, options, tokens);
}
std::string refusal(const std::string& source, const chat_options& options = {}) {
    return error_message([&] { (void)rendered(source, talk, options); });
}
std::string repeated(const std::string& what, std::size_t times) {
    std::string out;
    for (std::size_t i = 0; i < times; ++i) { out += what; }
    return out;
}

/// Members stay in their order, which nlohmann::json would lose.
nlohmann::ordered_json read_ordered(const std::string& name) {
    std::ifstream in(golden_path(name));
    return nlohmann::ordered_json::parse(in);
}
conversation conversation_of(const nlohmann::ordered_json& given) {
    return conversation::from_json("golden", given.dump());
}

/// What Jinja gives is given, and where it fails we fail.
void compare(const std::string& source, const nlohmann::ordered_json& golden,
             const conversation& messages, const chat_options& options) {
    std::string text;
    const std::string error = error_message([&] { text = rendered(source, messages, options); });
    BOOST_TEST_INFO(source);
    if (golden.contains("text")) {
        BOOST_TEST(error == "(no error)");
        BOOST_TEST(text == golden["text"].get<std::string>());
    } else {
        BOOST_TEST(error.starts_with("chat template: "));
    }
}

/// Seconds of processor time that a template takes that is refused, and why it is.
std::pair<double, std::string> seconds_to_refuse(const std::string& source,
                                                 const chat_options& options) {
    const std::clock_t begin = std::clock();
    std::string why = refusal(source, options);
    return {static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, why};
}

}  // namespace

BOOST_AUTO_TEST_CASE(conversations_are_those_of_transformers) {
    const auto golden = read_golden(golden_path("smollm2/chat_template.json"));
    const chat_template smollm2(golden["template"].get<std::string>());
    for (const auto& g : golden["conversations"]) {
        std::vector<chat_message> messages;
        for (const auto& m : g["messages"]) { messages.push_back({m["role"], m["content"]}); }
        BOOST_TEST(
            smollm2.render(messages, {.add_generation_prompt = g["add_generation_prompt"]}) ==
            g["text"].get<std::string>());
    }
    BOOST_TEST(golden["conversations"].size() == 10U);
}

BOOST_AUTO_TEST_CASE(small_templates_give_what_jinja_gives_or_are_refused_by_name) {
    const auto golden = read_ordered("chat_templates/small.json");
    const conversation messages = conversation_of(golden["conversation"]);
    const chat_options options{.date = golden["date"].get<std::string>()};
    std::size_t compared = 0;
    for (const auto& g : golden["cases"]) {
        const auto source = g["template"].get<std::string>();
        if (!g.contains("refused")) {
            compare(source, g, messages, options);
            ++compared;
            continue;
        }
        const std::string error = error_message([&] { (void)rendered(source, messages, options); });
        BOOST_TEST_INFO(source);
        BOOST_TEST_INFO(error);
        BOOST_TEST(error.find(g["refused"].get<std::string>()) != std::string::npos);
    }
    BOOST_TEST(compared >= 300U);
}

BOOST_AUTO_TEST_CASE(long_templates_give_what_jinja_gives) {
    const auto golden = read_ordered("chat_templates/long.json");
    BOOST_TEST(golden["cases"].size() == 40U);
    const chat_options options{.date = golden["date"].get<std::string>()};
    for (const auto& g : golden["cases"]) {
        const auto source = g["template"].get<std::string>();
        BOOST_TEST(g["rendered"].size() == golden["conversations"].size());
        for (std::size_t i = 0; i < g["rendered"].size(); ++i) {
            const auto& given = golden["conversations"][i];
            compare(source, g["rendered"][i], conversation_of(given), options);
        }
    }
}

BOOST_AUTO_TEST_CASE(what_is_refused_says_where) {
    const std::string at = "chat template: line 2: ";
    BOOST_TEST(refusal("\n{% do x %}") == at + "statement 'do' is not supported");
    BOOST_TEST(refusal("\n{{ 'a' | urlize }}") == at + "filter 'urlize' is not supported");
    BOOST_TEST(refusal("\n{{ a is nice }}") == at + "test 'nice' is not supported");
    BOOST_TEST(refusal("\n{{ a.encode() }}") == at + "'.encode()' is not supported");
    BOOST_TEST(refusal("\n{% if true %}a") == at + "expected endif, got the end");
    BOOST_TEST(refusal("\n{{ 1 + }}") == at + "expected an expression, got }}");
    // When it is used, not when it is read.
    BOOST_TEST(rendered("{% if false %}{{ strftime_now('%Q') }}{% endif %}") == "");
    BOOST_TEST(refusal("{{ strftime_now('%Q') }}") ==
               "chat template: strftime_now: '%Q' is not supported");
    BOOST_TEST(refusal("{{ a.b }}") == "chat template: 'a' is undefined");
    BOOST_TEST(refusal("\xff") == "chat template: the template is not UTF-8");
    BOOST_TEST(error_message([] {
                   (void)rendered("{{ messages }}", std::vector<chat_message>{{"user", "\xff"}});
               }) == "chat template: a message of 'user': expected UTF-8, got '\\xff'");
}

BOOST_AUTO_TEST_CASE(the_clock_can_be_set) {
    const std::string source = "{{ strftime_now('%a %d %b %Y %H:%M %j') }}";
    BOOST_TEST(rendered(source, talk, {.date = "2024-02-29"}) == "Thu 29 Feb 2024 00:00 060");
    for (const char* wrong : {"2023-02-29", "2024-2-9", "2024/02/29", "today", "0000-01-01"}) {
        BOOST_TEST(error_message([&] { (void)rendered("", talk, {.date = wrong}); }) ==
                   "date: expected YYYY-MM-DD, got '" + std::string(wrong) + "'");
    }
    BOOST_TEST(rendered("{{ strftime_now('%Y') }}") >= "2024");
}

BOOST_AUTO_TEST_CASE(a_budget_ends_what_would_not_end) {
    const std::string chain = "{{ 'a'" + repeated(" ~ 'a'", 15000) + " }}";
    BOOST_TEST(rendered(chain) == repeated("a", 15001));
    BOOST_TEST(rendered("{{ 1" + repeated(" + 1", 15000) + " }}") == "15001");
    BOOST_TEST(rendered("{{ 'a'" + repeated(" | trim", 15000) + " }}") == "a");
    BOOST_TEST(rendered("{{ 0" + repeated(" or 0", 15000) + " }}") == "0");

    const std::string list = "[" + repeated("0,", 1000) + "0]";
    std::string loops;
    for (int i = 0; i < 5; ++i) { loops += "{% for x in " + list + " %}"; }
    const std::string twice = "{% set ns = namespace(s='a', l=[1]) %}{% for i in range(40) %}";
    const std::vector<std::string> hostile{
        loops + repeated("{% endfor %}", 5),
        twice + "{% set ns.s = ns.s + ns.s %}{% endfor %}",
        twice + "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        twice + "{% set ns.s = ns.s * 1000 %}{% endfor %}",
        twice + "{% set ns.l = ns.l + ns.l %}{% endfor %}",
        twice + "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        twice + "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}",
        twice + "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == ns.l }}",
        twice + "{% set ns.s = ns.s.replace('', ns.s) %}{% endfor %}",
        twice + "{% set ns.s = ns.s.replace('a', 'aaaaaaaaaaaaaaaa') %}{% endfor %}",
        twice + "{% set ns.s = [ns.s, ns.s] | join(ns.s) %}{% endfor %}",
        "{{ 'a'.center(10000000000) }}",
        "{{ '%999999999s' % 'a' }}",
        "{{ '{:999999999}'.format('a') }}",
        "{{ [[[1]]] | tojson(indent=900000000) }}",
        "{{ 'a\nb' | indent(900000000) }}",
        "{% for x in range(100000) %}{% for y in range(100000) %}{{ y }}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set ns = namespace(l=1) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor "
        "%}",
        "{{ 2 ** 100 }}",
    };
    for (const std::string& source : hostile) {
        // The default takes ten times as long: half a second, but not with sanitizers.
        const bool whole = &source == hostile.data();
        const chat_options options{.limits = {.steps = whole ? 10'000'000U : 1'000'000U}};
        const auto [seconds, why] = seconds_to_refuse(source, options);
        BOOST_TEST_INFO(source.substr(0, 200));
        BOOST_TEST_INFO(why);
        const bool named = why.find("steps") != std::string::npos ||
                           why.find("bytes") != std::string::npos ||
                           why.find("deep") != std::string::npos ||
                           why.find("beyond 64 bits") != std::string::npos;
        BOOST_TEST(named);
        BOOST_TEST(seconds < 30.0);
    }
    BOOST_TEST(refusal("{% for x in range(1000) %}{% endfor %}", {.limits = {.steps = 500}}) ==
               "chat template: it takes more than 500 steps");
    BOOST_TEST(refusal("{{ 'a' * 1000 }}", {.limits = {.bytes = 500}}) ==
               "chat template: it makes more than 500 bytes of text");
}

BOOST_AUTO_TEST_CASE(deep_nesting_is_refused_before_the_stack_ends) {
    const std::string deep = "nested too deep: more than 100 levels";
    const auto around = [](const std::string& open, const std::string& close) {
        return "{{ " + repeated(open, 5000) + "1" + repeated(close, 5000) + " }}";
    };
    for (const std::string& source :
         {around("(", ")"), around("[", "]"), around("{1:", "}"), around("a(", ")"),
          around("a[", "]"), around("-", ""), around("not ", ""), around("1 if 1 else ", ""),
          repeated("{% if true %}", 5000), repeated("{% for x in y %}", 5000),
          repeated("{% macro f() %}", 5000), repeated("{% set x %}", 5000),
          "{% set " + repeated("(", 5000) + "x" + repeated(")", 5000) + " = 1 %}"}) {
        BOOST_TEST(refusal(source) == "chat template: line 1: " + deep);
    }
    BOOST_TEST(rendered("{% if true %}" + repeated("{% elif true %}", 5000) + "{% endif %}") == "");
}

BOOST_AUTO_TEST_CASE(messages_come_from_json) {
    const auto shown = [](const std::string& json, const std::string& source) {
        return rendered(source, conversation::from_json("f", json));
    };
    BOOST_TEST(shown(R"([{"role":"user","content":"a"}])", "{{ messages }}{{ tools }}") ==
               "[{'role': 'user', 'content': 'a'}]None");
    BOOST_TEST(shown(R"({"messages":[],"tools":[{"b":1,"a":2.0}],"x":true})",
                     "{{ tools | tojson }}{{ x }}{{ messages }}") ==
               R"([{"b": 1, "a": 2.0}]True[])");
    // As transformers does.
    BOOST_TEST(shown(R"([{"role":"a","reasoning":"r"}])", "{{ messages }}") ==
               "[{'thinking': 'r', 'role': 'a', 'reasoning': 'r', 'reasoning_content': 'r'}]");
    const auto wrong = [](const std::string& json) {
        return error_message([&] { (void)conversation::from_json("f", json); });
    };
    const std::string missing =
        "f: expected a list of messages, or an object with one as \"messages\"";
    BOOST_TEST(wrong("1") == missing);
    BOOST_TEST(wrong("{}") == missing);
    BOOST_TEST(wrong("[1]") == "f: messages[0]: expected an object");
    BOOST_TEST(wrong(R"({"messages":[],"tools":1})") == "f: tools: expected a list of objects");
    BOOST_TEST(wrong("[").starts_with("f: byte"));
    BOOST_TEST(wrong(R"([{"a":18446744073709551615}])") ==
               "f: whole numbers beyond 64 bits are not supported, got 18446744073709551615");

    conversation one(talk);
    const conversation other = one;
    one.add({"user", "more"});
    one.add_first({"system", "first"});
    one.set("enable_thinking", "false");
    BOOST_TEST(one.size() == 5U);
    BOOST_TEST(other.size() == 3U);
    BOOST_TEST(!one.has_tools());
    BOOST_TEST(rendered("{{ messages[0].content }}{{ messages[-1].content }}{{ enable_thinking }}",
                        one) == "firstmoreFalse");
}
