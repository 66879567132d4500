// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE transformer
#include <boost/test/unit_test.hpp>

#include <xlens/model/presets.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"
#include "support/tiny_model.hpp"

#include <span>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

const tiny_model<presets::llama>& llama() {
    static const tiny_model<presets::llama> m("llama/hf");
    return m;
}
std::span<const float> logits_of(const sequence_state& s) {
    return {s.logits.data(), s.logits.size()};
}

/// Stops after one layer, and counts how often it was called there.
struct stop_after {
    static constexpr hook hooks = hook::after;
    std::size_t layer = 0;
    std::size_t calls = 0;
    flow after(const site& where, rows<float>) {
        ++calls;
        return where.layer == layer ? flow::stop : flow::proceed;
    }
};

/// Keeps where the last logits were said to be.
struct logits_seen {
    static constexpr hook hooks = hook::logits;
    site where;
    void logits(const site& w, rows<float>) { where = w; }
};

/// Writes down each call as a letter, and where it was.
struct journal {
    static constexpr hook hooks = hook::embedding | hook::queries | hook::keys | hook::values |
                                  hook::pattern | hook::head_outputs | hook::attention_out |
                                  hook::before | hook::coefficients | hook::after | hook::logits;
    std::string calls;
    std::vector<std::size_t> widths;
    void note(char c, const site& where, rows<float> x) {
        calls += c;
        calls += std::to_string(where.layer);
        widths.push_back(x.count() * 1000 + x.width());
    }
    void embedding(const site& w, rows<float> x) { note('e', w, x); }
    void queries(const site& w, rows<float> x) { note('q', w, x); }
    void keys(const site& w, rows<float> x) { note('k', w, x); }
    void values(const site& w, rows<float> x) { note('v', w, x); }
    void pattern(const site& w, rows<float> x) { note('p', w, x); }
    void head_outputs(const site& w, rows<float> x) { note('h', w, x); }
    void attention_out(const site& w, rows<float> x) { note('t', w, x); }
    void before(const site& w, rows<float> x) { note('b', w, x); }
    void coefficients(const site& w, rows<float> x) { note('c', w, x); }
    void after(const site& w, rows<float> x) { note('a', w, x); }
    void logits(const site& w, rows<float> x) { note('z', w, x); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(hooks_are_called_in_the_order_of_the_equations) {
    const auto& m = llama().model;
    sequence_state state = m.start();
    journal j;
    m.forward(state, std::span(llama().ids).first(5), j);
    BOOST_TEST(j.calls == "e0q0k0v0p0h0t0b0c0a0q1k1v1p1h1t1b1c1a1z1");
    const std::vector<std::size_t> expected = {5032, 5032, 5016, 5016, 5020, 5032, 5032,
                                               5032, 5048, 5032, 5032, 5016, 5016, 5020,
                                               5032, 5032, 5032, 5048, 5032, 1288};
    BOOST_TEST(j.widths == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_policy_that_edits_nothing_changes_no_bit) {
    const auto& m = llama().model;
    sequence_state with = m.start();
    sequence_state without = m.start();
    journal j;
    m.forward(with, llama().ids, j);
    m.forward(without, llama().ids);
    BOOST_TEST(same_bits(logits_of(with), logits_of(without)));
}

BOOST_AUTO_TEST_CASE(tokens_that_do_not_fit_are_named) {
    const auto& m = llama().model;
    sequence_state state = m.start();
    const auto forward = [&](std::vector<token_id> tokens) {
        return error_message([&] { m.forward(state, tokens); });
    };
    BOOST_TEST(forward({}) == "forward: no tokens, expected at least 1");
    BOOST_TEST(forward({3, 288}) == "forward: token 288: expected 0 to 287");
    BOOST_TEST(forward({-1}) == "forward: token -1: expected 0 to 287");
    BOOST_TEST(forward(std::vector<token_id>(65, 1)) ==
               "context: 65 tokens, the model reads at most 64");
    m.forward(state, std::vector<token_id>(60, 1));
    BOOST_TEST(forward(std::vector<token_id>(5, 1)) ==
               "context: 65 tokens, the model reads at most 64");
    BOOST_TEST(state.position == 60U);  // a refused pass leaves the sequence as it was
}

BOOST_AUTO_TEST_CASE(logits_come_for_the_rows_that_are_wanted) {
    const auto& m = llama().model;
    sequence_state all = m.start();
    all.wanted = logit_rows::all;
    m.forward(all, llama().ids);
    BOOST_TEST(all.logits.shape(0) == llama().ids.size());
    sequence_state last = m.start();
    m.forward(last, llama().ids);
    BOOST_TEST(last.logits.shape(0) == 1U);
    BOOST_TEST(same_bits(logits_of(last), rows<const float>(all.logits)[llama().ids.size() - 1]));
    sequence_state none = m.start();
    none.wanted = logit_rows::none;
    m.forward(none, llama().ids);
    BOOST_TEST(none.logits.size() == 0U);
}

BOOST_AUTO_TEST_CASE(the_logits_hook_is_told_where_its_rows_are) {
    const auto& m = llama().model;
    const std::span<const token_id> ids = llama().ids;
    sequence_state state = m.start();
    logits_seen seen;
    m.forward(state, ids.first(10), seen);
    BOOST_TEST(seen.where.first_position == 9U);
    BOOST_TEST(seen.where.layer == 1U);
    state.wanted = logit_rows::all;
    m.forward(state, ids.subspan(10, 5), seen);
    BOOST_TEST(seen.where.first_position == 10U);
    stop_after first{0, 0};
    state.wanted = logit_rows::last;
    m.forward(state, ids.subspan(15, 3), first, seen);
    BOOST_TEST(seen.where.first_position == 17U);
    BOOST_TEST(seen.where.layer == 0U);  // the last that ran
}

BOOST_AUTO_TEST_CASE(a_forked_and_truncated_sequence_goes_on_as_a_new_one) {
    const auto& m = llama().model;
    const std::span<const token_id> ids = llama().ids;
    sequence_state whole = m.start();
    m.forward(whole, ids.first(10));
    sequence_state fork = whole;
    m.forward(fork, ids.subspan(14, 4));
    fork.truncate(7);
    m.forward(fork, ids.subspan(7, 3));
    BOOST_TEST(fork.position == 10U);
    BOOST_TEST(same_bits(logits_of(fork), logits_of(whole)));
}

BOOST_AUTO_TEST_CASE(an_early_exit_leaves_layers_out_and_keys_for_later_positions) {
    const auto& m = llama().model;
    const std::span<const token_id> ids = llama().ids;
    sequence_state state = m.start();
    state.fill = kv_fill::propagate;
    stop_after first{0, 0};
    m.forward(state, ids.first(6), first);
    BOOST_TEST(first.calls == 1U);
    BOOST_TEST(state.exit_layer == 0U);

    // The logits are those of the exit residual.
    xt::xtensor<float, 2> expected = xt::empty<float>({std::size_t{1}, m.config.vocabulary});
    m.read_out(rows<const float>(state.residual).subrows(5, 1), expected);
    BOOST_TEST(same_bits(logits_of(state), {expected.data(), expected.size()}));

    // The skipped layer holds what it would compute from that residual, so the text can go on.
    xt::xtensor<float, 2> normed = xt::empty<float>({std::size_t{6}, m.config.width});
    normalise(m.blocks[1].attention_norm, state.residual, normed);
    xt::xtensor<float, 2> values =
        xt::empty<float>({std::size_t{6}, m.blocks[1].attention.value.weight.rows()});
    m.blocks[1].attention.value(normed, values);
    BOOST_TEST(state.caches[1].positions() == 6U);
    BOOST_TEST(same_bits(state.caches[1].values().floats()[3], rows<const float>(values)[3]));
    m.forward(state, ids.subspan(6, 1));
    BOOST_TEST(state.exit_layer == 1U);
    BOOST_TEST(state.caches[1].positions() == 7U);
}

BOOST_AUTO_TEST_CASE(the_storage_may_be_fixed_by_the_type) {
    const auto typed = assemble<presets::llama, matrix<f32>>(llama().file);
    sequence_state a = typed.start();
    sequence_state b = llama().model.start();
    typed.forward(a, llama().ids);
    llama().model.forward(b, llama().ids);
    BOOST_TEST(same_bits(logits_of(a), logits_of(b)));
    const std::string refused =
        error_message([&] { (void)assemble<presets::llama, matrix<q4_1>>(llama().file); });
    BOOST_TEST(refused.find("expected format q4_1, got f32") != std::string::npos);
    const std::string other = error_message([&] { (void)assemble<presets::gpt2>(llama().file); });
    BOOST_TEST(other.find("architecture: expected gpt2, got llama") != std::string::npos);
}
