// SPDX-License-Identifier: BSD-3-Clause
// Exits that are verified leave nothing changed: texts, probabilities and caches are those of
// generate() without exits, bit for bit.
#define BOOST_TEST_MODULE verified
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/early_exit/cluster_rule.hpp>
#include <xlens/early_exit/fit.hpp>
#include <xlens/early_exit/time_exit.hpp>
#include <xlens/early_exit/verified.hpp>
#include <xlens/generate/sampling.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/ban.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/io/load.hpp>
#include <xlens/trace/observe.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::early_exit;
using namespace xlens::test;
namespace data = boost::unit_test::data;

namespace {

// Full attention, windows of 8, windows and post norms and caps, parallel residual, experts, sinks.
const std::vector<std::string> kinds_of_models{
    "models/llama/hf",     "families/mixtral_window/hf", "families/gemma3_text/hf",
    "families/gemma2/hf",  "families/cohere2/hf",        "families/qwen3_moe/hf",
    "families/gpt_oss/hf", "families/phi3_window/hf",    "families/bloom/hf",
};

std::vector<token_id> text(const model& m, std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<token_id> out(count);
    for (token_id& t : out) { t = static_cast<token_id>(random() % m.config.vocabulary); }
    return out;
}

cluster_match two_clusters(const model& m) {
    std::vector<cluster> found(2);
    for (std::size_t l = 0; l < m.config.layers; ++l) {
        for (std::size_t i = 0; i < m.config.inner_width; ++i) {
            found[(l + i) % 2].neurons.push_back({l, i});
        }
    }
    const clusters_origin origin{.layers = m.config.layers, .inner_width = m.config.inner_width};
    return cluster_rule(m, clusters(origin, found));
}

/// Every rule of the room, fitted; but for the one that yes and no come from, each is then used as
/// it is and with a threshold that lets everything leave.
std::vector<fitted_exit> all_exits(const model& m) {
    exit_options how{.agreement = 0.05};
    how.window = 32;
    how.clusters = two_clusters(m);
    std::vector<fitted_exit> out;
    for (const rule_facts& facts : all_rules) {
        if (facts.told) { continue; }
        out.push_back(fit(m, text(m, 500, 1), std::string(facts.name), how).exit);
        if (facts.yes_or_no) { continue; }
        out.push_back(out.back());
        out.back().threshold = std::numeric_limits<float>::lowest();
    }
    return out;
}

std::uint32_t bits(float v) { return std::bit_cast<std::uint32_t>(v); }
std::vector<std::uint32_t> bits_of(rows<const float> x) {
    std::vector<std::uint32_t> out;
    for (std::size_t t = 0; t < x.count(); ++t) {
        for (const float v : x[t]) { out.push_back(bits(v)); }
    }
    return out;
}

void check_same(const continuation& a, const continuation& b) {
    BOOST_TEST(finish_name(a.why) == finish_name(b.why));
    BOOST_TEST_REQUIRE(a.tokens.size() == b.tokens.size());
    for (std::size_t i = 0; i < a.tokens.size(); ++i) {
        BOOST_TEST_REQUIRE(a.tokens[i].id == b.tokens[i].id, "token " << i);
        BOOST_TEST_REQUIRE(bits(a.tokens[i].probability) == bits(b.tokens[i].probability));
    }
}

/// Reads the prompt and all tokens of a text but the last one, one by one.
sequence_state read_plainly(const model& m, std::span<const token_id> prompt,
                            const continuation& found, dynamic_policies& policies) {
    sequence_state state = m.start();
    prefill(m, state, prompt, policies);
    for (std::size_t i = 0; i + 1 < found.tokens.size(); ++i) {
        m.forward(state, {found.tokens[i].id}, policies);
    }
    return state;
}

/// Keys and values of every layer, and the next logits.
void check_same(const model& m, sequence_state& a, sequence_state& b) {
    BOOST_TEST_REQUIRE(a.position == b.position);
    BOOST_TEST(a.tokens == b.tokens, boost::test_tools::per_element());
    BOOST_TEST(a.owed.shape(0) == 0U);
    for (std::size_t l = 0; l < m.config.layers; ++l) {
        BOOST_TEST_REQUIRE(
            (bits_of(a.caches[l].keys().floats()) == bits_of(b.caches[l].keys().floats())));
        BOOST_TEST_REQUIRE(
            (bits_of(a.caches[l].values().floats()) == bits_of(b.caches[l].values().floats())));
    }
    if (a.position == m.config.context) { return; }
    for (sequence_state* s : {&a, &b}) {
        s->wanted = logit_rows::last;
        m.forward(*s, {token_id{3}});
    }
    BOOST_TEST((bits_of(a.logits) == bits_of(b.logits)));
}

/// Verified and plain side by side; returns what drafts did.
draft_counts check(const model& m, std::span<const token_id> prompt,
                   const generate_options& options, const fitted_exit& exit,
                   drafting which = drafting::always, dynamic_policies policies = {}) {
    const continuation plain = generate(m, prompt, options, policies);
    sequence_state state = m.start();
    const auto found =
        early_exit::detail::verify_with(m, state, prompt, options, exit, which, policies);
    check_same(found, plain);
    BOOST_TEST(found.counts.accepted <= found.counts.drafts);
    if (!plain.tokens.empty()) {
        sequence_state other = read_plainly(m, prompt, plain, policies);
        // Where the text ends before an end token, its last token has been read too.
        if (plain.why == finish::end) { m.forward(other, {plain.tokens.back().id}, policies); }
        if (policies.empty()) { check_same(m, state, other); }
    }
    return found.counts;
}

}  // namespace

BOOST_DATA_TEST_CASE(every_rule_writes_the_text_of_the_whole_model, data::make(kinds_of_models),
                     name) {
    const model m = load(golden_path(name));
    const std::vector<token_id> prompt = text(m, 5, 2);
    draft_counts all;
    for (const fitted_exit& exit : all_exits(m)) {
        BOOST_TEST_CONTEXT(exit.rule.word() << ", " << exit.threshold) {
            all += check(m, prompt, {.count = 24}, exit);
            all += check(m, prompt, {.count = 24}, exit, drafting::where_it_pays);
            all += check(m, prompt, {.count = 1}, exit);
            all += check(m, prompt, {.count = 2}, exit);
            all += check(m, prompt, {.count = 0}, exit);
        }
    }
    // Both kinds of draft were seen.
    BOOST_TEST(all.accepted > 0U);
    BOOST_TEST(all.accepted < all.drafts);
}

BOOST_DATA_TEST_CASE(samplers_draw_what_they_would_have_drawn, data::make(kinds_of_models), name) {
    const model m = load(golden_path(name));
    const std::vector<token_id> prompt = text(m, 4, 3);
    for (const fitted_exit& exit : all_exits(m)) {
        for (const sampler::options& how :
             {sampler::options{.temperature = 0.3F, .seed = 5},
              sampler::options{.temperature = 1.0F, .top_k = 3, .seed = 6},
              sampler::options{.temperature = 0.7F, .top_p = 0.5F, .seed = 7},
              sampler::options{.temperature = 0.0F, .repetition_penalty = 1.5F}}) {
            check(m, prompt, {.count = 16, .choose = sampler(how)}, exit);
        }
    }
}

BOOST_DATA_TEST_CASE(texts_end_where_they_would, data::make(kinds_of_models), name) {
    const model m = load(golden_path(name));
    const std::vector<token_id> prompt = text(m, 5, 2);
    const continuation plain = generate(m, prompt, {.count = 24});
    for (const fitted_exit& exit : all_exits(m)) {
        // An end token that comes early, one that comes late, and every token of the text.
        for (const std::size_t at : {0U, 1U, 7U, 23U}) {
            check(m, prompt, {.count = 24, .ends = {plain.tokens[at].id}}, exit);
        }
        // Whoever listens ends it, and is handed no token that is not of the text.
        for (const std::size_t after : {1U, 2U, 9U}) {
            std::vector<token_id> heard;
            const auto listen = [&heard, after](const generated& token) {
                heard.push_back(token.id);
                return heard.size() % after == 0 ? flow::stop : flow::proceed;
            };
            check(m, prompt, {.count = 24, .seen = token_listener(listen)}, exit);
            BOOST_TEST_REQUIRE(heard.size() == 2 * after);  // of both runs
            for (std::size_t i = 0; i < after; ++i) {
                BOOST_TEST(heard[i] == plain.tokens[i].id);
                BOOST_TEST(heard[after + i] == plain.tokens[i].id);
            }
        }
    }
}

BOOST_DATA_TEST_CASE(a_full_context_ends_the_text, data::make(kinds_of_models), name) {
    model m = load(golden_path(name));
    const std::vector<fitted_exit> exits = all_exits(m);
    m.config.context = 20;
    const std::vector<token_id> prompt = text(m, 5, 2);
    for (const fitted_exit& exit : exits) {
        check(m, prompt, {.count = 100}, exit);
        check(m, prompt, {.count = 16}, exit);
    }
}

BOOST_AUTO_TEST_CASE(interventions_hold_for_drafts_and_for_the_model) {
    const model m = load(golden_path("families/gemma3_text/hf"));
    const std::vector<token_id> prompt = text(m, 5, 2);
    const continuation plain = generate(m, prompt, {.count = 4});
    for (const fitted_exit& exit : all_exits(m)) {
        dynamic_policies policies;
        policies.add(intervene().set({1, 3}, 4.0F).scale({2, 5}, -1.0F));
        policies.add(ban({{plain.tokens[0].id}, {plain.tokens[2].id, plain.tokens[3].id}}));
        check(m, prompt, {.count = 16}, exit, drafting::always, std::move(policies));
    }
}

BOOST_AUTO_TEST_CASE(what_would_see_drafts_is_refused) {
    const model m = load(golden_path("models/llama/hf"));
    const fitted_exit exit = all_exits(m).front();
    observe seen(m);
    const std::string message =
        error_message([&] { (void)generate_verified(m, text(m, 3, 1), {}, exit, seen); });
    BOOST_TEST(message ==
               "verify: a policy looks at more than a row, or may stop: it would see drafts");
    sequence_state state = m.start();
    m.forward(state, text(m, 3, 1));
    BOOST_TEST(error_message([&] { m.complete(state, seen); }) ==
               "complete: a policy looks at more than a row, or may stop");
}

BOOST_AUTO_TEST_CASE(a_timed_text_has_the_tokens_of_the_whole_model) {
    const model m = load(golden_path("families/gemma3_text/hf"));
    for (const fitted_exit& exit : all_exits(m)) {
        const timed_exit timed = time_verified(m, text(m, 90, 4), 40, exit, {}, 8, 16);
        BOOST_TEST(timed.tokens == 66U);  // 32 of two windows each, 2 of the last
        BOOST_TEST(timed.agreeing == timed.tokens);
    }
}
