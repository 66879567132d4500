// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE compare_page
#include <boost/test/unit_test.hpp>

#include <xlens/report/compare_page.hpp>

#include "support/outside_reference.hpp"

#include <cmath>
#include <string>
#include <string_view>

using namespace xlens;

// `xlens compare --html` from outside: tests/cli/compare.cpp.

namespace {

/// Two layers and a position, every number made up.
comparison made_up() {
    comparison out;
    out.output.positions = 12;
    out.output.kl = {0.25, 0.125};
    out.output.agreement = {0.75, 0.0625};
    out.output.nll_a = std::log(8.0);
    out.output.nll_b = std::log(10.0);
    out.output.log_ratio = {std::log(1.25), 0.5};
    compared_position p;
    p.predicted = 5;
    p.read = 3;
    p.next = 4;
    p.kl = 1.5;
    p.log_a = std::log(0.5);
    p.log_b = std::log(0.125);
    p.a.top = {{4, 0.0F}, {9, -1.0F}};
    p.a.log_normaliser = std::log(2.0F);
    p.b.top = {{9, 0.0F}};
    p.b.log_normaliser = std::log(4.0F);
    out.output.largest.push_back(p);
    layer_difference layer;
    layer.kl = 0.0625;
    layer.values = value_difference{0.9, 0.8, 1, 0.7};
    out.layers = {layer, layer};
    out.saturation = saturation_difference{1.5, 1.25, -0.25, 0.5};
    out.values.push_back({{1, 7}, 0.25, 0.5, {{4, 2.0F}}, {{9, 3.0F}}});
    return out;
}
std::string page_of(const comparison& found) {
    const auto label = [](token_id id) { return "<t" + std::to_string(id) + ">"; };
    return to_string(
        compare_page(found, {.a = "<A>", .b = "B & b", .about_a = "llama", .text = "x"}, label));
}
bool has(std::string_view page, std::string_view text) { return page.find(text) != page.npos; }

}  // namespace

BOOST_AUTO_TEST_CASE(the_page_shows_the_figures_and_no_markup_of_others) {
    const std::string page = page_of(made_up());
    for (const std::string_view part :
         {"<b>0.25 ± 0.12</b>", "<b>75 % ± 6.2 %</b>", "A 8.0000, B 10.0000", "<b>1.25 ± 0.62</b>",
          "<bdi>&lt;A&gt;</bdi>", "B &amp; b", "KL(A‖B) of the readings", "1.50 of A",
          "(shift -0.250)", "unchanged at 50.00 %", "<td>1.5</td><td>5</td>",
          "<td>50.00 %</td><td>12.50 %</td>",
          "<span class=\"next\"><bdi>&lt;t4&gt;</bdi> <small>50.0 %</small>",
          "<tr><td>1:7</td><td>0.2500</td><td>50 %</td>"}) {
        BOOST_TEST(has(page, part), part);
    }
    BOOST_TEST(!has(page, "<t4>"));
    BOOST_TEST(!has(page, "After the text"));
    BOOST_TEST(test::outside_reference(page) == "");
}

BOOST_AUTO_TEST_CASE(what_is_left_out_is_said) {
    comparison found = made_up();
    found.layers.clear();
    found.saturation.reset();
    found.values.clear();
    found.left_out = "layers: 30 and 18";
    found.values_left_out = found.left_out;
    found.output.end = found.output.largest.front();
    const std::string page = page_of(found);
    BOOST_TEST(has(page, "Layers left out: layers: 30 and 18."));
    BOOST_TEST(has(page, "After the text"));
    BOOST_TEST(!has(page, "Layer by layer"));
    BOOST_TEST(!has(page, "least alike"));
}
