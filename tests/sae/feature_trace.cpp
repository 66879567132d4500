// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE feature_trace
#include <boost/test/unit_test.hpp>

#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/make_policies.hpp>
#include <xlens/interventions/recipe_file.hpp>
#include <xlens/interventions/steer_feature.hpp>
#include <xlens/io/load.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/model.hpp>
#include <xlens/model/state.hpp>
#include <xlens/sae/feature_trace.hpp>
#include <xlens/sae/find_features.hpp>
#include <xlens/sae/observe_place.hpp>
#include <xlens/sae/read_sae.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

// tests/golden/make_saes.py: SAELens' formulas in PyTorch.
const nlohmann::json& golden() {
    static const nlohmann::json document = read_golden(golden_path("saes/golden.json"));
    return document;
}
std::filesystem::path sae_path(const std::string& name) { return golden_path("saes/" + name); }
const model& llama() {
    static const model m = load(golden_path("models/llama/hf"));
    return m;
}
std::vector<token_id> ids(const char* key = "ids") {
    return golden()[key].get<std::vector<token_id>>();
}

/// All activations of a prompt (T, F) against the golden's, and the last reconstruction.
void check_numbers(const model& m, const std::string& folder, const char* key,
                   const std::vector<token_id>& prompt) {
    const sparse_autoencoder sae = read_sae(sae_path(folder));
    observe_place seen(sae.facts().place);
    sequence_state state = m.start();
    m.forward(state, prompt, seen);
    xt::xtensor<float, 2> f = xt::empty<float>({prompt.size(), sae.features()});
    sae.encode(seen.kept(), f, m.final_norm->kind == norm_kind::layer);
    for (std::size_t t = 0; t < prompt.size(); ++t) {
        const auto expected = golden()[key]["activations"][t].get<std::vector<float>>();
        const auto found = rows<const float>(f)[t];
        BOOST_TEST(max_difference(found, expected) < 2e-5 * largest_magnitude(expected),
                   folder << " " << t);
        for (std::size_t i = 0; i < expected.size(); ++i) {
            BOOST_TEST((found[i] > 0.0F) == (expected[i] > 0.0F));
        }
    }
    xt::xtensor<float, 2> rebuilt = xt::empty<float>({prompt.size(), sae.width()});
    sae.decode(f, rebuilt);
    const auto expected = golden()[key]["rebuilt"].get<std::vector<float>>();
    BOOST_TEST(max_difference(rows<const float>(rebuilt)[prompt.size() - 1], expected) <
                   2e-5 * largest_magnitude(expected),
               folder);

    // What the trace says of it.
    const auto positions = trace_features(m, sae, prompt, {.features = 5});
    BOOST_REQUIRE(positions.size() == prompt.size());
    for (std::size_t t = 0; t < prompt.size(); ++t) {
        const auto row = rows<const float>(f)[t];
        BOOST_TEST(positions[t].position == t);
        BOOST_TEST(positions[t].active == static_cast<std::size_t>(std::ranges::count_if(
                                              row, [](float v) { return v > 0.0F; })));
        BOOST_TEST(positions[t].features.front().activation == *std::ranges::max_element(row));
        BOOST_TEST(positions[t].unexplained > 0.0);
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(activations_are_those_of_the_formula) {
    check_numbers(llama(), "standard", "standard", ids());
    check_numbers(llama(), "jumprelu", "jumprelu", ids());
    check_numbers(llama(), "gemma-scope-2b-pt-res/layer_0/width_40", "scope", ids());
    check_numbers(llama(), "scope_2", "scope", ids());
    check_numbers(load(golden_path("models/gpt2/hf")), "centred", "centred", ids("gpt2_ids"));
}

// In a policy and in a recipe; against PyTorch, with what block 1 reads pushed.
BOOST_AUTO_TEST_CASE(a_feature_is_pushed_where_it_is_read) {
    const sparse_autoencoder sae = read_sae(sae_path("standard"));
    const auto feature = golden()["pushed"].get<std::size_t>();
    const auto strength = golden()["strength"].get<float>();
    const auto expected = golden()["logits"].get<std::vector<float>>();
    const auto logits = [&](auto&... policies) {
        sequence_state state = llama().start();
        llama().forward(state, ids(), policies...);
        return std::vector<float>(state.logits.begin(), state.logits.end());
    };
    const double near = 1e-5 * largest_magnitude(expected);
    BOOST_TEST(max_difference(logits(), expected) > 100 * near);
    steer_feature push(sae, feature, strength);
    BOOST_TEST(max_difference(logits(push), expected) < near);

    const json_value document =
        parse_json("recipe", R"({"interventions": [{"do": "steer", "sae": "standard", "feature": 7,
                      "strength": 3.5}]})");
    dynamic_policies pack;
    add_interventions(pack, read_recipe(document, "recipe", golden_path("saes")),
                      recipe_context{llama()});
    BOOST_TEST(max_difference(logits(pack), expected) < near);
    const json_value wrong =
        parse_json("recipe", R"({"interventions": [{"do": "steer", "sae": "standard", "feature": 40,
                      "strength": 1}]})");
    BOOST_TEST(error_message([&] {
                   add_interventions(pack, read_recipe(wrong, "recipe", golden_path("saes")),
                                     recipe_context{llama()});
               }) == sae.facts().name + ": feature 40: expected 0 to 39");
}

// ⟨γ⊙e_w, d_i⟩ in plain loops, and its order.
BOOST_AUTO_TEST_CASE(features_are_found_by_their_words) {
    const sparse_autoencoder sae = read_sae(sae_path("jumprelu"));
    const std::vector<token_id> tokens{5, 17};
    std::vector<float> q(sae.width(), 0.0F);
    const logit_lens lens(llama());
    for (const token_id w : tokens) {
        std::vector<float> row(sae.width());
        lens.direction(w, row);
        for (std::size_t d = 0; d < q.size(); ++d) { q[d] += row[d] / 2.0F; }
    }
    std::vector<float> scores(sae.features(), 0.0F);
    for (std::size_t i = 0; i < scores.size(); ++i) {
        for (std::size_t d = 0; d < q.size(); ++d) { scores[i] += q[d] * sae.directions()(i, d); }
    }
    const auto hits = find_features(llama(), sae, tokens, 3);
    BOOST_REQUIRE(hits.size() == 3);
    BOOST_TEST(hits[0].score == *std::ranges::max_element(scores),
               boost::test_tools::tolerance(1e-4F));
    BOOST_TEST(scores[hits[0].feature] == *std::ranges::max_element(scores));
    BOOST_TEST(hits[0].score >= hits[1].score);
    const auto lowest = find_features(llama(), sae, tokens, 1, true);
    BOOST_TEST(scores[lowest[0].feature] == *std::ranges::min_element(scores));

    // A concept's best token is the one that the direction scores highest.
    const std::vector<std::size_t> one{hits[0].feature};
    const auto ends = feature_concepts(llama(), sae, one, 2);
    std::vector<float> d(sae.width());
    sae.direction(one[0], d);
    float best = -1e30F;
    for (std::size_t w = 0; w < llama().config.vocabulary; ++w) {
        std::vector<float> row(sae.width());
        lens.direction(static_cast<token_id>(w), row);
        float score = 0.0F;
        for (std::size_t i = 0; i < d.size(); ++i) { score += d[i] * row[i]; }
        best = std::max(best, score);
    }
    BOOST_TEST(ends[0].promotes[0].score == best, boost::test_tools::tolerance(1e-4F));
}
