// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE trace_page
#include <boost/test/unit_test.hpp>

#include <xlens/report/trace_page.hpp>
#include <xlens/text/base64.hpp>
#include <xlens/trace/observe_patterns.hpp>

#include "support/compare_heads.hpp"
#include "support/error_message.hpp"
#include "support/json_document.hpp"
#include "support/outside_reference.hpp"
#include "support/tiny_model.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using nlohmann::json;

// What the browser does with a page is checked in tests/browser.

namespace {

const tiny_model<>& llama() {
    static const tiny_model<> m("llama/hf");
    return m;
}

std::vector<traced_position> traced(std::size_t top, std::size_t sub_updates) {
    return trace(llama().model, std::span<const token_id>(llama().ids),
                 {top, sub_updates, observe::positions::all});
}
/// Every token has a text that a page must not trust; one has none.
std::string hostile(token_id id) {
    return id == 7 ? "" : " </script><b>" + std::to_string(id) + "\xff\n";
}
std::string shown(token_id id) {
    return id == 7 ? "#7" : "␣</script><b>" + std::to_string(id) + "\\xff⏎";
}
std::size_t occurrences(std::string_view text, std::string_view part) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) { ++count; }
    return count;
}

/// The tokens and probabilities of a list, from the page's tables, beside the trace's.
void check_reading(const json& data, const json& flat, const reading& expected, std::size_t top) {
    const std::size_t count = std::min(top, expected.top.size());
    BOOST_TEST_REQUIRE(flat.size() == 2 * count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto t = flat[2 * i].get<std::size_t>();
        BOOST_TEST(data["ids"][t] == expected.top[i].id);
        BOOST_TEST(data["tokens"][t] == shown(expected.top[i].id));
        BOOST_TEST(std::abs(flat[2 * i + 1].get<double>() / 1e5 -
                            double{expected.probability(expected.top[i])}) < 0.51e-5);
    }
}
void check_end(const json& data, const json& end, std::span<const scored> expected,
               std::size_t top) {
    BOOST_TEST_REQUIRE(end.size() == std::min(top, expected.size()));
    for (std::size_t i = 0; i < end.size(); ++i) {
        BOOST_TEST(data["ids"][end[i].get<std::size_t>()] == expected[i].id);
    }
}
void check_sub_update(const json& data, const json& number, const json& m, std::size_t layer,
                      const traced_sub_update& s, std::size_t top) {
    const json& vector = data["vectors"][number.get<std::size_t>()];
    BOOST_TEST(vector[0] == layer);
    BOOST_TEST(vector[1] == s.where.index);
    BOOST_TEST(std::abs(vector[2].get<float>() - s.norm) <= 1e-4F * s.norm);
    BOOST_TEST(std::abs(m.get<float>() - s.coefficient) <= 1e-4F * std::abs(s.coefficient));
    check_end(data, vector[3], s.concept_of_value->promotes, top);
    check_end(data, vector[4], s.concept_of_value->suppresses, top);
}
void check_data(const json& data, std::span<const traced_position> positions, std::size_t top,
                std::size_t sub_updates) {
    BOOST_TEST_REQUIRE(data["cells"].size() == positions.size());
    for (std::size_t p = 0; p < positions.size(); ++p) {
        BOOST_TEST(data["positions"][p] == positions[p].position);
        BOOST_TEST(data["saturation"][p] == positions[p].saturation_layer);
        BOOST_TEST(data.contains("exits") == positions[p].exit_layer.has_value());
        if (positions[p].exit_layer) { BOOST_TEST(data["exits"][p] == *positions[p].exit_layer); }
        BOOST_TEST_REQUIRE(data["cells"][p].size() == positions[p].layers.size());
        for (std::size_t l = 0; l < positions[p].layers.size(); ++l) {
            const traced_layer& layer = positions[p].layers[l];
            const json& cell = data["cells"][p][l];
            check_reading(data, cell[0], layer.before, top);
            check_reading(data, cell[1], layer.after, top);
            const std::size_t count = std::min(sub_updates, layer.sub_updates.size());
            BOOST_TEST_REQUIRE(cell[2].size() == 2 * count);
            for (std::size_t i = 0; i < count; ++i) {
                check_sub_update(data, cell[2][2 * i], cell[2][2 * i + 1], l, layer.sub_updates[i],
                                 top);
            }
        }
    }
}

html_page page_of(std::span<const traced_position> positions, const trace_page_options& options) {
    return trace_page(positions, llama().ids, hostile, options);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_page_holds_the_trace) {
    const auto positions = traced(6, 4);
    const html_page page = page_of(positions, {.top = 6, .sub_updates = 4});
    const json data = json_document(page.data);
    check_data(data, positions, 6, 4);
    BOOST_TEST_REQUIRE(data["prompt"].size() == llama().ids.size());
    for (std::size_t i = 0; i < llama().ids.size(); ++i) {
        BOOST_TEST(data["tokens"][data["prompt"][i].get<std::size_t>()] == shown(llama().ids[i]));
    }
}

BOOST_AUTO_TEST_CASE(early_exits_are_there_if_the_trace_has_them) {
    auto positions = traced(6, 4);
    BOOST_TEST(!json_document(page_of(positions, {}).data).contains("exits"));
    for (std::size_t p = 0; p < positions.size(); ++p) { positions[p].exit_layer = p % 2; }
    const html_page page = page_of(positions, {.top = 6, .sub_updates = 4});
    check_data(json_document(page.data), positions, 6, 4);
}

// In steps of 1/255, as the kernels compute them.
BOOST_AUTO_TEST_CASE(patterns_are_there_if_they_were_observed) {
    BOOST_TEST(!json_document(page_of(traced(6, 4), {}).data).contains("patterns"));
    observe_patterns patterns(llama().model.config.heads);
    test::record_heads exact;
    sequence_state state = llama().model.start();
    llama().model.forward(state, llama().ids, exact);
    const auto positions = trace(llama().model, std::span<const token_id>(llama().ids),
                                 {6, 4, observe::positions::all}, patterns);
    const json data = json_document(page_of(positions, {.patterns = &patterns}).data);
    const std::size_t heads = llama().model.config.heads;
    const std::size_t all = llama().ids.size();
    BOOST_TEST(data["heads"] == heads);
    BOOST_TEST_REQUIRE(data["patterns"].size() == all);
    for (std::size_t p = 0; p < all; ++p) {
        BOOST_TEST_REQUIRE(data["patterns"][p].size() == positions[p].layers.size());
        for (std::size_t l = 0; l < positions[p].layers.size(); ++l) {
            const auto bytes = from_base64(data["patterns"][p][l].get<std::string>());
            BOOST_TEST_REQUIRE(bytes.has_value());
            BOOST_TEST_REQUIRE(bytes->size() == heads * (p + 1));
            for (std::size_t i = 0; i < bytes->size(); ++i) {
                const double found = static_cast<unsigned char>((*bytes)[i]) / 255.0;
                const double weight =
                    double{exact.layers[l].pattern(p, i / (p + 1) * all + i % (p + 1))};
                BOOST_TEST(std::abs(found - weight) < 0.5001 / 255.0);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(patterns_of_long_prompts_are_left_out) {
    const auto positions = traced(1, 0);
    observe_patterns patterns(llama().model.config.heads);
    const auto holds = [&](std::size_t tokens) {
        const std::vector<token_id> prompt(tokens, 3);
        const html_page page = trace_page(positions, prompt, hostile, {.patterns = &patterns});
        return json_document(page.data).contains("patterns");
    };
    BOOST_TEST(holds(most_patterned_tokens));
    BOOST_TEST(!holds(most_patterned_tokens + 1));
}

BOOST_AUTO_TEST_CASE(tokens_and_value_vectors_stand_once) {
    const json data = json_document(page_of(traced(6, 4), {}).data);
    std::set<int> ids;
    for (const json& id : data["ids"]) { BOOST_TEST(ids.insert(id.get<int>()).second); }
    std::set<std::pair<int, int>> neurons;
    std::size_t uses = 0;
    for (const json& v : data["vectors"]) { neurons.emplace(v[0].get<int>(), v[1].get<int>()); }
    for (const json& position : data["cells"]) {
        for (const json& cell : position) { uses += cell[2].size() / 2; }
    }
    BOOST_TEST(neurons.size() == data["vectors"].size());
    BOOST_TEST(neurons.size() < uses);
}

BOOST_AUTO_TEST_CASE(the_page_shows_no_more_than_was_asked_for) {
    const auto positions = traced(6, 4);
    const json data = json_document(page_of(positions, {.top = 2, .sub_updates = 1}).data);
    check_data(data, positions, 2, 1);
    const json none = json_document(page_of(positions, {.top = 1, .sub_updates = 0}).data);
    BOOST_TEST(none["vectors"].empty());
    check_data(none, positions, 1, 0);
    const auto last = std::span<const traced_position>(positions).last(1);
    const json one = json_document(page_of(last, {}).data);
    check_data(one, last, 10, 10);
    BOOST_TEST(one["prompt"].size() == llama().ids.size());
}

BOOST_AUTO_TEST_CASE(nothing_from_outside_is_markup) {
    const std::string page = to_string(
        page_of(traced(3, 2), {.model = "<model>", .about = "a & b </p>", .made = "\"made\" {}"}));
    BOOST_TEST(occurrences(page, "</script>") == 2U);
    BOOST_TEST(page.find("<b>1") == page.npos);
    BOOST_TEST(page.find("&lt;model&gt;") != page.npos);
    BOOST_TEST(page.find("a &amp; b &lt;/p&gt;") != page.npos);
    BOOST_TEST(page.find("&quot;made&quot; {}") != page.npos);
    BOOST_TEST(page.find("://") == page.npos);
    BOOST_TEST(test::outside_reference(page) == "");
}

BOOST_AUTO_TEST_CASE(what_is_no_number_is_null) {
    auto positions = traced(3, 2);
    traced_layer& layer = positions[0].layers[0];
    layer.before.log_normaliser = std::numeric_limits<float>::quiet_NaN();
    layer.after.top.clear();
    layer.sub_updates[0].coefficient = std::numeric_limits<float>::infinity();
    const json cell = json_document(page_of(positions, {}).data)["cells"][0][0];
    BOOST_TEST(cell[0][1].is_null());
    BOOST_TEST(cell[1].empty());
    BOOST_TEST(cell[2][1].is_null());
}

BOOST_AUTO_TEST_CASE(a_page_of_nothing_is_refused) {
    BOOST_TEST(error_message([] { page_of({}, {}); }) ==
               "page of a trace: expected at least 1 position and layer, got 0");
}
