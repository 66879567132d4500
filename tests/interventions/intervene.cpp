// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE intervene
#include <boost/test/unit_test.hpp>

#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/ban.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/interventions/steer.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"
#include "support/tiny_model.hpp"

#include <cmath>
#include <limits>
#include <vector>

// Edits of coefficients and of pre-activations, in models with and without a gate, and packs of all
// kinds of interventions.

using namespace xlens;
using namespace xlens::test;

namespace {

const tiny_model<>& gpt2() {
    static const tiny_model<> m("gpt2/hf");
    return m;
}
const tiny_model<>& llama() {
    static const tiny_model<> m("llama/hf");
    return m;
}

template <class Tiny, class... P>
std::vector<float> logits_of(const Tiny& tiny, P&... policies) {
    sequence_state state = tiny.model.start();
    tiny.model.forward(state, tiny.ids, policies...);
    return {state.logits.begin(), state.logits.end()};
}

edit before_activation(neuron where, edit::kind how, float value) {
    edit e{where, how, value};
    e.on = edit::site::pre_activation;
    return e;
}

/// Records coefficients of one layer, and what the activation was applied to.
struct recorder {
    static constexpr hook hooks = hook::pre_activations | hook::coefficients;
    std::size_t layer = 0;
    std::vector<float> g;
    std::vector<float> m;
    void pre_activations(const site& where, rows<float> x) { keep(where, x, g); }
    void coefficients(const site& where, rows<float> x) { keep(where, x, m); }
    void keep(const site& where, rows<float> x, std::vector<float>& to) const {
        if (where.layer != layer) { return; }
        to.clear();
        for (std::size_t t = 0; t < x.count(); ++t) {
            to.insert(to.end(), x[t].begin(), x[t].end());
        }
    }
};

/// Leaves out every layer after the first.
struct stops {
    static constexpr hook hooks = hook::after;
    flow after(const site&, rows<float>) { return flow::stop; }
};

double gelu_tanh_of(double x) {
    return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}
double silu_of(double x) { return x / (1.0 + std::exp(-x)); }

}  // namespace

BOOST_AUTO_TEST_CASE(each_kind_of_edit_does_what_it_says) {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    edit e;
    e.value = 2.0F;
    BOOST_TEST(e(-7.0F) == 2.0F);
    e.how = edit::kind::scale;
    BOOST_TEST(e(-7.0F) == -14.0F);
    e.how = edit::kind::add;
    BOOST_TEST(e(-7.0F) == -5.0F);
    e.how = edit::kind::clamp;
    e.most = 3.0F;
    BOOST_TEST(e(-7.0F) == 2.0F);
    BOOST_TEST(e(2.5F) == 2.5F);
    BOOST_TEST(e(9.0F) == 3.0F);
    BOOST_TEST(std::isnan(e(nan)));
}

BOOST_AUTO_TEST_CASE(edits_of_many_neurons_and_of_some_positions) {
    std::vector<float> data(3 * 4, 1.0F);
    const rows<float> m(data.data(), 3, 4);
    edit e;
    e.value = 5.0F;
    e.positions = position_set::from(11);
    const std::vector<neuron> neurons{{1, 0}, {1, 2}, {0, 1}};
    intervene policy;
    policy.add(neurons, e);
    policy.coefficients({1, 10}, m);
    const std::vector<float> expected{1, 1, 1, 1, 5, 1, 5, 1, 5, 1, 5, 1};
    BOOST_TEST(data == expected, boost::test_tools::per_element());
    BOOST_TEST(position_set::before(4).contains(3));
    BOOST_TEST(!position_set::before(4).contains(4));
    // The last token of the prompt predicts the first that is generated.
    BOOST_TEST(position_set::generating(4).contains(3));
    BOOST_TEST(!position_set::generating(4).contains(2));
    BOOST_TEST(position_set({7, 3}).contains(7));
    BOOST_TEST(!position_set({7, 3}).contains(5));
    BOOST_TEST(position_set().contains(0));
}

BOOST_AUTO_TEST_CASE(the_hook_before_the_activation_changes_no_bit_by_itself) {
    recorder watch;
    BOOST_TEST(same_bits(logits_of(gpt2(), watch), logits_of(gpt2())));
    for (std::size_t i = 0; i < watch.g.size(); ++i) {
        BOOST_TEST(std::abs(double{watch.m[i]} - gelu_tanh_of(double{watch.g[i]})) < 1e-5);
    }
    BOOST_TEST(same_bits(logits_of(llama(), watch), logits_of(llama())));
}

BOOST_AUTO_TEST_CASE(without_a_gate_a_set_pre_activation_is_a_set_coefficient) {
    for (const float z : {3.0F, -0.5F, 0.0F}) {
        intervene before({before_activation({1, 17}, edit::kind::set, z)});
        recorder watch;
        watch.layer = 1;
        const auto expected = logits_of(gpt2(), before, watch);
        const std::size_t width = gpt2().model.config.inner_width;
        const float m = watch.m[17];
        BOOST_TEST(std::abs(double{m} - gelu_tanh_of(double{z})) < 1e-6);
        BOOST_TEST(watch.m[17 + width] == m);
        intervene after;
        after.set({1, 17}, m);
        BOOST_TEST(same_bits(logits_of(gpt2(), after), expected));
    }
}

BOOST_AUTO_TEST_CASE(with_a_gate_the_other_factor_stays) {
    recorder free;
    const auto plain = logits_of(llama(), free);
    intervene edits({before_activation({0, 5}, edit::kind::set, 1.5F),
                     before_activation({0, 6}, edit::kind::scale, 2.0F),
                     before_activation({0, 7}, edit::kind::add, -1.0F)});
    recorder watch;
    const auto edited = logits_of(llama(), edits, watch);
    BOOST_TEST(!same_bits(plain, edited));
    const auto expect = [&](std::size_t i, double z) {
        const double other = double{free.m[i]} / silu_of(double{free.g[i]});
        BOOST_TEST(std::abs(double{watch.m[i]} - silu_of(z) * other) <
                   1e-4 * std::max(1.0, std::abs(other)));
    };
    expect(5, 1.5);
    expect(6, 2.0 * double{free.g[6]});
    expect(7, double{free.g[7]} - 1.0);
    BOOST_TEST(watch.m[8] == free.m[8]);
}

BOOST_AUTO_TEST_CASE(only_a_pack_that_wants_it_pays_for_the_hook_before_the_activation) {
    intervene coefficient;
    coefficient.zero({0, 0});
    intervene both({before_activation({0, 0}, edit::kind::set, 1.0F)});
    BOOST_TEST(!wants<hook::pre_activations>(coefficient));
    BOOST_TEST(wants<hook::pre_activations>(coefficient, both));
    dynamic_policies pack;
    BOOST_TEST(!wants<hook::pre_activations>(pack));
    pack.add(coefficient);
    BOOST_TEST(!wants<hook::pre_activations>(pack));
    BOOST_TEST(is_rowwise(pack));
    pack.add(both);
    BOOST_TEST(wants<hook::pre_activations>(pack));
}

BOOST_AUTO_TEST_CASE(all_interventions_combine_in_argument_order) {
    const std::size_t width = gpt2().model.config.width;
    intervene set;
    set.set({0, 3}, 4.0F);
    intervene scale;
    scale.scale({0, 3}, 0.5F);
    intervene before({before_activation({1, 9}, edit::kind::add, 2.0F)});
    steer push(0, std::vector<float>(width, 1.0F), 3.0F);
    ban word(std::vector<std::vector<token_id>>{{5}});
    const auto one = logits_of(gpt2(), set, scale, before, push, word);
    const auto other = logits_of(gpt2(), scale, set, before, push, word);
    BOOST_TEST(!same_bits(one, other));  // 2 and 4
    intervene two;
    two.set({0, 3}, 2.0F);
    BOOST_TEST(same_bits(logits_of(gpt2(), two, before, push, word), one));
    BOOST_TEST(one[5] == -INFINITY);
    dynamic_policies pack;
    pack.add(set);
    pack.add(scale);
    pack.add(before);
    pack.add(push);
    pack.add(word);
    BOOST_TEST(same_bits(logits_of(gpt2(), pack), one));
    // Each of them matters.
    BOOST_TEST(!same_bits(logits_of(gpt2(), set, scale, push, word), one));
    BOOST_TEST(!same_bits(logits_of(gpt2(), set, scale, before, word), one));
}

BOOST_AUTO_TEST_CASE(interventions_act_in_a_pass_that_ends_early) {
    intervene first_layer;
    first_layer.set({0, 3}, 4.0F);
    intervene second_layer;
    second_layer.set({1, 3}, 4.0F);
    ban word(std::vector<std::vector<token_id>>{{5}});
    stops stop;
    const auto stopped = logits_of(gpt2(), stop);
    const auto both = logits_of(gpt2(), stop, first_layer, word);
    BOOST_TEST(!same_bits(both, stopped));
    BOOST_TEST(both[5] == -INFINITY);
    BOOST_TEST(same_bits(logits_of(gpt2(), stop, second_layer), stopped));  // it does not run
    dynamic_policies pack;
    pack.add(first_layer);
    pack.add(stop);
    pack.add(word);
    BOOST_TEST(same_bits(logits_of(gpt2(), pack), both));
    BOOST_TEST(!is_rowwise(pack));
}

BOOST_AUTO_TEST_CASE(several_sequences_in_one_pass_get_the_bits_of_each_alone) {
    intervene edits({before_activation({1, 9}, edit::kind::add, 2.0F)});
    edits.add({{0, 3}, edit::kind::set, 4.0F, position_set({4})});
    ban words({{1}, {gpt2().ids[2], 7}});
    const std::span<const token_id> ids = gpt2().ids;
    const auto check = [&](const auto& model, auto&... policies) {
        std::vector<sequence_state> alone;
        for (const std::size_t length : {3U, 5U, 4U}) {
            alone.push_back(model.start());
            model.forward(alone.back(), ids.first(length), policies...);
        }
        std::vector<sequence_state> together = alone;
        const std::vector<token_id> next{ids[2], ids[9], ids[1]};
        for (std::size_t n = 0; n < 3; ++n) {
            model.forward(alone[n], std::span(&next[n], 1), policies...);
        }
        const std::vector<sequence_state*> states{&together[0], &together[1], &together[2]};
        model.forward_each(states, next, policies...);
        for (std::size_t n = 0; n < 3; ++n) {
            const auto bits = [](const auto& t) {
                return std::span<const float>(t.data(), t.size());
            };
            BOOST_TEST(same_bits(bits(together[n].logits), bits(alone[n].logits)));
            BOOST_TEST(same_bits(bits(together[n].residual), bits(alone[n].residual)));
            BOOST_TEST(together[n].position == alone[n].position);
            BOOST_TEST(together[n].tokens == alone[n].tokens, boost::test_tools::per_element());
        }
        // And they go on alike.
        model.forward(alone[1], ids.first(2), policies...);
        model.forward(together[1], ids.first(2), policies...);
        BOOST_TEST(same_bits({together[1].logits.data(), together[1].logits.size()},
                             {alone[1].logits.data(), alone[1].logits.size()}));
    };
    check(gpt2().model, edits, words);
    check(llama().model, edits, words);
    check(llama().model);
    recorder watch;
    sequence_state state = gpt2().model.start();
    const std::vector<sequence_state*> one{&state};
    BOOST_TEST(error_message([&] { gpt2().model.forward_each(one, ids.first(1), watch); }) ==
               "forward_each: a policy looks at more than a row, or may stop");
}

BOOST_AUTO_TEST_CASE(a_ban_hides_the_last_token_where_the_text_ends_with_the_rest) {
    ban words({{4}, {1, 2, 3}, {2, 0}});
    const std::vector<token_id> text{9, 1, 2};
    std::vector<float> z(3 * 5, 1.0F);
    words.logits({0, 0, text}, rows<float>(z.data(), 3, 5));
    const float none = -std::numeric_limits<float>::infinity();
    const std::vector<float> expected{1, 1, 1, 1, none, 1, 1, 1, 1, none, none, 1, 1, none, none};
    BOOST_TEST(z == expected, boost::test_tools::per_element());
    BOOST_TEST(error_message([] {
                   ban({{1}, {}});
               }) == "ban: expected at least 1 token in a sequence, got 0");
    BOOST_TEST(error_message([&] { words.check({.vocabulary = 4}); }) ==
               "ban: token 4: expected 0 to 3");
}

BOOST_AUTO_TEST_CASE(steering_adds_a_vector_of_that_length) {
    std::vector<float> x(2 * 2, 1.0F);
    steer push(3, {3.0F, 4.0F}, 10.0F, position_set({8}));
    push.after({2, 7}, rows<float>(x.data(), 2, 2));
    push.after({3, 7}, rows<float>(x.data(), 2, 2));
    const std::vector<float> expected{1, 1, 7, 9};
    BOOST_TEST(x == expected, boost::test_tools::per_element());
    BOOST_TEST(error_message([] { steer(0, {0.0F}, 1.0F); }) ==
               "direction: expected a finite length above 0, got 0");
    BOOST_TEST(error_message([&] { push.check({.layers = 3, .width = 2}); }) ==
               "layer: 3, the model has layers 0 to 2");
    BOOST_TEST(error_message([&] { push.check({.layers = 4, .width = 5}); }) ==
               "direction: 2 numbers, the model's width is 5");
}

BOOST_AUTO_TEST_CASE(a_direction_is_any_row_of_numbers_with_its_own_length_if_none_is_said) {
    const xt::xtensor<float, 1> a{3.0F, 4.0F};
    const std::vector<float> b{1.0F, -1.0F};
    const auto pushed = [](steer push) {
        std::vector<float> x(2, 1.0F);
        push.after({0, 0}, rows<float>(x.data(), 1, 2));
        return x;
    };
    BOOST_TEST(pushed(steer(0, a)) == (std::vector<float>{4, 5}));
    BOOST_TEST(pushed(steer(0, 2.0F * a - xt::adapt(b))) == (std::vector<float>{6, 10}));
    BOOST_TEST(pushed(steer(0, std::span<const float>(b))) == (std::vector<float>{2, 0}));
    BOOST_TEST(pushed(steer(0, a + 0.0F, 10.0F)) == (std::vector<float>{7, 9}));
    BOOST_TEST(pushed(steer(0, b, position_set({1}))) == (std::vector<float>{1, 1}));
    const xt::xtensor<float, 2> table = xt::ones<float>({2, 2});
    BOOST_TEST(error_message([&] { steer(0, table); }) == "direction: expected 1 dimension, got 2");
}
