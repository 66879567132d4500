// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE feature_trace
#include <boost/test/unit_test.hpp>

#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/make_policies.hpp>
#include <xlens/interventions/recipe_file.hpp>
#include <xlens/interventions/steer.hpp>
#include <xlens/interventions/steer_feature.hpp>
#include <xlens/io/load.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/model.hpp>
#include <xlens/model/state.hpp>
#include <xlens/sae/feature_concepts.hpp>
#include <xlens/sae/feature_trace.hpp>
#include <xlens/sae/read_sae.hpp>
#include <xlens/sae/sae_site.hpp>
#include <xlens/sae/search_features.hpp>
#include <xlens/trace/keep_sites.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"

#include <algorithm>
#include <cmath>
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
    keep_sites seen({layer_site_of(sae.facts().place)});
    sequence_state state = m.start();
    m.forward(state, prompt, seen);
    xt::xtensor<float, 2> f = xt::empty<float>({prompt.size(), sae.features()});
    sae.encode(seen.kept(0), f, m.final_norm->kind == norm_kind::layer);
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

// An edit behind the FFN is none of what the FFN adds: the features of that stay PyTorch's.
BOOST_AUTO_TEST_CASE(an_edit_behind_its_place_changes_no_feature) {
    const sparse_autoencoder sae = read_sae(sae_path("jumprelu"));
    std::vector<float> along(sae.width(), 0.0F);
    along[3] = 1.0F;
    steer behind(1, along, 40.0F);
    const std::vector<token_id> prompt = ids();
    const auto positions =
        trace_features(llama(), sae, prompt, {.features = sae.features()}, behind);
    BOOST_TEST_REQUIRE(positions.size() == prompt.size());
    for (std::size_t t = 0; t < prompt.size(); ++t) {
        const auto expected = golden()["jumprelu"]["activations"][t].get<std::vector<float>>();
        std::vector<float> found(expected.size(), 0.0F);
        for (const auto& [feature, activation] : positions[t].features) {
            found[feature] = activation;
        }
        BOOST_TEST(max_difference(found, expected) < 2e-5 * largest_magnitude(expected), t);
    }
}

// At every kind of place x becomes x + a·d_i there: the first that a pass comes by.
BOOST_AUTO_TEST_CASE(a_push_shows_at_its_place) {
    for (const sae_place& place : {sae_place{0, sae_site::entering},
                                   {1, sae_site::entering},
                                   {1, sae_site::before},
                                   {1, sae_site::after},
                                   {1, sae_site::attention_out},
                                   {1, sae_site::ffn_out}}) {
        const sparse_autoencoder sae = read_sae(sae_path("standard"), {place.layer, place.site});
        const std::vector<token_id> prompt = ids();
        const auto read = [&](auto&... policies) {
            keep_sites seen({layer_site_of(place)});
            sequence_state state = llama().start();
            llama().forward(state, prompt, policies..., seen);
            return xt::xtensor<float, 2>(seen.kept(0).tensor());
        };
        steer_feature push(sae, 7, 3.5F);
        const xt::xtensor<float, 2> before = read();
        const xt::xtensor<float, 2> after = read(push);
        std::vector<float> d(sae.width());
        sae.direction(7, d);
        for (std::size_t t = 0; t < prompt.size(); ++t) {
            for (std::size_t i = 0; i < d.size(); ++i) {
                BOOST_REQUIRE_SMALL(after(t, i) - before(t, i) - 3.5F * d[i], 1e-5F);
            }
        }
    }
}

// The scores s_w = ⟨γ⊙e_w, d_i⟩ of a feature over the vocabulary, in plain loops.
std::vector<double> scores_of(const sparse_autoencoder& sae, std::size_t feature) {
    static const logit_lens lens(llama());
    std::vector<double> out;
    std::vector<float> row(sae.width());
    for (std::size_t w = 0; w < llama().config.vocabulary; ++w) {
        lens.direction(static_cast<token_id>(w), row);
        double score = 0.0;
        for (std::size_t d = 0; d < row.size(); ++d) {
            score += double{row[d]} * double{sae.directions()(feature, d)};
        }
        out.push_back(score);
    }
    return out;
}

// Plain scores, z-scores of them over the vocabulary, and their kurtosis.
BOOST_AUTO_TEST_CASE(features_are_searched_as_value_vectors_are) {
    const sparse_autoencoder sae = read_sae(sae_path("jumprelu"));
    const std::vector<token_id> tokens{5, 17};
    std::vector<double> plain;
    std::vector<double> standard;
    std::vector<double> kurtosis;
    for (std::size_t i = 0; i < sae.features(); ++i) {
        const std::vector<double> scores = scores_of(sae, i);
        const auto count = static_cast<double>(scores.size());
        double mean = 0.0;
        for (const double s : scores) { mean += s / count; }
        double second = 0.0;
        double fourth = 0.0;
        for (const double s : scores) {
            second += std::pow(s - mean, 2.0) / count;
            fourth += std::pow(s - mean, 4.0) / count;
        }
        plain.push_back((scores[5] + scores[17]) / 2.0);
        standard.push_back((plain.back() - mean) / std::sqrt(second));
        kurtosis.push_back(fourth / (second * second) - 3.0);
    }
    const auto near = boost::test_tools::tolerance(1e-4F);
    const auto check_order = [&](search_neurons_options options, const std::vector<double>& rank) {
        options.search.limit = sae.features();
        options.top = 2;
        const feature_report found = search_features(llama(), sae, tokens, options);
        BOOST_REQUIRE(found.hits.size() == sae.features());
        BOOST_TEST(found.random_vectors == sae.features());
        for (std::size_t n = 0; n < found.hits.size(); ++n) {
            const auto& hit = found.hits[n];
            const auto& scores = options.search.scale == score_scale::none ? plain : standard;
            BOOST_TEST(std::abs(double{hit.score} - scores[hit.where]) < 1e-5);
            BOOST_TEST(hit.kurtosis == static_cast<float>(kurtosis[hit.where]), near);
            BOOST_TEST(hit.random_share.has_value());
            if (n > 0) { BOOST_TEST(rank[hit.where] <= rank[found.hits[n - 1].where] + 1e-5); }
        }
    };
    check_order({}, plain);
    check_order({.search = {.scale = score_scale::spread}}, standard);
    check_order({.search = {.scale = score_scale::spread}, .rank = search_rank::kurtosis},
                kurtosis);

    search_neurons_options lowest;
    lowest.search.end = search_end::suppresses;
    lowest.search.limit = 1;
    lowest.control = 0;
    const feature_report found = search_features(llama(), sae, tokens, lowest);
    BOOST_TEST(found.random_vectors == 0U);
    BOOST_TEST(plain[found.hits.front().where] == std::ranges::min(plain));
    const feature_report sharpest = most_kurtotic_features(llama(), sae, lowest);
    BOOST_TEST(kurtosis[sharpest.hits.front().where] == std::ranges::max(kurtosis));

    // A concept's best token is the one that the direction scores highest.
    const std::vector<std::size_t> one{found.hits.front().where};
    const auto ends = feature_concepts(llama(), sae, one, 2);
    BOOST_TEST(
        ends[0].promotes[0].score == static_cast<float>(std::ranges::max(scores_of(sae, one[0]))),
        near);
}

// Cosines with a value vector, in plain loops.
BOOST_AUTO_TEST_CASE(features_like_a_neuron_are_found) {
    const sparse_autoencoder sae = read_sae(sae_path("standard"));
    const neuron like{1, 3};
    std::vector<float> v(sae.width());
    llama().blocks[like.layer].ffn.value(like.index, v);
    std::vector<double> cosines;
    for (std::size_t i = 0; i < sae.features(); ++i) {
        double product = 0.0;
        double squares = 0.0;
        double own = 0.0;
        for (std::size_t d = 0; d < v.size(); ++d) {
            const double x = double{sae.directions()(i, d)};
            product += x * double{v[d]};
            squares += x * x;
            own += double{v[d]} * double{v[d]};
        }
        cosines.push_back(product / std::sqrt(squares * own));
    }
    search_neurons_options options;
    options.search.scale = score_scale::norm;
    const feature_report found = search_features(llama(), sae, like, options);
    BOOST_TEST(cosines[found.hits.front().where] == std::ranges::max(cosines));
    for (const auto& hit : found.hits) {
        BOOST_TEST(std::abs(double{hit.score} - cosines[hit.where]) < 1e-5);
    }

    options.search.side = neuron_side::up;
    BOOST_TEST(error_message([&] { (void)search_features(llama(), sae, like, options); }) ==
               "side: of vectors that are not of neurons: expected value, got up");
    options.search = {.form = projection::standard};
    const std::vector<token_id> tokens{5};
    BOOST_TEST(error_message([&] { (void)search_features(llama(), sae, tokens, options); }) ==
               "projection: standard: is of value vectors, expected folded or raw");
}
