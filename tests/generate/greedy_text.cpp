// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE greedy_text
#include <boost/test/unit_test.hpp>

#include <xlens/generate/generate.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/kernels/best_row.hpp>

#include "support/tiny_model.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

constexpr std::size_t count = 40;  // the unembedding names tokens from the sixteenth on

/// Makes the token that a text would go on with as good as the next best, which it then is not.
struct second_best {
    static constexpr hook hooks = hook::logits;
    std::size_t seen = 0;

    void logits(const site&, rows<float> x) {
        for (std::size_t t = 0; t < x.count(); ++t, ++seen) {
            *std::ranges::max_element(x[t]) = *std::ranges::min_element(x[t]);
        }
    }
};

template <class... P>
std::vector<generated> text_of(const tiny_model<>& m, bool probabilities, P&... policies) {
    return generate(m.model, m.ids, {.count = count, .probabilities = probabilities}, policies...)
        .tokens;
}

void check_same(std::span<const generated> full, std::span<const generated> found) {
    BOOST_TEST_REQUIRE(found.size() == full.size());
    for (std::size_t i = 0; i < full.size(); ++i) {
        BOOST_TEST(found[i].id == full[i].id);
        BOOST_TEST(found[i].exit_layer == full[i].exit_layer);
        BOOST_TEST(found[i].probability == 0.0F);
        BOOST_TEST(full[i].probability > 0.0F);
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(without_probabilities_it_is_the_same_text) {
    for (const std::string name : {"llama/hf", "llama_mixed/model.gguf", "gpt2/hf", "qwen3/hf"}) {
        BOOST_TEST_CONTEXT(name) {
            const tiny_model<> m(name);
            const auto full = text_of(m, true);
            check_same(full, text_of(m, false));
            check_same(full, text_of(m, false));  // by now it has what it takes
        }
    }
}

BOOST_AUTO_TEST_CASE(a_bias_and_a_cap_count) {
    tiny_model<> m("llama/hf");
    const auto plain = text_of(m, false);
    const std::size_t tokens = m.model.config.vocabulary;
    m.model.unembedding.bias = xt::zeros<float>({tokens});
    const auto last = static_cast<token_id>(tokens - 1);
    m.model.unembedding.bias(tokens - 1) = 100.0F;
    for (const generated& g : text_of(m, false)) { BOOST_TEST(g.id == last); }
    // All that is far above the cap is equal, of which the first counts.
    m.model.unembedding.bias = xt::zeros<float>({tokens});
    m.model.unembedding.cap = 1e-6F;
    check_same(text_of(m, true), text_of(m, false));
    BOOST_TEST(plain.size() == count);
}

BOOST_AUTO_TEST_CASE(the_unembedding_names_the_token_unless_somebody_sees_logits) {
    const tiny_model<> m("llama/hf");
    const auto full = text_of(m, true);
    sequence_state state = m.model.start();
    prefill(m.model, state, m.ids);
    state.wanted = logit_rows::token;
    std::size_t named = 0;
    for (std::size_t i = 0; i + 1 < full.size(); ++i) {
        m.model.forward(state, {full[i].id});
        if (!state.answer) { continue; }
        ++named;
        BOOST_TEST(state.logits.shape(0) == 0U);
        BOOST_TEST(state.answer->id == full[i + 1].id);
        BOOST_TEST(state.answer->probability == 0.0F);
    }
    const bool pays = kernels::best_row::pays(m.model.unembedding.sections.front().out);
    BOOST_TEST(named == (pays ? full.size() - 16 : 0U));

    second_best other;
    sequence_state fork = state;
    fork.wanted = logit_rows::token;
    m.model.forward(fork, {full.back().id}, other);
    BOOST_TEST(!fork.answer.has_value());
    BOOST_TEST(fork.logits.shape(0) == 1U);
    BOOST_TEST(other.seen == 1U);
}

BOOST_AUTO_TEST_CASE(who_changes_logits_changes_the_text) {
    const tiny_model<> m("llama/hf");
    second_best with;
    second_best without;
    const auto full = text_of(m, true, with);
    const auto found = text_of(m, false, without);
    check_same(full, found);
    BOOST_TEST(with.seen == without.seen);
    const auto plain = text_of(m, false);
    BOOST_TEST(plain.front().id != found.front().id);
}
