// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE examples_page
#include <boost/test/unit_test.hpp>

#include <xlens/report/examples_page.hpp>
#include <xlens/report/octave_chart.hpp>

#include "support/error_message.hpp"
#include "support/outside_reference.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

using namespace xlens;

// `xlens examples --html` from outside: tests/cli/examples.cpp.

namespace {

bool holds(std::string_view page, std::string_view part) { return page.find(part) != page.npos; }

/// Eight positions of one neuron in two windows that begin with token 9, every m made up.
text_examples made_up() {
    const model_sizes sizes{1, 2, 2, 10};
    text_examples out{
        coefficient_examples(sizes, {{0, 1}}, {2, 1, 2, 1, 0.5F}), {9, 1, 2, 3, 9, 4, 5, 6}, 4, 1};
    const std::array<float, 8> m{50.0F, 0.25F, -2.0F, 0.5F, 60.0F, 0.0F, 4.0F, -0.5F};
    for (std::size_t window = 0; window < 2; ++window) {
        xt::xtensor<float, 2> rows = xt::zeros<float>({4, 2});
        for (std::size_t t = 0; t < 4; ++t) { rows(t, 1) = m[4 * window + t]; }
        out.found.begin_window(4 * window, 4);
        out.found.coefficients({}, rows);
        out.found.end_window();
    }
    return out;
}

std::string page_of(const text_examples& run, const std::string& promotes = "cat") {
    const examples_report report{
        .model = "a model",
        .text = "text.txt",
        .manifest = "how",
        .run = run,
        .neurons = {{{0, 1}, promotes, "dog"}},
        .bytes =
            [](token_id id) {
                if (id == 6) { return std::string(); }
                return id == 5 ? "\n" : " <" + std::to_string(id) + ">";
            },
    };
    return to_string(examples_page(report));
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_page_holds_the_run) {
    const std::string page = page_of(made_up());
    BOOST_TEST(page.starts_with("<!DOCTYPE html>"));
    BOOST_TEST(holds(page, "a model, on text.txt: 6 tokens in windows of 4, 6\npositions"));
    BOOST_TEST(holds(page, "<h2 id=\"0:1\">0:1</h2>"));
    BOOST_TEST(
        holds(page, "|m| &gt; 0.5 at 33.3 % of positions, m &gt; 0 at 50 %, m = 0 at\n16.7 %"));
    // Not the start token, whose m is largest; its window's tokens alone, shaded by |m| / 4.
    BOOST_TEST(holds(page,
                     "<li><b title=\"token 4 of the text\">+4</b><bdi>"
                     "<span class=\"up\" style=\"--a:0.00\" title=\"0\"> &lt;4&gt;</span>"
                     "<span class=\"up at\" style=\"--a:1.00\" title=\"4\">⏎</span>"
                     "<span class=\"down\" style=\"--a:0.12\" title=\"-0.5\">#6 </span>"
                     "</bdi></li>"));
    BOOST_TEST(holds(page, "<title>2 to 4: 0</title>"));
    BOOST_TEST(holds(page, "<title>4 to 8: 1</title>"));
    BOOST_TEST(!holds(page, "50</b>"));
}

BOOST_AUTO_TEST_CASE(nothing_from_outside_is_markup) {
    const std::string page = page_of(made_up(), "</p><b>{{name}}");
    BOOST_TEST(!holds(page, "<b>{{"));
    BOOST_TEST(holds(page, "&lt;/p&gt;&lt;b&gt;{{name}}"));
    BOOST_TEST(!holds(page, "<4>"));
}

BOOST_AUTO_TEST_CASE(the_page_asks_for_nothing) {
    BOOST_TEST(test::outside_reference(page_of(made_up())) == "");
}

BOOST_AUTO_TEST_CASE(a_neuron_that_was_not_looked_at_is_refused) {
    const text_examples run = made_up();
    const examples_report report{"", "", "", run, {{{0, 0}, "", ""}}, [](token_id) { return ""; }};
    BOOST_TEST(test::error_message([&] { (void)examples_page(report); }) ==
               "examples: neuron 0:0 is none of the 1 that were looked at");
}

BOOST_AUTO_TEST_CASE(bins_have_names) {
    BOOST_TEST(octave_name(32) == "about 0");
    BOOST_TEST(octave_name(49) == "1 to 2");
    BOOST_TEST(octave_name(14) == "-4 to -2");
    BOOST_TEST(octave_name(64) == "32768 and more");
    BOOST_TEST(octave_name(0) == "-32768 and less");
}
