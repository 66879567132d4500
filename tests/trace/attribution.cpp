// SPDX-License-Identifier: BSD-3-Clause
// What each part of a residual adds to a logit, against torch, and that the parts sum to it.
#define BOOST_TEST_MODULE attribution
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"

#include <xlens/concepts/value_concepts.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/io/load.hpp>
#include <xlens/trace/attribute.hpp>
#include <xlens/trace/attribution_log.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using nlohmann::json;
namespace data = boost::unit_test::data;

namespace {

const std::vector<std::string> checkpoints = {"gpt2/hf",
                                              "gpt2/model.gguf",
                                              "llama/hf",
                                              "llama/model.gguf",
                                              "llama3/hf",
                                              "mistral/hf",
                                              "qwen2/hf",
                                              "qwen3/hf",
                                              "gpt_neox/hf",
                                              "gpt_neox/model.gguf",
                                              "gpt_neox_sequential/hf",
                                              "llama_mixed/model.gguf",
                                              "wikilm/hf",
                                              "wikilm_final_norm/hf"};
const std::vector<std::string> compared = {"gpt2",     "llama",
                                           "qwen2",    "qwen3",
                                           "gpt_neox", "gpt_neox_sequential",
                                           "wikilm",   "wikilm_final_norm"};
const std::vector<std::string> prompts = {"capital", "opposite", "breakfast", "code",
                                          "french",  "chinese",  "japanese",  "emoji",
                                          "numbers", "long",     "single",    "chat"};

const xlens::model& smollm2() {
    static const xlens::model m = load(default_model());
    return m;
}
std::vector<token_id> ids_of(const json& golden) {
    return golden["ids"].get<std::vector<token_id>>();
}
json tiny_golden(const std::string& name) {
    return read_golden(golden_path("models/" + name.substr(0, name.find('/')) + "/golden.json"));
}

/// One instantiation of the pass for all tests.
attribution attributed(const xlens::model& file, std::span<const token_id> ids,
                       const attribution_options& options, dynamic_policies& policies) {
    return attribute(file, ids, options, policies);
}
attribution attributed(const xlens::model& file, std::span<const token_id> ids,
                       const attribution_options& options = {}) {
    dynamic_policies none;
    return attributed(file, ids, options, none);
}
xt::xtensor<float, 2> logits_of(const xlens::model& file, std::span<const token_id> ids,
                                dynamic_policies& policies) {
    const auto& m = file;
    sequence_state state = m.start();
    state.wanted = logit_rows::all;
    m.forward(state, ids, policies);
    return state.logits;
}

double sum_of(const std::vector<float>& parts) {
    return std::accumulate(parts.begin(), parts.end(), 0.0);
}
double sum_of(const attribution& a) {
    return double{a.embedding} + sum_of(a.attention) + sum_of(a.ffn) + double{a.bias()};
}

/// The parts sum to the logit, and the attribution says what is missing. A log-probability may be
/// next to 0: then against what it is the difference of.
void check_gap(const attribution& a) {
    const double size = std::max(std::abs(double{a.logit}), std::abs(double{a.normaliser}));
    BOOST_TEST(size > 0.0);
    BOOST_TEST(std::abs(double{a.gap}) < 1e-3 * size, a.gap << " of " << a.logit);
    BOOST_TEST(std::abs(sum_of(a) + double{a.gap} - double{a.logit}) < 1e-5 * std::max(1.0, size));
}

void check_near(double found, const json& expected, double scale, const std::string& what) {
    const double e = expected;
    BOOST_TEST(std::abs(found - e) <= 1e-3 * std::abs(e) + 1e-5 * scale,
               what << ": " << found << ", expected " << e);
}

void check_list(const std::vector<float>& found, const json& expected, double scale,
                const std::string& what) {
    BOOST_TEST_REQUIRE(found.size() == expected.size());
    for (std::size_t l = 0; l < found.size(); ++l) {
        check_near(double{found[l]}, expected[l], scale, what + std::to_string(l));
    }
}

void check_case(const attribution& a, const json& e) {
    double scale = 0.0;  // of the largest part: rounding is relative to it
    for (const char* key : {"attention", "ffn"}) {
        for (const json& x : e[key]) { scale = std::max(scale, std::abs(x.get<double>())); }
    }
    BOOST_TEST(a.position == e["position"].get<std::size_t>());
    BOOST_TEST(a.token == e["token"].get<token_id>());
    check_near(double{a.logit}, e["logit"], scale, "logit");
    check_near(double{a.embedding}, e["embedding"], scale, "embedding");
    check_list(a.attention, e["attention"], scale, "attention");
    check_list(a.ffn, e["ffn"], scale, "ffn");
    check_near(double{a.attention_bias}, e["attention_bias"], scale, "attention_bias");
    check_near(double{a.ffn_bias}, e["ffn_bias"], scale, "ffn_bias");
    check_near(double{a.final_norm_bias}, e["final_norm_bias"], scale, "final_norm_bias");
    check_near(double{a.normaliser}, e["rest"], scale, "normaliser");
    BOOST_TEST_REQUIRE(a.sub_updates.size() >= e["sub_updates"].size());
    for (std::size_t i = 0; i < e["sub_updates"].size(); ++i) {
        const json& s = e["sub_updates"][i];
        BOOST_TEST(to_string(a.sub_updates[i].where) == s["neuron"].get<std::string>());
        check_near(double{a.sub_updates[i].coefficient}, s["coefficient"], 0.1, "coefficient");
        check_near(double{a.sub_updates[i].contribution}, s["contribution"], 0.1, "contribution");
    }
}

void check_golden(const xlens::model& file, const std::string& name) {
    const json golden = read_golden(golden_path("attribution/" + name + ".json"));
    for (const json& e : golden["cases"]) {
        attribution_options options;
        options.position = e["position"].get<std::size_t>();
        // The first is what an attribution explains unless it is told.
        if (&e != &golden["cases"][0]) { options.token = e["token"].get<token_id>(); }
        if (e.contains("against")) { options.against = e["against"].get<token_id>(); }
        const attribution a = attributed(file, ids_of(golden), options);
        check_case(a, e);
        check_gap(a);
    }
}

/// Stops at one layer.
struct leave_at {
    static constexpr hook hooks = hook::after;
    std::size_t layer = 0;
    [[nodiscard]] flow after(const site& where, rows<float>) const {
        return where.layer == layer ? flow::stop : flow::proceed;
    }
};

}  // namespace

BOOST_DATA_TEST_CASE(parts_equal_the_reference, data::make(compared), name) {
    check_golden(load(golden_path("models/" + name + "/hf")), name);
}

BOOST_AUTO_TEST_CASE(parts_of_smollm2_equal_the_reference) {
    for (const std::string name : {"capital", "french"}) {
        BOOST_TEST_CONTEXT(name) { check_golden(smollm2(), "smollm2_" + name); }
    }
}

BOOST_DATA_TEST_CASE(parts_sum_to_the_logit, data::make(checkpoints), name) {
    const json golden = tiny_golden(name);
    const xlens::model file = load(golden_path("models/" + name));
    const attribution a = attributed(file, ids_of(golden));
    check_gap(a);
    const json& row = golden["logits"].back();
    BOOST_TEST_REQUIRE(row["position"].get<std::size_t>() == a.position);
    const auto logits = row["values"].get<std::vector<double>>();
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    BOOST_TEST(best == a.token);
    BOOST_TEST(std::abs(double{a.logit} - logits[static_cast<std::size_t>(a.token)]) < 1e-3);
}

BOOST_DATA_TEST_CASE(parts_sum_to_the_logit_on_every_prompt, data::make(prompts), name) {
    const json golden = read_golden(golden_path("smollm2/" + name + ".json"));
    const attribution a = attributed(smollm2(), ids_of(golden));
    BOOST_TEST_MESSAGE(name << ": gap " << a.gap << " of " << a.logit);
    check_gap(a);
    BOOST_TEST(a.token == golden["prediction"][0]["id"].get<token_id>());
    BOOST_TEST(double{a.logit} == golden["prediction"][0]["logit"].get<double>(),
               boost::test_tools::tolerance(1e-3));
}

BOOST_DATA_TEST_CASE(sub_updates_sum_to_their_layer, data::make(compared), name) {
    const xlens::model file = load(golden_path("models/" + name + "/hf"));
    const auto ids = ids_of(tiny_golden(name));
    const std::size_t all = file.config.layers * file.config.inner_width;
    attribution_options options;
    options.limit = 2 * all;  // more than there are
    const attribution a = attributed(file, ids, options);
    BOOST_TEST_REQUIRE(a.sub_updates.size() == all);
    std::vector<double> sums(file.config.layers);
    for (std::size_t i = 0; i < all; ++i) {
        const sub_update_contribution& s = a.sub_updates[i];
        sums[s.where.layer] += double{s.contribution};
        if (i > 0) {
            BOOST_TEST(std::abs(a.sub_updates[i - 1].contribution) >= std::abs(s.contribution));
        }
    }
    for (std::size_t l = 0; l < sums.size(); ++l) {
        BOOST_TEST(std::abs(sums[l] - double{a.ffn[l]}) < 1e-4 * (1.0 + std::abs(sums[l])));
    }
    // Of one layer alone: its own, in the same order; the sums stay those of all.
    options.layers = {file.config.layers - 1};
    const attribution last = attributed(file, ids, options);
    std::vector<sub_update_contribution> own = a.sub_updates;
    std::erase_if(own, [&](const auto& s) { return s.where.layer != options.layers.front(); });
    BOOST_TEST_REQUIRE(last.sub_updates.size() == own.size());
    for (std::size_t i = 0; i < own.size(); ++i) {
        BOOST_TEST((last.sub_updates[i].where == own[i].where));
        BOOST_TEST(last.sub_updates[i].contribution == own[i].contribution);
    }
    BOOST_TEST((last.ffn == a.ffn));
    options.layers.clear();
    for (const std::size_t limit : {0U, 1U, 7U}) {
        options.limit = limit;
        const attribution few = attributed(file, ids, options);
        BOOST_TEST_REQUIRE(few.sub_updates.size() == limit);
        for (std::size_t i = 0; i < limit; ++i) {
            BOOST_TEST((few.sub_updates[i].where == a.sub_updates[i].where));
            BOOST_TEST(few.sub_updates[i].contribution == a.sub_updates[i].contribution);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_largest_of_both_signs_come_first) {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    largest_contributions largest(4);
    largest.offer(0, std::vector<float>{1.0F, -5.0F, nan});
    largest.offer(1, std::vector<float>{5.0F, -0.5F, -7.0F});
    const auto found = largest.sorted();
    BOOST_TEST_REQUIRE(found.size() == 4U);
    const std::vector<std::pair<neuron, float>> expected = {
        {{1, 2}, -7.0F}, {{0, 1}, -5.0F}, {{1, 0}, 5.0F}, {{0, 0}, 1.0F}};
    for (std::size_t i = 0; i < 4; ++i) {
        BOOST_TEST((found[i].where == expected[i].first));
        BOOST_TEST(found[i].contribution == expected[i].second);
    }
}

BOOST_DATA_TEST_CASE(a_recorded_pass_keeps_its_bits, data::make(compared), name) {
    const xlens::model file = load(golden_path("models/" + name + "/hf"));
    const auto ids = ids_of(tiny_golden(name));
    dynamic_policies none;
    dynamic_policies recording;
    recording.add(observe_updates(observe::positions::all));
    const auto plain = logits_of(file, ids, none);
    const auto recorded = logits_of(file, ids, recording);
    BOOST_TEST(std::equal(plain.begin(), plain.end(), recorded.begin()));
}

BOOST_DATA_TEST_CASE(interventions_show, data::make(compared), name) {
    const xlens::model file = load(golden_path("models/" + name + "/hf"));
    const json golden = tiny_golden(name);
    for (const json& e : golden["edited"]) {
        edit change{{e["layer"].get<std::size_t>(), e["neuron"].get<std::size_t>()},
                    edit::kind::set,
                    e["value"].get<float>(),
                    {}};
        if (e["positions"] == "last") { change.positions = {golden["ids"].size() - 1}; }
        dynamic_policies policies;
        policies.add(intervene({change}));
        attribution_options options;
        options.token = 5;
        options.limit = 1'000'000;
        const attribution a = attributed(file, ids_of(golden), options, policies);
        check_gap(a);
        BOOST_TEST(std::abs(double{a.logit} - e["logits"].back()["values"][5].get<double>()) <
                   1e-3);
        for (const sub_update_contribution& s : a.sub_updates) {
            if (s.where == change.where) { BOOST_TEST(s.coefficient == change.value); }
        }
    }
}

BOOST_AUTO_TEST_CASE(layers_that_an_exit_leaves_out_have_no_part) {
    const xlens::model file = load(golden_path("models/gpt2/hf"));
    const auto ids = ids_of(tiny_golden("gpt2"));
    dynamic_policies policies;
    policies.add(leave_at{0});
    const attribution a = attributed(file, ids, {}, policies);
    BOOST_TEST(a.attention.size() == 1U);
    BOOST_TEST(a.ffn.size() == 1U);
    check_gap(a);
}

BOOST_DATA_TEST_CASE(all_positions_hold_what_each_alone_does, data::make(compared), name) {
    const xlens::model file = load(golden_path("models/" + name + "/hf"));
    std::vector<token_id> ids = ids_of(tiny_golden(name));
    ids.insert(ids.end(), ids.begin(), ids.begin() + 12);  // more than one pass
    dynamic_policies none;
    const auto all = attribute_predictions(file, std::span<const token_id>(ids),
                                           {observe::positions::all, 3}, none);
    BOOST_TEST_REQUIRE(all.size() == ids.size());
    for (std::size_t p = 0; p < ids.size(); ++p) {
        attribution_options options;
        options.position = p;
        options.limit = 3;
        const attribution one = attributed(file, ids, options);
        BOOST_TEST(all[p].position == p);
        BOOST_TEST(all[p].token == one.token);
        BOOST_TEST(all[p].logit == one.logit);
        BOOST_TEST(all[p].embedding == one.embedding);
        BOOST_TEST(all[p].attention == one.attention, boost::test_tools::per_element());
        BOOST_TEST(all[p].ffn == one.ffn, boost::test_tools::per_element());
        BOOST_TEST(all[p].gap == one.gap);
        BOOST_TEST(all[p].sub_updates[2].contribution == one.sub_updates[2].contribution);
        check_gap(all[p]);
    }
    const auto last = attribute_predictions(file, std::span<const token_id>(ids),
                                            {observe::positions::last, 3}, none);
    BOOST_TEST_REQUIRE(last.size() == 1U);
    BOOST_TEST(last[0].ffn == all.back().ffn, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_log_explains_each_token_as_it_was_chosen) {
    const xlens::model file = load(golden_path("models/llama/hf"));
    const std::vector<token_id> prompt = {5, 9, 2};
    intervene edits;
    edits.set({0, 3}, 2.0F);
    attribution_log log(file, 4);
    const auto add = [&](const generated& token) { log.add(token.id); };
    const auto text = generate(file, prompt, {.count = 3, .seen = add}, edits, log.record()).tokens;
    BOOST_TEST_REQUIRE(log.steps().size() == 3U);
    std::vector<token_id> read = prompt;
    for (std::size_t n = 0; n < text.size(); ++n) {
        intervene again;
        again.set({0, 3}, 2.0F);
        attribution_options options;
        options.token = text[n].id;
        options.limit = 4;
        const attribution expected = attribute(file, read, options, again);
        const attribution& found = log.steps()[n];
        BOOST_TEST(found.token == text[n].id);
        BOOST_TEST(found.position == read.size() - 1);
        BOOST_TEST(std::abs(found.logit - expected.logit) < 1e-4);
        BOOST_TEST(found.sub_updates.size() == 4U);
        for (std::size_t l = 0; l < found.ffn.size(); ++l) {
            BOOST_TEST(std::abs(found.ffn[l] - expected.ffn[l]) < 1e-4);
        }
        check_gap(found);
        read.push_back(text[n].id);
    }
    BOOST_TEST(log.take().size() == 3U);
    BOOST_TEST(log.steps().empty());
}

BOOST_AUTO_TEST_CASE(concepts_are_those_of_the_named_neurons) {
    const xlens::model file = load(golden_path("models/llama/hf"));
    attribution a = attribute(file, std::vector<token_id>{1, 2});
    BOOST_TEST(a.sub_updates.front().concept_of_value == nullptr);
    add_concepts(file, 5, a);
    for (const sub_update_contribution& s : a.sub_updates) {
        BOOST_TEST_REQUIRE(s.concept_of_value != nullptr);
        BOOST_TEST((s.concept_of_value->promotes == concept_of(file, s.where, 5).ends.promotes));
    }
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_a_bit) {
    const json golden = read_golden(golden_path("smollm2/capital.json"));
    set_threads(1);
    const attribution one = attributed(smollm2(), ids_of(golden));
    set_threads(2);
    const attribution two = attributed(smollm2(), ids_of(golden));
    BOOST_TEST(one.ffn == two.ffn, boost::test_tools::per_element());
    BOOST_TEST(one.attention == two.attention, boost::test_tools::per_element());
    BOOST_TEST(one.gap == two.gap);
}

BOOST_AUTO_TEST_CASE(what_is_not_there_is_refused) {
    const xlens::model file = load(golden_path("models/gpt2/hf"));
    const std::vector<token_id> ids = {1, 2, 3};
    const std::string last = std::to_string(file.config.vocabulary - 1);
    const auto message = [&](const attribution_options& options, std::span<const token_id> read) {
        return error_message([&] { (void)attributed(file, read, options); });
    };
    attribution_options options;
    options.position = 3;
    BOOST_TEST(message(options, ids) == "position: expected 0 to 2, got 3");
    BOOST_TEST(message({}, {}) == "attribution: no tokens, expected at least 1");
    options = {};
    options.token = static_cast<token_id>(file.config.vocabulary);
    BOOST_TEST(message(options, ids) == "attribution: token " +
                                            std::to_string(file.config.vocabulary) +
                                            ": expected 0 to " + last);
    options = {};
    options.against = -1;
    BOOST_TEST(message(options, ids) == "attribution: token -1: expected 0 to " + last);
    observe_updates seen;
    sequence_state unread = file.start();
    unread.wanted = logit_rows::none;
    dynamic_policies policies;
    policies.borrow(seen);
    const attribution_target target{0, 1, {}};
    BOOST_TEST(error_message([&] {
                   const auto& m = file;
                   m.forward(unread, ids, policies);
                   (void)attributor(m, 1)(seen, std::span(&target, 1));
               }) == "attribution: row 0 of a record that has the logits of 0");
}
