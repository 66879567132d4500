// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE sampling
#include <boost/test/unit_test.hpp>

#include <xlens/core/parallel.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/generate/sampling.hpp>

#include "support/error_message.hpp"
#include "support/tiny_model.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

/// How often each token is drawn from these logits.
std::map<token_id, double> frequencies(const sampler::options& o,
                                       const std::vector<float>& logits) {
    constexpr int draws = 20000;
    sampler choose(o);
    std::map<token_id, double> out;
    for (int i = 0; i < draws; ++i) { out[choose(logits).id] += 1.0 / draws; }
    return out;
}

std::vector<token_id> sampled_text(std::uint64_t seed) {
    const tiny_model<> m("llama/hf");
    sampler choose({.temperature = 1.5F,
                    .top_k = 50,
                    .top_p = 0.95F,
                    .seed = seed,
                    .min_p = 0.001F,
                    .repetition_penalty = 1.1F});
    std::vector<token_id> out;
    for (const generated& g : generate(m.model, m.ids, {.count = 12, .choose = choose}).tokens) {
        out.push_back(g.id);
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(greedy_takes_the_best_and_of_equals_the_lower) {
    const std::vector<float> logits = {0.0F, 3.0F, not_a_number, 3.0F, -1.0F};
    BOOST_TEST(greedy{}(logits).id == 1);
    const std::vector<float> finite = {std::log(1.0F), std::log(3.0F)};
    BOOST_TEST(greedy{}(finite).probability == 0.75F, boost::test_tools::tolerance(1e-5F));
    BOOST_TEST(error_message([] { greedy{}(std::vector<float>{not_a_number}); }) ==
               "logits: none is a number");
}

BOOST_AUTO_TEST_CASE(draws_follow_the_tempered_softmax) {
    const std::vector<float> logits = {1.0F, 2.0F, 0.0F};
    for (const float temperature : {0.5F, 1.0F, 2.0F}) {
        const auto found = frequencies({.temperature = temperature, .seed = 3}, logits);
        double total = 0.0;
        for (const float z : logits) { total += std::exp(double{z} / double{temperature}); }
        for (std::size_t i = 0; i < 3; ++i) {
            const double expected = std::exp(double{logits[i]} / double{temperature}) / total;
            BOOST_TEST(std::abs(found.at(static_cast<token_id>(i)) - expected) < 0.015);
        }
    }
}

BOOST_AUTO_TEST_CASE(top_k_and_top_p_cut_the_tail) {
    const std::vector<float> logits = {std::log(0.5F), std::log(0.1F), std::log(0.3F),
                                       std::log(0.1F)};
    const auto two = frequencies({.top_k = 2, .seed = 1}, logits);
    BOOST_TEST(two.size() == 2U);
    BOOST_TEST(std::abs(two.at(0) - 0.625) < 0.015);
    // The smallest set that reaches 0.75 is {0, 2}.
    const auto nucleus = frequencies({.top_p = 0.75F, .seed = 1}, logits);
    BOOST_TEST(nucleus.size() == 2U);
    BOOST_TEST_REQUIRE(nucleus.count(2) == 1U);
    BOOST_TEST(std::abs(nucleus.at(0) - 0.625) < 0.015);
    // One of two equals is half of all, exactly.
    BOOST_TEST(frequencies({.top_p = 0.5F, .seed = 1}, {0.0F, 0.0F}).size() == 1U);
    BOOST_TEST(frequencies({.temperature = 0.0F}, logits).size() == 1U);
    BOOST_TEST(frequencies({.top_p = 1e-6F}, logits).size() == 1U);
}

BOOST_AUTO_TEST_CASE(min_p_cuts_what_is_far_below_the_best) {
    const std::vector<float> logits = {std::log(0.5F), std::log(0.1F), std::log(0.3F),
                                       std::log(0.1F)};
    for (const std::size_t top_k : {0U, 3U}) {
        const auto found = frequencies({.top_k = top_k, .seed = 1, .min_p = 0.5F}, logits);
        BOOST_TEST(found.size() == 2U);
        BOOST_TEST(std::abs(found.at(0) - 0.625) < 0.015);
    }
    BOOST_TEST(frequencies({.top_p = 0.85F, .seed = 1, .min_p = 0.25F}, logits).size() == 2U);
    BOOST_TEST(frequencies({.min_p = 1.0F}, logits).size() == 1U);
}

BOOST_AUTO_TEST_CASE(the_repetition_penalty_divides_what_is_above_0_and_multiplies_the_rest) {
    const std::vector<float> logits = {2.0F, 1.5F, -1.0F, -1.5F};
    const std::vector<token_id> text = {0, 2, 0};
    sampler best({.temperature = 0.0F, .repetition_penalty = 2.0F});
    BOOST_TEST(best(logits, text).id == 1);
    BOOST_TEST(best(logits).id == 0);
    // The probability stays the model's.
    BOOST_TEST(best(logits, text).probability == greedy{}(logits).probability * std::exp(-0.5F),
               boost::test_tools::tolerance(1e-5F));
    // 2/2, 1.5, -1·2, -1.5
    sampler draws({.seed = 3, .repetition_penalty = 2.0F});
    std::vector<double> found(4);
    for (int i = 0; i < 20000; ++i) {
        found[static_cast<std::size_t>(draws(logits, text).id)] += 1.0 / 20000;
    }
    const double total = std::exp(1.0) + std::exp(1.5) + std::exp(-2.0) + std::exp(-1.5);
    BOOST_TEST(std::abs(found[0] - std::exp(1.0) / total) < 0.015);
    BOOST_TEST(std::abs(found[2] - std::exp(-2.0) / total) < 0.015);
}

BOOST_AUTO_TEST_CASE(a_wide_nucleus_is_found_without_ranking_all) {
    // 5000 equals and one that is as probable as 1000 of them: the nucleus of 0.5 is that one and
    // the 2000 lowest ids of the rest.
    std::vector<float> logits(5001, 0.0F);
    logits[4000] = std::log(1000.0F);
    sampler choose({.top_p = 0.5F, .seed = 2});
    int best = 0;
    for (int i = 0; i < 2000; ++i) {
        const token_id id = choose(logits).id;
        BOOST_TEST((id < 2001 || id == 4000));
        best += id == 4000 ? 1 : 0;
    }
    BOOST_TEST(std::abs(best - 667) < 90);
}

BOOST_AUTO_TEST_CASE(a_seed_is_that_of_the_standard_engine) {
    // Of four equals the top two bits of a draw choose.
    std::mt19937_64 random(3);
    sampler choose({.seed = 3});
    const std::vector<float> equals(4, 1.0F);
    for (int i = 0; i < 40; ++i) {
        BOOST_TEST(choose(equals).id == static_cast<token_id>(random() >> 62U));
    }
}

BOOST_AUTO_TEST_CASE(a_seed_gives_the_same_text_for_any_number_of_threads) {
    set_threads(1);
    const auto one = sampled_text(5);
    set_threads(2);
    BOOST_TEST(sampled_text(5) == one, boost::test_tools::per_element());
    BOOST_TEST(sampled_text(6) != one);
}

BOOST_AUTO_TEST_CASE(options_that_make_no_sense_are_refused) {
    const auto refusal = [](const sampler::options& o) {
        return error_message([&] { (void)sampler(o); });
    };
    BOOST_TEST(refusal({.temperature = -1.0F}) == "temperature: expected at least 0, got -1");
    BOOST_TEST(refusal({.temperature = not_a_number}) ==
               "temperature: expected at least 0, got nan");
    BOOST_TEST(refusal({.top_p = 0.0F}) == "top_p: expected above 0 and up to 1, got 0");
    BOOST_TEST(refusal({.top_p = 1.5F}) == "top_p: expected above 0 and up to 1, got 1.5");
    BOOST_TEST(refusal({.min_p = 1.5F}) == "min_p: expected 0 to 1, got 1.5");
    BOOST_TEST(refusal({.repetition_penalty = 0.0F}) ==
               "repetition_penalty: expected above 0, got 0");
}

BOOST_AUTO_TEST_CASE(generation_ends_at_the_stop_token_and_at_the_context) {
    const tiny_model<> m("llama/hf");
    const std::span<const token_id> ids = m.ids;
    std::size_t seen = 0;
    const auto whole =
        generate(m.model, ids, {.count = 1000, .seen = [&](const generated&) { ++seen; }});
    const std::vector<generated>& all = whole.tokens;
    BOOST_TEST(finish_name(whole.why) == "context");
    // Position 64 is the last; the token after it is predicted, but cannot be read.
    BOOST_TEST(all.size() == 64 - ids.size() + 1);
    BOOST_TEST(seen == all.size());
    BOOST_TEST(all[0].exit_layer == 1U);
    const auto two =
        generate(m.model, ids, {.count = 1000, .seen = [&](const generated& g) {
                                    return g.id == all[1].id ? flow::stop : flow::proceed;
                                }});
    BOOST_TEST(two.tokens.size() <= 2U);
    BOOST_TEST(two.tokens.back().id == all[1].id);
    BOOST_TEST(finish_name(two.why) == "stop");
    const auto ended = generate(m.model, ids, {.count = 1000, .ends = {-1, all[2].id, 999}});
    BOOST_TEST(ended.tokens.size() <= 2U);
    BOOST_TEST(finish_name(ended.why) == "end");
    const auto some = generate(m.model, ids, {.count = 2});
    BOOST_TEST(some.tokens.size() == 2U);
    BOOST_TEST(finish_name(some.why) == "length");
    BOOST_TEST(generate(m.model, ids, {.count = 0}).tokens.empty());
}
