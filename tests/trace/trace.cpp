// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE trace
#include <boost/test/unit_test.hpp>

#include <xlens/generate/perplexity.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/trace/saturation.hpp>
#include <xlens/trace/trace.hpp>

#include "support/error_message.hpp"
#include "support/tiny_model.hpp"

#include <cmath>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

const tiny_model<>& llama() {
    static const tiny_model<> m("llama/hf");
    return m;
}

/// More tokens than one pass of a trace reads.
std::vector<token_id> long_prompt() {
    std::vector<token_id> ids = llama().ids;
    ids.insert(ids.end(), llama().ids.begin(), llama().ids.end());
    return ids;
}

void check_same(const reading& a, const reading& b) {
    BOOST_TEST(a.top == b.top);
    BOOST_TEST(a.log_normaliser == b.log_normaliser);
}

}  // namespace

BOOST_AUTO_TEST_CASE(saturation_is_the_first_layer_of_the_last_run) {
    using tokens = std::vector<token_id>;
    BOOST_TEST(saturation_layer(tokens{7}) == 0U);
    BOOST_TEST(saturation_layer(tokens{7, 7, 7}) == 0U);
    BOOST_TEST(saturation_layer(tokens{1, 2, 3}) == 2U);
    BOOST_TEST(saturation_layer(tokens{3, 2, 3, 3}) == 2U);
}

BOOST_AUTO_TEST_CASE(all_positions_hold_what_a_trace_of_each_prefix_shows) {
    const std::vector<token_id> ids = long_prompt();
    const auto all =
        trace(llama().model, std::span<const token_id>(ids), {4, 3, observe::positions::all});
    BOOST_TEST_REQUIRE(all.size() == ids.size());
    for (const std::size_t p : {0U, 5U, 31U, 32U, 47U}) {
        const auto one = trace(llama().model, std::span<const token_id>(ids).first(p + 1),
                               {4, 3, observe::positions::last});
        BOOST_TEST_REQUIRE(one.size() == 1U);
        BOOST_TEST(one[0].position == p);
        BOOST_TEST(all[p].position == p);
        BOOST_TEST(all[p].saturation_layer == one[0].saturation_layer);
        for (std::size_t l = 0; l < one[0].layers.size(); ++l) {
            const traced_layer& a = all[p].layers[l];
            const traced_layer& b = one[0].layers[l];
            check_same(a.before, b.before);
            check_same(a.after, b.after);
            for (std::size_t i = 0; i < 3; ++i) {
                BOOST_TEST(a.sub_updates[i].where.index == b.sub_updates[i].where.index);
                BOOST_TEST(a.sub_updates[i].coefficient == b.sub_updates[i].coefficient);
                BOOST_TEST(a.sub_updates[i].concept_of_value->promotes ==
                           b.sub_updates[i].concept_of_value->promotes);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(saturation_is_told_by_what_stands_after_the_layers) {
    const std::vector<token_id> ids = long_prompt();
    const auto all =
        trace(llama().model, std::span<const token_id>(ids), {1, 0, observe::positions::all});
    std::size_t in_the_first = 0;
    for (const traced_position& p : all) {
        BOOST_TEST_REQUIRE(p.layers.size() == 2U);
        const bool first = p.layers[0].after.top[0].id == p.layers[1].after.top[0].id;
        BOOST_TEST(p.saturation_layer == (first ? 0U : 1U));
        in_the_first += first ? 1 : 0;
    }
    BOOST_TEST(in_the_first > 0U);
    BOOST_TEST(in_the_first < all.size());
}

BOOST_AUTO_TEST_CASE(progress_reaches_the_end) {
    const std::vector<token_id> ids = long_prompt();
    std::vector<std::size_t> seen;
    (void)trace(llama().model, std::span<const token_id>(ids),
                {1, 1, observe::positions::last, [&](std::size_t done, std::size_t total) {
                     seen.push_back(done);
                     BOOST_TEST(total == ids.size());
                 }});
    const std::vector<std::size_t> expected = {32, 48};
    BOOST_TEST(seen == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_trace_shows_what_an_intervention_changes) {
    const auto plain = trace(llama().model, std::span<const token_id>(llama().ids), {3, 2});
    intervene edits;
    edits.set({1, 7}, 50.0F);
    const auto edited = trace(llama().model, std::span<const token_id>(llama().ids), {3, 2}, edits);
    check_same(plain[0].layers[0].after, edited[0].layers[0].after);
    BOOST_TEST(edited[0].layers[1].sub_updates[0].where.index == 7U);
    BOOST_TEST(edited[0].layers[1].sub_updates[0].coefficient == 50.0F);
    BOOST_TEST(!(plain[0].prediction().top == edited[0].prediction().top));
}

BOOST_AUTO_TEST_CASE(asking_for_nothing_gives_a_saturation_layer_still) {
    const auto t = trace(llama().model, std::span<const token_id>(llama().ids), {0, 0});
    const auto full = trace(llama().model, std::span<const token_id>(llama().ids), {});
    BOOST_TEST(t[0].saturation_layer == full[0].saturation_layer);
    BOOST_TEST(t[0].layers[0].sub_updates.empty());
}

BOOST_AUTO_TEST_CASE(perplexity_is_the_mean_over_windows) {
    const std::vector<token_id> ids = long_prompt();
    const auto& m = llama().model;
    double expected = 0.0;
    std::size_t count = 0;
    for (std::size_t start = 0; start < ids.size(); start += 20) {
        const auto window = std::span<const token_id>(ids).subspan(
            start, std::min<std::size_t>(20, ids.size() - start));
        sequence_state state = m.start();
        state.wanted = logit_rows::all;
        m.forward(state, window);
        for (std::size_t t = 0; t + 1 < window.size(); ++t) {
            double total = 0.0;
            for (const float z : rows<const float>(state.logits)[t]) {
                total += std::exp(double{z});
            }
            expected +=
                std::log(total) - double{state.logits(t, static_cast<std::size_t>(window[t + 1]))};
            ++count;
        }
    }
    const auto found = perplexity(m, std::span<const token_id>(ids), 20);
    BOOST_TEST(found.tokens == count);
    BOOST_TEST(found.nll == expected / static_cast<double>(count),
               boost::test_tools::tolerance(1e-5));
    BOOST_TEST(error_message([&] { (void)perplexity(m, std::span<const token_id>(ids), 65); }) ==
               "window: expected 2 to 64, got 65");
    BOOST_TEST(error_message([&] {
                   (void)perplexity(m, std::span<const token_id>(ids).first(1), 20);
               }) == "perplexity: 1 tokens, expected at least 2");
}
