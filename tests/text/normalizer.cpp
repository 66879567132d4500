// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE normalizer
#include <boost/test/unit_test.hpp>

#include <support/golden_code_points.hpp>
#include <support/golden_tokens.hpp>

#include <xlens/json/reader.hpp>
#include <xlens/text/normalizer.hpp>
#include <xlens/text/tokenizer_json_steps.hpp>

#include <nlohmann/json.hpp>

#include "support/json_document.hpp"

#include <string>
#include <utility>
#include <vector>

using xlens::normalizer;

namespace {

normalizer one(normalizer::step step) { return normalizer({std::move(step)}); }

}  // namespace

BOOST_AUTO_TEST_CASE(every_assigned_character_equals_hugging_face) {
    const std::vector<std::pair<std::string, normalizer>> forms{
        {"NFC", one(xlens::normal_form{true, false})},
        {"NFD", one(xlens::normal_form{false, false})},
        {"NFKC", one(xlens::normal_form{true, true})},
        {"NFKD", one(xlens::normal_form{false, true})},
        {"Lowercase", one(xlens::lower_case{})}};
    for (const auto& form : forms) {
        xlens::test::check_code_points(form.first, [&](const std::vector<std::string>& characters) {
            std::string all;
            for (const std::string& c : characters) {
                if (&c != &characters.front()) { all += '\0'; }
                all += form.second(c);
            }
            return all;
        });
    }
}

BOOST_AUTO_TEST_CASE(texts_equal_hugging_face) {
    const auto steps = xlens::test::json_document(xlens::test::golden_text("steps.json"));
    const auto& cases = steps.at("normalizers");
    BOOST_TEST(cases.size() > 300U);
    for (const auto& item : cases) {
        std::vector<normalizer::step> read;
        const auto config = xlens::parse_json("golden", item[0].dump());
        xlens::detail::read_normalizer(xlens::json_field(config, "golden"), read);
        const auto text = item[1].get<std::string>();
        BOOST_TEST(normalizer(read)(text) == item[2].get<std::string>(),
                   item[0].dump() << " of " << xlens::printable(text));
    }
}

BOOST_AUTO_TEST_CASE(a_mark_is_prepended_to_the_start_of_a_section_only) {
    const normalizer mark = one(xlens::prepend{"_"});
    BOOST_TEST(mark("a") == "_a");
    BOOST_TEST(mark("a", false) == "a");
    BOOST_TEST(mark("").empty());
    BOOST_TEST(normalizer()("a") == "a");
    BOOST_TEST(normalizer().empty());
}
