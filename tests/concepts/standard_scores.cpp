// SPDX-License-Identifier: BSD-3-Clause
// The projection `standard` and the kurtosis of scores, against torch in float64.
#define BOOST_TEST_MODULE standard_scores
#include <boost/test/unit_test.hpp>

#include <xlens/concepts/concept_control.hpp>
#include <xlens/concepts/score_kurtosis.hpp>
#include <xlens/concepts/search_neurons.hpp>
#include <xlens/concepts/standard_scores.hpp>
#include <xlens/concepts/value_concepts.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/io/load.hpp>
#include <xlens/kernels/dot.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using nlohmann::json;

namespace {

const json& golden() {
    static const json all = read_golden(golden_path("concepts/standard.json"));
    return all;
}

model opened(const json& of) {
    const auto name = of["model"].get<std::string>();
    return load(name == "smollm2" ? default_model() : golden_path(name));
}

bool near(double found, double expected, double scale) {
    return std::abs(found - expected) <= 1e-4 * std::max(std::abs(expected), scale);
}

/// The same tokens in the same order, but for scores that are nearly equal.
void check_end(const std::vector<scored>& found, const json& expected) {
    BOOST_TEST_REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        const auto score = expected[i]["score"].get<double>();
        BOOST_TEST(near(double{found[i].score}, score, 1.0), found[i].score << " for " << score);
        const auto id = expected[i]["id"].get<token_id>();
        const bool close = std::ranges::any_of(found, [&](const scored& s) {
            return s.id == id && near(double{s.score}, score, 1.0);
        });
        const bool last = near(double{found.back().score}, score, 1.0);
        BOOST_TEST((close || last), "token " << id);
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(kurtosis_and_scores_are_those_of_torch) {
    for (const json& of : golden()["models"]) {
        const model m = opened(of);
        for (const json& e : of["neurons"]) {
            BOOST_TEST_CONTEXT(of["model"] << " " << e["neuron"]) {
                const neuron n = parse_neuron(e["neuron"].get<std::string>(), "golden");
                const value_concept found = concept_of(m, n, 5, projection::standard);
                BOOST_TEST(near(double{found.kurtosis}, e["kurtosis"].get<double>(), 1.0));
                check_end(found.ends.promotes, e["promotes"]);
                check_end(found.ends.suppresses, e["suppresses"]);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(moments_are_those_of_torch) {
    for (const json& of : golden()["models"]) {
        const model m = opened(of);
        const value_moments found(m);
        double largest = 0.0;
        for (const float x : found.covariance()) {
            largest = std::max(largest, std::abs(double{x}));
        }
        for (std::size_t d = 0; d < 8; ++d) {
            BOOST_TEST(std::abs(double{found.mean()[d]} - of["mean"][d].get<double>()) <
                       1e-5 * std::sqrt(largest));
        }
        for (std::size_t i = 0; i < 9; ++i) {
            BOOST_TEST(std::abs(double{found.covariance()(i / 3, i % 3)} -
                                of["covariance"][i].get<double>()) < 1e-5 * largest);
        }
    }
}

// By its definition, the scores of one token over all value vectors have mean 0 and deviation 1.
BOOST_AUTO_TEST_CASE(a_tokens_scores_over_all_value_vectors_are_standard) {
    const model m = load(golden_path("models/llama/hf"));
    const standard_scores scores(m);
    std::vector<float> q(m.config.width);
    for (const token_id token : {3, 17, 50}) {
        scores.direction(token, q);
        double sum = 0.0;
        double squares = 0.0;
        double count = 0.0;
        for (const auto& values : m.value_matrices()) {
            const xt::xtensor<float, 2> vectors = values.columns();
            for (std::size_t i = 0; i < vectors.shape(0); ++i) {
                const double s = double{kernels::dot(q, rows<const float>(vectors)[i])} -
                                 double{kernels::dot(q, scores.moments().mean())};
                sum += s;
                squares += s * s;
                ++count;
            }
        }
        BOOST_TEST(std::abs(sum / count) < 1e-4);
        BOOST_TEST(std::abs(squares / count - 1.0) < 1e-3);
    }
}

BOOST_AUTO_TEST_CASE(a_search_scores_as_the_projection_does) {
    const model m = load(golden_path("models/qwen3/hf"));
    search_neurons_options options;
    options.search.form = projection::standard;
    options.search.limit = 1000;
    options.top = m.config.vocabulary;
    options.control = 50;
    const std::vector<token_id> token{11};
    const search_report found = search_neurons(m, token, options);
    BOOST_TEST(found.hits.size() == m.config.layers * m.config.inner_width);
    for (const search_report::hit& hit : found.hits) {
        const auto at =
            std::ranges::find_if(hit.ends.promotes, [](const scored& s) { return s.id == 11; });
        BOOST_TEST_REQUIRE((at != hit.ends.promotes.end()));
        BOOST_TEST(std::abs(at->score - hit.score) < 1e-4F);
    }
    // Random vectors of the layers' mean and variance score about as real ones do.
    BOOST_TEST(std::abs(found.random_best) < 10.0F);
}

// By torch's figures of every seventh neuron: where they stand among all.
BOOST_AUTO_TEST_CASE(the_most_kurtotic_neurons_are_those_of_torch) {
    for (const json& of : golden()["models"]) {
        if (of["model"] == "smollm2") { continue; }
        const model m = opened(of);
        search_neurons_options options;
        options.search.limit = m.config.layers * m.config.inner_width;
        options.top = 1;
        const search_report all = most_kurtotic_neurons(m, options);
        BOOST_TEST_REQUIRE(all.hits.size() == options.search.limit);
        BOOST_TEST(std::ranges::is_sorted(all.hits, std::ranges::greater(),
                                          &search_report::hit::kurtosis));
        for (const json& e : of["neurons"]) {
            const neuron n = parse_neuron(e["neuron"].get<std::string>(), "golden");
            const auto hit = std::ranges::find(all.hits, n, &search_report::hit::where);
            BOOST_TEST_REQUIRE((hit != all.hits.end()));
            BOOST_TEST(near(double{hit->kurtosis}, e["kurtosis"].get<double>(), 1.0));
            BOOST_TEST(std::isnan(hit->score));
        }
        options.search.limit = 3;
        const search_report first = most_kurtotic_neurons(m, options);
        BOOST_TEST_REQUIRE(first.hits.size() == 3U);
        for (std::size_t i = 0; i < 3; ++i) {
            BOOST_TEST((first.hits[i].where == all.hits[i].where));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_search_is_ranked_by_kurtosis_among_the_best_scores) {
    const model m = load(golden_path("models/qwen3/hf"));
    search_neurons_options options;
    options.search.limit = 20;
    options.control = 0;
    const std::vector<token_id> token{11};
    std::vector<search_report::hit> best = search_neurons(m, token, options).hits;
    std::ranges::stable_sort(best, std::ranges::greater(), &search_report::hit::kurtosis);
    options.search.limit = 5;
    options.rank = search_rank::kurtosis;
    options.among = 20;
    const std::vector<search_report::hit> found = search_neurons(m, token, options).hits;
    BOOST_TEST_REQUIRE(found.size() == 5U);
    for (std::size_t i = 0; i < 5; ++i) {
        BOOST_TEST((found[i].where == best[i].where));
        BOOST_TEST(found[i].score == best[i].score);
        BOOST_TEST(found[i].kurtosis == best[i].kurtosis);
    }
    options.among = 1;  // no fewer than are asked for
    BOOST_TEST(search_neurons(m, token, options).hits.size() == 5U);
    BOOST_TEST(error_message([] { (void)parse_rank("norm"); }) ==
               "rank: expected score or kurtosis, got 'norm'");
}

// Kurtosis for many vectors and for one, in plain loops.
BOOST_AUTO_TEST_CASE(kurtosis_does_not_depend_on_its_company) {
    for (const std::string name : {"models/llama/hf", "models/gpt2/hf", "smollm2"}) {
        const model m = load(name == "smollm2" ? default_model() : golden_path(name));
        const xt::xtensor<float, 2> vectors = m.value_matrices()[1].columns();
        const std::vector<float> many = score_kurtosis(m, rows<const float>(vectors));
        for (const std::size_t i : {0U, 9U, 40U}) {
            const rows<const float> one = rows<const float>(vectors).subrows(i, 1);
            BOOST_TEST(score_kurtosis(m, one).front() == many[i]);
        }
    }
}

BOOST_AUTO_TEST_CASE(vectors_of_one_score_have_no_kurtosis) {
    const model m = load(golden_path("models/llama/hf"));
    const xt::xtensor<float, 2> zero = xt::zeros<float>({std::size_t{1}, m.config.width});
    BOOST_TEST(std::isnan(score_kurtosis(m, zero).front()));
}

BOOST_AUTO_TEST_CASE(what_has_no_standard_score_is_refused) {
    const model m = load(golden_path("models/llama/hf"));
    const standard_scores scores(m);
    const xt::xtensor<float, 2> narrow = xt::zeros<float>({1, 3});
    BOOST_TEST(error_message([&] { (void)scores.project(narrow, 2); }) ==
               "standard scores: vectors of 3 numbers, the model's width is " +
                   std::to_string(m.config.width));
    xt::xtensor<float, 2> bad = xt::zeros<float>({std::size_t{1}, m.config.width});
    bad(0, 2) = INFINITY;
    BOOST_TEST(error_message([&] { (void)scores.project(bad, 2); }) ==
               "standard scores: number 2 of vector 0 is inf, expected a finite number");
    const xt::xtensor<float, 2> good = xt::zeros<float>({std::size_t{1}, m.config.width});
    BOOST_TEST(error_message([&] { (void)logit_lens(m).project(good, 2, projection::standard); }) ==
               "lens: projection: expected raw, folded or normed, got standard");
    BOOST_TEST(error_message([&] { concept_control(m, projection::standard); }) ==
               "control: projection: expected folded or raw, got standard");
    search_neurons_options options;
    options.search.form = projection::standard;
    const std::vector<token_id> token{1};
    options.search.scale = score_scale::norm;
    BOOST_TEST(error_message([&] { (void)search_neurons(m, token, options); }) ==
               "projection: standard: has a scale of its own, expected none beside it, got norm");
    options.search.scale = score_scale::none;
    options.search.side = neuron_side::up;
    BOOST_TEST(error_message([&] { (void)search_neurons(m, token, options); }) ==
               "projection: standard: expected the side value, got up");
    options.search.side = neuron_side::value;
    BOOST_TEST(error_message([&] {
                   (void)search_neurons(m, neuron{0, 1}, options);
               }) ==
               "projection: of a neuron expected folded or raw, got standard, which is of tokens");
}
