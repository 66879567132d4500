// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE chat_template
#include <boost/test/unit_test.hpp>

#include <xlens/text/templates/chat_template.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"

#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

const std::vector<chat_message> talk{
    {"system", " Be brief. "}, {"user", "Hi"}, {"assistant", "Yes?"}};

std::string rendered(const std::string& source, const std::vector<chat_message>& messages = talk) {
    return chat_template(source).render(messages, true, "<s>", "</s>");
}
std::string refusal(const std::string& source) {
    return error_message([&] { (void)rendered(source); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(conversations_are_those_of_transformers) {
    const auto golden = read_golden(golden_path("smollm2/chat_template.json"));
    const chat_template smollm2(golden["template"].get<std::string>());
    for (const auto& g : golden["conversations"]) {
        std::vector<chat_message> messages;
        for (const auto& m : g["messages"]) { messages.push_back({m["role"], m["content"]}); }
        BOOST_TEST(smollm2.render(messages, g["add_generation_prompt"]) ==
                   g["text"].get<std::string>());
    }
    BOOST_TEST(golden["conversations"].size() == 10U);
}

BOOST_AUTO_TEST_CASE(values_are_those_of_python) {
    // What jinja2 3.1 gives for each.
    BOOST_TEST(rendered("{{ 'a' + \"b\" ~ 3 }}") == "ab3");
    BOOST_TEST(rendered("{{ messages[-1]['content'] }} {{ messages[0].content | trim }}") ==
               "Yes? Be brief.");
    BOOST_TEST(
        rendered("{{ messages | length }}{{ messages[1:] | length }}{{ messages[:1] | length }}") ==
        "321");
    BOOST_TEST(rendered("{{ nothing }}{{ none }}{{ true }}{{ 7 % 4 * 2 - 1 }}") == "NoneTrue5");
    BOOST_TEST(rendered("{{ 'x' if false }}{{ 'y' if not '' else 'z' }}") == "y");
    BOOST_TEST(rendered("{{ 'a' in 'bar' and 'b' not in ['a'] }} {{ 1 <= 1 != 2 }}") ==
               "True True");
    BOOST_TEST(rendered("{{ a is defined }} {{ bos_token is string }} {{ a is not none }}") ==
               "False True True");
    BOOST_TEST(rendered("{{ 'a,b'.split(',')[-1].upper() + ' x '.strip() }}") == "Bx");
    BOOST_TEST(rendered(R"({{ 'it\'s\n' }}{{ '}}' }})") == "it's\n}}");
    BOOST_TEST(rendered("{{ messages[0].get('name', 'nobody') }}{{ a | default('d') }}") ==
               "nobodyd");
}

BOOST_AUTO_TEST_CASE(statements_and_white_space_are_those_of_transformers) {
    BOOST_TEST(rendered("a\n  {% if true %}\nb\n  {% endif %}\nc\n") == "a\nb\nc\n");
    BOOST_TEST(rendered("a {%- if true -%} b {%- endif %} c") == "ab c");
    BOOST_TEST(rendered("{# note #}\n{{ bos_token -}}   x") == "<s>x");
    BOOST_TEST(rendered("{% for m in messages %}{{ loop.index0 }}{{ m.role[0:1] }}"
                        "{% if not loop.last %},{% endif %}{% endfor %}") == "0s,1u,2a");
    BOOST_TEST(rendered("{% for m in [] %}x{% else %}none{% endfor %}") == "none");
    BOOST_TEST(rendered("{% if false %}1{% elif messages %}2{% else %}3{% endif %}") == "2");
    // A variable that is set in a loop ends with it; a member of a namespace does not.
    BOOST_TEST(
        rendered("{% set x = 'a' %}{% set n = namespace(x='a') %}{% for m in messages %}"
                 "{% set x = x + 'b' %}{% set n.x = n.x + 'b' %}{% endfor %}{{ x }}{{ n.x }}") ==
        "aabbb");
}

BOOST_AUTO_TEST_CASE(other_families_templates_are_read) {
    // Llama 2's way: the system message joins the first user's, and roles must alternate.
    const std::string llama2 =
        "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
        "{% set system_message = messages[0]['content'] %}{% else %}"
        "{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
        "{% for message in loop_messages %}"
        "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Roles must alternate') }}{% endif %}"
        "{% if loop.index0 == 0 and system_message != false %}"
        "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] "
        "%}"
        "{% else %}{% set content = message['content'] %}{% endif %}"
        "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' "
        "}}"
        "{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}"
        "{% endif %}{% endfor %}";
    BOOST_TEST(rendered(llama2) ==
               "<s>[INST] <<SYS>>\n Be brief. \n<</SYS>>\n\nHi [/INST] Yes? </s>");
    BOOST_TEST(error_message([&] {
                   (void)rendered(llama2, {{"assistant", "a"}});
               }) == "chat template: Roles must alternate");
    const std::string zephyr =
        "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
        "{{ '<|user|>\n' + message['content'] + eos_token }}\n"
        "{% elif message['role'] == 'system' %}\n"
        "{{ '<|system|>\n' + message['content'] + eos_token }}\n"
        "{% elif message['role'] == 'assistant' %}\n"
        "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
        "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% "
        "endfor %}";
    BOOST_TEST(
        rendered(zephyr) ==
        "<|system|>\n Be brief. </s>\n<|user|>\nHi</s>\n<|assistant|>\nYes?</s>\n<|assistant|>\n");
}

BOOST_AUTO_TEST_CASE(what_it_does_not_know_is_refused_by_name) {
    const std::string at = "chat template: ";
    BOOST_TEST(refusal("{% macro f() %}{% endmacro %}") ==
               at + "statement 'macro' is not supported");
    BOOST_TEST(refusal("{{ 'a' | tojson }}") == at + "filter 'tojson' is not supported");
    BOOST_TEST(refusal("{{ strftime_now('%Y') }}") == at + "'strftime_now()' is not supported");
    BOOST_TEST(refusal("{{ 'a'.title() }}") == at + "'.title()' is not supported");
    BOOST_TEST(refusal("{{ a is divisibleby }}") == at + "test 'divisibleby' is not supported");
    BOOST_TEST(refusal("{% if true %}a") == at + "expected endif, got the end");
    BOOST_TEST(refusal("{% for m in messages if m %}{% endfor %}") ==
               at + "cannot read ' m in messages if m' from 'if m'");
    BOOST_TEST(refusal("{{ 'a") == at + "expected }}, got the end");
    BOOST_TEST(refusal("{{ 1 + }}") == at + "cannot read '1 +' from ''");
    BOOST_TEST(refusal("{{ 'a' + 1 }}") == at + "+: expected a string");
    BOOST_TEST(refusal("{{ " + std::string(5000, '(') + " }}") == at + "nested too deep");
    BOOST_TEST(refusal("{{ " + std::string(5000, '-') + "1 }}") == at + "nested too deep");
    std::string deep;
    for (int i = 0; i < 100; ++i) { deep += "{% if true %}"; }
    BOOST_TEST(refusal(deep) == at + "nested too deep");
}
