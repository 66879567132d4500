// SPDX-License-Identifier: BSD-3-Clause
// Every architecture, from safetensors and from GGUF, against transformers (wikilm: torch).
#define BOOST_TEST_MODULE architectures
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"

#include <xlens/generate/generate.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/io/load.hpp>
#include <xlens/trace/trace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

using namespace xlens;
using nlohmann::json;
namespace data = boost::unit_test::data;

namespace {

/// Every checkpoint of tests/golden: folders and files beside a golden.json.
std::vector<std::string> all_checkpoints() {
    std::vector<std::string> out;
    for (const char* part : {"models", "families"}) {
        for (const auto& model :
             std::filesystem::directory_iterator(xlens::test::golden_path(part))) {
            for (const char* file : {"hf", "hf_bare", "model.gguf"}) {
                if (std::filesystem::exists(model.path() / file)) {
                    out.push_back(
                        fmt::format("{}/{}/{}", part, model.path().filename().string(), file));
                }
            }
        }
    }
    std::ranges::sort(out);
    return out;
}
const std::vector<std::string> checkpoints = all_checkpoints();

struct opened {
    explicit opened(const std::string& name)
        : golden(xlens::test::read_golden(
              xlens::test::golden_path(name.substr(0, name.rfind('/')) + "/golden.json"))),
          ids(golden["ids"].get<std::vector<token_id>>()),
          model(load(xlens::test::golden_path(name))) {}
    json golden;
    std::vector<token_id> ids;
    xlens::model model;
};

/// Logits of all positions of the golden's ids, with these policies.
xt::xtensor<float, 2> all_logits(const opened& o, dynamic_policies& policies) {
    const auto& m = o.model;
    sequence_state state = m.start();
    state.wanted = logit_rows::all;
    m.forward(state, o.ids, policies);
    return state.logits;
}

std::vector<traced_position> traced(const opened& o) {
    const auto& m = o.model;
    return trace(m, std::span<const token_id>(o.ids), {5, 10, observe::positions::last});
}

std::vector<generated> continued(const opened& o, std::size_t count) {
    const auto& m = o.model;
    return generate(m, o.ids, {.count = count});
}

/// Logits of all positions, each token read in a pass of its own.
xt::xtensor<float, 2> logits_token_by_token(const opened& o) {
    const auto& m = o.model;
    sequence_state state = m.start();
    xt::xtensor<float, 2> out = xt::empty<float>({o.ids.size(), m.config.vocabulary});
    for (std::size_t t = 0; t < o.ids.size(); ++t) {
        m.forward(state, std::span<const token_id>(&o.ids[t], 1));
        std::copy(state.logits.begin(), state.logits.end(), rows<float>(out)[t].begin());
    }
    return out;
}

void check_logits(const json& expected, const xt::xtensor<float, 2>& logits) {
    for (const json& row : expected) {
        const auto values = row["values"].get<std::vector<float>>();
        const auto found = rows<const float>(logits)[row["position"].get<std::size_t>()];
        BOOST_TEST_INFO("position " << row["position"]);
        BOOST_TEST(xlens::test::max_difference(found, values) <
                   1e-4 * std::max(1.0, xlens::test::largest_magnitude(values)));
    }
}

void check_tokens(const json& expected, const reading& found) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
        BOOST_TEST(found.top[i].id == expected[i]["id"].get<token_id>());
        const double probability = expected[i]["probability"];
        BOOST_TEST(std::abs(found.probability(found.top[i]) - probability) < 1e-4);
    }
}

}  // namespace

BOOST_DATA_TEST_CASE(logits_equal_the_reference, data::make(checkpoints), name) {
    const opened o(name);
    dynamic_policies none;
    check_logits(o.golden["logits"], all_logits(o, none));
}

BOOST_DATA_TEST_CASE(layers_read_as_in_the_reference, data::make(checkpoints), name) {
    const opened o(name);
    const auto positions = traced(o);
    BOOST_TEST_REQUIRE(positions.size() == 1U);
    BOOST_TEST_REQUIRE(positions[0].layers.size() == o.golden["layers"].size());
    for (std::size_t l = 0; l < positions[0].layers.size(); ++l) {
        const traced_layer& found = positions[0].layers[l];
        const json& expected = o.golden["layers"][l];
        check_tokens(expected["before"], found.before);
        check_tokens(expected["after"], found.after);
        for (std::size_t i = 0; i < expected["dominant"].size(); ++i) {
            const json& e = expected["dominant"][i];
            const sub_update& f = found.sub_updates[i];
            BOOST_TEST(f.where.index == e["neuron"].get<std::size_t>());
            BOOST_TEST(f.coefficient == e["coefficient"].get<float>(),
                       boost::test_tools::tolerance(1e-3F));
            BOOST_TEST(f.norm == e["norm"].get<float>(), boost::test_tools::tolerance(1e-4F));
        }
    }
}

BOOST_DATA_TEST_CASE(greedy_text_equals_the_reference, data::make(checkpoints), name) {
    const opened o(name);
    const auto expected = o.golden["greedy"].get<std::vector<token_id>>();
    const auto found = continued(o, expected.size());
    BOOST_TEST_REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) { BOOST_TEST(found[i].id == expected[i]); }
}

BOOST_DATA_TEST_CASE(edited_coefficients_change_what_they_change_there, data::make(checkpoints),
                     name) {
    const opened o(name);
    for (const json& e : o.golden["edited"]) {
        edit change{{e["layer"].get<std::size_t>(), e["neuron"].get<std::size_t>()},
                    edit::kind::set,
                    e["value"].get<float>(),
                    {}};
        if (e["positions"] == "last") { change.positions = {o.ids.size() - 1}; }
        dynamic_policies policies;
        policies.add(intervene({change}));
        check_logits(e["logits"], all_logits(o, policies));
    }
}

BOOST_DATA_TEST_CASE(one_pass_and_token_by_token_give_the_same_bits, data::make(checkpoints),
                     name) {
    const opened o(name);
    dynamic_policies none;
    const auto together = all_logits(o, none);
    const auto apart = logits_token_by_token(o);
    BOOST_TEST(std::equal(together.begin(), together.end(), apart.begin()));
}

BOOST_DATA_TEST_CASE(threads_do_not_change_a_bit, data::make(checkpoints), name) {
    const opened o(name);
    dynamic_policies none;
    set_threads(1);
    const auto one = all_logits(o, none);
    set_threads(2);
    const auto two = all_logits(o, none);
    BOOST_TEST(std::equal(one.begin(), one.end(), two.begin()));
}
