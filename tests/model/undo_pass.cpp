// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE undo_pass
#include <boost/test/unit_test.hpp>

#include <xlens/generate/choice.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/model/resume.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"
#include "support/tiny_model.hpp"

#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

const tiny_model<>& llama() {
    static const tiny_model<> m("llama/hf");
    return m;
}
const transformer<>& whole() { return llama().model; }
std::span<const token_id> ids() { return llama().ids; }

/// Throws at a hook of a layer, what is no error of xlens.
class throws_at {
public:
    static constexpr hook hooks = all_hooks;
    throws_at(hook where, std::size_t layer) : m_hook(where), m_layer(layer) {}
    [[nodiscard]] static bool is_rowwise() { return true; }

#define XLENS_HOOK(name) \
    void name(const site& where, rows<float>) { look(hook::name, where); }
    XLENS_FOR_EACH_HOOK(XLENS_HOOK)
#undef XLENS_HOOK

private:
    void look(hook h, const site& where) const {
        const bool of_layers = h != hook::embedding && h != hook::read_out && h != hook::logits;
        if (h == m_hook && (!of_layers || where.layer == m_layer)) {
            throw std::runtime_error("mine");
        }
    }
    hook m_hook;
    std::size_t m_layer;
};

struct leaves_at_first {
    static constexpr hook hooks = hook::after;
    static flow after(const site& where, rows<float>) {
        return where.layer == 0 ? flow::stop : flow::proceed;
    }
};

constexpr std::array places{
    hook::embedding,     hook::queries, hook::keys,           hook::pattern, hook::head_outputs,
    hook::attention_out, hook::before,  hook::coefficients,   hook::ffn_out, hook::after,
    hook::read_out,      hook::logits,  hook::pre_activations};

/// Logits after one token more.
std::vector<float> next_logits(sequence_state& state, token_id token) {
    whole().forward(state, {token});
    return {state.logits.begin(), state.logits.end()};
}

/// What `fail` does to a state that has read `begin` is not seen in what comes next.
template <class Fail>
void check_undone(sequence_state state, Fail fail) {
    sequence_state untouched = state;
    fail(state);
    BOOST_TEST(state.position == untouched.position);
    BOOST_TEST(state.tokens == untouched.tokens, boost::test_tools::per_element());
    BOOST_TEST(state.prompt == untouched.prompt);
    BOOST_TEST(state.logits.shape(0) == 0U);
    BOOST_TEST(state.residual.shape(0) == 0U);
    for (std::size_t l = 0; l < state.caches.size(); ++l) {
        BOOST_TEST(state.caches[l].positions() == untouched.caches[l].positions());
    }
    BOOST_TEST(same_bits(next_logits(state, 7), next_logits(untouched, 7)));
}

sequence_state begun(std::size_t count) {
    sequence_state out = whole().start();
    if (count > 0) { whole().forward(out, ids().first(count)); }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_pass_that_throws_is_not_seen_in_the_next) {
    for (const hook where : places) {
        for (const std::size_t layer : {std::size_t{0}, std::size_t{1}}) {
            for (const std::size_t read : {std::size_t{0}, std::size_t{3}}) {
                throws_at policy(where, layer);
                check_undone(begun(read), [&](sequence_state& state) {
                    BOOST_CHECK_THROW(whole().forward(state, ids().subspan(3, 2), policy),
                                      std::runtime_error);
                });
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(so_where_the_model_itself_refuses_what_it_reads) {
    intervene none;
    none.set({0, 3}, std::numeric_limits<float>::infinity());
    none.scale({0, 3}, 0.0F);  // nan
    check_undone(begun(3), [&](sequence_state& state) {
        BOOST_TEST(error_message([&] { whole().forward(state, ids().subspan(3, 2), none); }) !=
                   "(no error)");
    });
}

BOOST_AUTO_TEST_CASE(layers_that_exits_left_out_are_owed_still) {
    sequence_state state = whole().start();
    leaves_at_first exit;
    whole().forward(state, ids().first(3), exit);
    BOOST_REQUIRE(state.owed.shape(0) == 3U);
    for (const hook where : {hook::before, hook::after, hook::read_out, hook::logits}) {
        throws_at policy(where, 1);
        check_undone(state, [&](sequence_state& s) {
            BOOST_CHECK_THROW(whole().forward(s, ids().subspan(3, 2), policy), std::runtime_error);
            BOOST_TEST(s.owed == state.owed);
        });
        check_undone(state, [&](sequence_state& s) {
            BOOST_CHECK_THROW(whole().complete(s, policy), std::runtime_error);
        });
    }
}

BOOST_AUTO_TEST_CASE(sequences_that_are_read_together_are_as_before) {
    throws_at policy(hook::after, 1);
    sequence_state other = begun(5);
    sequence_state kept = other;
    check_undone(begun(3), [&](sequence_state& state) {
        const std::vector<sequence_state*> both{&state, &other};
        const std::vector<token_id> tokens{1, 2};
        BOOST_CHECK_THROW(whole().forward_each(both, tokens, policy), std::runtime_error);
    });
    BOOST_TEST(same_bits(next_logits(other, 9), next_logits(kept, 9)));
}

BOOST_AUTO_TEST_CASE(there_is_nothing_to_read_after_it) {
    throws_at policy(hook::logits, 0);
    sequence_state state = begun(3);
    BOOST_CHECK_THROW(whole().forward(state, {7}, policy), std::runtime_error);
    BOOST_TEST(
        error_message([&] { (void)best_tokens(state, 1); }).starts_with("best_tokens: no row"));
}
