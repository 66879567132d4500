// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE policies
#include <boost/test/unit_test.hpp>

#include <xlens/hooks/dynamic.hpp>
#include <xlens/hooks/skeleton.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/trace/observe.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"
#include "support/tiny_model.hpp"

#include <cmath>
#include <limits>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

const tiny_model<>& gpt2() {
    static const tiny_model<> m("gpt2/hf");
    return m;
}

template <class... P>
std::vector<float> logits_with(P&... policies) {
    sequence_state state = gpt2().model.start();
    gpt2().model.forward(state, gpt2().ids, policies...);
    return {state.logits.begin(), state.logits.end()};
}

/// Multiplies all coefficients by a factor.
struct scaled {
    static constexpr hook hooks = hook::coefficients;
    float by;
    void coefficients(const site&, rows<float> m) {
        for (std::size_t t = 0; t < m.count(); ++t) {
            for (float& x : m[t]) { x *= by; }
        }
    }
};
/// Adds to all coefficients.
struct shifted {
    static constexpr hook hooks = hook::coefficients;
    float by;
    void coefficients(const site&, rows<float> m) {
        for (std::size_t t = 0; t < m.count(); ++t) {
            for (float& x : m[t]) { x += by; }
        }
    }
};

/// Leaves out every layer after the first.
struct stops {
    static constexpr hook hooks = hook::after;
    flow after(const site&, rows<float>) { return flow::stop; }
};

// What the concept accepts and what not; tests/compile_fail holds what the compiler says.
struct no_hooks {};
struct misspelt {
    static constexpr hook hooks = hook::coefficients;
    void coeficients(const site&, rows<float>) {}
};
struct undeclared {
    static constexpr hook hooks = hook::none;
    void after(const site&, rows<float>) {}
};
struct ill_typed {
    static constexpr hook hooks = hook::after;
    int after(const site&, rows<float>) { return 0; }
};
static_assert(policy<skeleton> && policy<observe> && policy<intervene> && policy<dynamic_policies>);
static_assert(policy<scaled>);
static_assert(!policy<no_hooks> && !policy<misspelt> && !policy<undeclared> && !policy<ill_typed>);

}  // namespace

BOOST_AUTO_TEST_CASE(policies_run_in_argument_order) {
    scaled twice{2.0F};
    shifted one{1.0F};
    const auto scale_first = logits_with(twice, one);
    const auto shift_first = logits_with(one, twice);
    BOOST_TEST(!same_bits(scale_first, shift_first));
    dynamic_policies pack;
    pack.add(twice);
    pack.add(one);
    BOOST_TEST(same_bits(logits_with(pack), scale_first));
    dynamic_policies reversed;
    reversed.borrow(one);
    reversed.borrow(twice);
    BOOST_TEST(same_bits(logits_with(reversed), shift_first));
}

BOOST_AUTO_TEST_CASE(the_skeleton_and_an_empty_pack_change_no_bit) {
    skeleton copied;
    dynamic_policies empty;
    const auto plain = logits_with();
    BOOST_TEST(same_bits(logits_with(copied), plain));
    BOOST_TEST(same_bits(logits_with(empty), plain));
}

BOOST_AUTO_TEST_CASE(a_pack_stops_where_any_of_its_policies_does) {
    const auto exit_layer = [](auto&... policies) {
        sequence_state state = gpt2().model.start();
        gpt2().model.forward(state, gpt2().ids, policies...);
        return state.exit_layer;
    };
    skeleton goes_on;
    stops stop;
    BOOST_TEST(exit_layer(goes_on) == 1U);
    BOOST_TEST(exit_layer(stop, goes_on) == 0U);
    dynamic_policies pack;
    pack.add(goes_on);
    BOOST_TEST(exit_layer(pack) == 1U);
    pack.add(stop);
    pack.add(goes_on);
    BOOST_TEST(exit_layer(pack) == 0U);
}

BOOST_AUTO_TEST_CASE(intervene_sets_scales_and_zeroes_where_it_is_told) {
    std::vector<float> data(4 * 3, 2.0F);
    const rows<float> m(data.data(), 4, 3);
    intervene edits;
    edits.set({1, 0}, 5.0F).scale({1, 1}, -3.0F).zero({1, 2}).set({2, 0}, 9.0F);
    edits.coefficients({1, 10}, m);
    for (std::size_t t = 0; t < 4; ++t) {
        BOOST_TEST(m[t][0] == 5.0F);
        BOOST_TEST(m[t][1] == -6.0F);
        BOOST_TEST(m[t][2] == 0.0F);
    }
    intervene some;
    some.add({{1, 1}, edit::kind::set, 7.0F, std::vector<std::size_t>{12, 10}});
    some.coefficients({1, 10}, m);
    BOOST_TEST(m[0][1] == 7.0F);
    BOOST_TEST(m[1][1] == -6.0F);
    BOOST_TEST(m[2][1] == 7.0F);
    intervene later;
    later.set({1, 0}, 1.0F).scale({1, 0}, 4.0F);
    later.coefficients({1, 0}, m);
    BOOST_TEST(m[0][0] == 4.0F);
}

BOOST_AUTO_TEST_CASE(an_edit_of_a_neuron_that_is_not_there_is_refused) {
    intervene edits;
    edits.zero({1, 127});
    edits.check({.layers = 2, .inner_width = 128});
    BOOST_TEST(error_message([&] { edits.check({.layers = 1, .inner_width = 128}); }) ==
               "neuron 1:127: layer 1, the model has layers 0 to 0");
    BOOST_TEST(error_message([&] { edits.check({.layers = 2, .inner_width = 127}); }) ==
               "neuron 1:127: index 127, a layer has neurons 0 to 126");
}

BOOST_AUTO_TEST_CASE(observe_sees_the_residuals_and_what_edits_before_it_left) {
    const auto& m = gpt2().model;
    const std::span<const token_id> ids = gpt2().ids;
    observe all(m.value_norms(), 4, observe::positions::all);
    observe last(m.value_norms(), 4);
    sequence_state state = m.start();
    m.forward(state, ids.first(9));
    m.forward(state, ids.subspan(9, 6), all, last);
    BOOST_TEST(all.first_position() == 9U);
    BOOST_TEST(last.first_position() == 14U);
    BOOST_TEST_REQUIRE(all.layers().size() == m.blocks.size());
    const auto& final_layer = all.layers().back();
    BOOST_TEST(final_layer.after.shape(0) == 6U);
    BOOST_TEST(same_bits({final_layer.after.data(), final_layer.after.size()},
                         {state.residual.data(), state.residual.size()}));
    BOOST_TEST(same_bits(rows<const float>(last.layers()[0].before)[0],
                         rows<const float>(all.layers()[0].before)[5]));

    const std::size_t first = all.layers()[1].dominant[5][0].where.index;
    intervene edits;
    edits.set({1, first}, 100.0F);
    sequence_state again = m.start();
    m.forward(again, ids.first(9));
    m.forward(again, ids.subspan(9, 6), edits, last);
    const sub_update& top = last.layers()[1].dominant[0][0];
    BOOST_TEST(top.where.index == first);
    BOOST_TEST(top.coefficient == 100.0F);
    BOOST_TEST(top.dominance == 100.0F * top.norm);
}

BOOST_AUTO_TEST_CASE(observe_puts_what_is_no_number_last) {
    const std::vector<float> norms = {1.0F, 1.0F, 1.0F, 1.0F};
    std::vector<float> m = {0.5F, std::numeric_limits<float>::quiet_NaN(), -2.0F, 1.0F};
    std::vector<float> x = {0.0F};
    observe seen({norms}, 3);
    seen.embedding({}, rows<float>(x.data(), 1, 1));
    seen.before({}, rows<float>(x.data(), 1, 1));
    seen.coefficients({}, rows<float>(m.data(), 1, 4));
    const auto& order = seen.layers()[0].dominant[0];
    BOOST_TEST(order[0].where.index == 2U);
    BOOST_TEST(order[1].where.index == 3U);
    BOOST_TEST(order[2].where.index == 0U);
}
