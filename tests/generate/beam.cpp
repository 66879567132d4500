// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE beam
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/core/parallel.hpp>
#include <xlens/generate/beam.hpp>
#include <xlens/hooks/skeleton.hpp>
#include <xlens/interventions/ban.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_hyperparameters.hpp>

#include "support/error_message.hpp"
#include "support/tiny_model.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using nlohmann::json;
namespace data = boost::unit_test::data;

namespace {

std::vector<token_id> ids_of(const hypothesis& h) {
    std::vector<token_id> out;
    for (const generated& g : h.tokens) { out.push_back(g.id); }
    return out;
}

const transformer<>& smollm2() {
    static const checkpoint file{gguf_file(default_model())};
    static const auto m = assemble(file);
    return m;
}
const json& golden() {
    static const json g = read_golden(golden_path("smollm2/beam.json"))["prompts"];
    return g;
}
const tiny_model<>& tiny() {
    static const tiny_model<> m("llama/hf");
    return m;
}

/// log p(· | text), by a pass over the whole text.
std::vector<float> log_probabilities(std::vector<token_id> text) {
    sequence_state state = tiny().model.start();
    tiny().model.forward(state, text);
    double total = 0.0;
    for (const float z : state.logits) { total += std::exp(double{z}); }
    std::vector<float> out;
    for (const float z : state.logits) {
        out.push_back(static_cast<float>(double{z} - std::log(total)));
    }
    return out;
}
std::vector<token_id> joined(std::vector<token_id> text, token_id last) {
    text.push_back(last);
    return text;
}

const auto never = [](std::span<const generated>, token_id) { return false; };

}  // namespace

BOOST_DATA_TEST_CASE(texts_and_scores_are_those_of_transformers, data::xrange(20), i) {
    const json& g = golden()[static_cast<std::size_t>(i)];
    beam_options o;
    o.beams = g["beams"];
    o.count = g["new_tokens"];
    o.length_penalty = g["length_penalty"];
    o.ends = {2};
    const auto found =
        beam_search(smollm2(), std::span<const token_id>(g["ids"].get<std::vector<token_id>>()), o);
    BOOST_TEST_CONTEXT(g["name"]) {
        BOOST_TEST_REQUIRE(found.size() == g["hypotheses"].size());
        for (std::size_t h = 0; h < found.size(); ++h) {
            const json& expected = g["hypotheses"][h];
            BOOST_TEST(ids_of(found[h]) == expected["ids"].get<std::vector<token_id>>(),
                       boost::test_tools::per_element());
            const auto score = expected["score"].get<double>();
            BOOST_TEST(std::abs(double{found[h].score} - score) < 2e-4 * std::max(1.0, -score));
        }
    }
}

BOOST_AUTO_TEST_CASE(with_a_beam_a_token_it_finds_the_most_probable_text) {
    const auto vocabulary = tiny().model.config.vocabulary;
    const std::vector<token_id> prompt(tiny().ids.begin(), tiny().ids.begin() + 3);
    float best = -INFINITY;
    std::vector<token_id> text;
    const auto first = log_probabilities(prompt);
    for (std::size_t a = 0; a < vocabulary; ++a) {
        const auto second = log_probabilities(joined(prompt, static_cast<token_id>(a)));
        const auto b = static_cast<std::size_t>(std::ranges::max_element(second) - second.begin());
        if (first[a] + second[b] > best) {
            best = first[a] + second[b];
            text = {static_cast<token_id>(a), static_cast<token_id>(b)};
        }
    }
    const auto found = beam_search(tiny().model, std::span<const token_id>(prompt),
                                   {.beams = vocabulary, .count = 2, .length_penalty = 0.0F});
    BOOST_TEST(ids_of(found[0]) == text, boost::test_tools::per_element());
    BOOST_TEST(found[0].score == best, boost::test_tools::tolerance(1e-4F));
    float product = 1.0F;
    for (const generated& g : found[0].tokens) { product *= g.probability; }
    BOOST_TEST(std::log(product) == best, boost::test_tools::tolerance(1e-4F));
}

BOOST_AUTO_TEST_CASE(one_beam_is_greedy) {
    const std::span<const token_id> prompt = tiny().ids;
    const auto expected = generate(tiny().model, prompt, {.count = 8}).tokens;
    const auto found = beam_search(tiny().model, prompt, {.beams = 1, .count = 8});
    BOOST_TEST_REQUIRE(found.size() == 1U);
    BOOST_TEST_REQUIRE(found[0].tokens.size() == 8U);
    for (std::size_t i = 0; i < 8; ++i) {
        BOOST_TEST(found[0].tokens[i].id == expected[i].id);
        BOOST_TEST(found[0].tokens[i].probability == expected[i].probability,
                   boost::test_tools::tolerance(1e-5F));
    }
}

BOOST_AUTO_TEST_CASE(beams_read_one_by_one_give_the_same_for_any_number_of_threads) {
    const std::span<const token_id> prompt = tiny().ids;
    const beam_options o{.beams = 5, .count = 10};
    skeleton alone;  // does nothing, but does not say that it looks at rows for themselves
    ban none({{1, 2, 3}});
    const auto together = beam_search(tiny().model, prompt, o, never, none);
    for (const std::size_t threads : {1U, 2U, 3U}) {
        set_threads(threads);
        const auto single = beam_search(tiny().model, prompt, o, never, none, alone);
        BOOST_TEST_REQUIRE(single.size() == together.size());
        for (std::size_t h = 0; h < single.size(); ++h) {
            BOOST_TEST(ids_of(single[h]) == ids_of(together[h]), boost::test_tools::per_element());
            BOOST_TEST(single[h].score == together[h].score);
        }
    }
    set_threads(2);
}

BOOST_AUTO_TEST_CASE(banned_sequences_and_early_ends_appear_in_no_text) {
    const std::span<const token_id> prompt = tiny().ids;
    const beam_options o{.beams = 3, .count = 6};
    const auto free = beam_search(tiny().model, prompt, o);
    const token_id a = free[0].tokens[2].id;
    const token_id b = free[0].tokens[3].id;
    ban policy({{a, b}});
    for (const hypothesis& h : beam_search(tiny().model, prompt, o, never, policy)) {
        const auto ids = ids_of(h);
        const std::vector<token_id> both{a, b};
        BOOST_TEST((std::ranges::search(ids, both).empty()));
    }
    const token_id end = free[0].tokens[0].id;
    const auto early = beam_search(tiny().model, prompt,
                                   {.beams = 3, .count = 6, .length_penalty = 0.0F, .ends = {end}});
    BOOST_TEST(std::ranges::any_of(early, [](const auto& h) { return h.tokens.size() == 1; }));
    const auto late =
        beam_search(tiny().model, prompt, {.beams = 3, .count = 6, .least = 6, .ends = {end}});
    for (const hypothesis& h : late) {
        BOOST_TEST(h.tokens.size() == 6U);
        BOOST_TEST(!std::ranges::count(ids_of(h), end));
    }
}

BOOST_AUTO_TEST_CASE(several_prompts_at_once_give_what_each_gives_alone) {
    const auto ids = tiny().ids;
    const std::vector<std::vector<token_id>> prompts{
        ids, {ids.begin(), ids.begin() + 2}, {ids.begin() + 5, ids.begin() + 12}};
    const beam_options o{.beams = 3, .count = 9, .ends = {5}};
    const auto found = beam_search_each(tiny().model, std::span(prompts), o, never);
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        const auto alone = beam_search(tiny().model, std::span<const token_id>(prompts[i]), o);
        BOOST_TEST_REQUIRE(found[i].size() == alone.size());
        for (std::size_t h = 0; h < alone.size(); ++h) {
            BOOST_TEST(ids_of(found[i][h]) == ids_of(alone[h]), boost::test_tools::per_element());
            BOOST_TEST(found[i][h].score == alone[h].score);
        }
    }
}

BOOST_AUTO_TEST_CASE(it_ends_at_the_context_and_where_a_text_is_complete) {
    const std::span<const token_id> prompt = tiny().ids;
    const auto all = beam_search(tiny().model, prompt, {.beams = 2, .count = 1000});
    BOOST_TEST(all[0].tokens.size() == 64 - prompt.size() + 1);
    const auto two = [](std::span<const generated> before, token_id) { return before.size() == 1; };
    for (const auto& h : beam_search(tiny().model, prompt, {.beams = 2, .count = 9}, two)) {
        BOOST_TEST(h.tokens.size() == 2U);
    }
    BOOST_TEST(beam_search(tiny().model, prompt, {.count = 0}).empty());
    BOOST_TEST(error_message([&] { (void)beam_search(tiny().model, prompt, {.beams = 0}); }) ==
               "beams: expected 1 to 1000, got 0");
    BOOST_TEST(error_message([&] {
                   (void)beam_search(tiny().model, prompt, {.length_penalty = NAN});
               }) == "length penalty: expected a finite number, got nan");
}
