// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE patch
#include <boost/test/unit_test.hpp>

#include <xlens/interventions/patch.hpp>
#include <xlens/interventions/steer.hpp>
#include <xlens/trace/observe.hpp>
#include <xlens/trace/residual.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"
#include "support/tiny_model.hpp"

#include <cmath>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

const tiny_model<>& gpt2() {
    static const tiny_model<> m("gpt2/hf");
    return m;
}
const transformer<>& the_model() { return gpt2().model; }

std::vector<token_id> other_prompt() {
    std::vector<token_id> out = gpt2().ids;
    out[1] = (out[1] + 1) % 20;
    return out;
}
template <class... P>
std::vector<float> logits(std::span<const token_id> tokens, P&... policies) {
    sequence_state state = the_model().start();
    the_model().forward(state, tokens, policies...);
    return {state.logits.begin(), state.logits.end()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_residual_is_what_observe_sees) {
    const std::span<const token_id> ids = gpt2().ids;
    observe seen(the_model(), 1, observe::positions::all);
    sequence_state state = the_model().start();
    the_model().forward(state, ids, seen);
    for (const std::size_t position : {std::size_t{0}, ids.size() - 1}) {
        for (const std::size_t layer : {0U, 1U}) {
            const observed_layer& l = seen.layer(layer);
            const rows<const float> before(l.before);
            const rows<const float> after(l.after);
            const auto at = [&](hook where) {
                return residual(the_model(), ids, where, layer, position);
            };
            BOOST_TEST(same_bits(at(hook::before), before[position]));
            BOOST_TEST(same_bits(at(hook::after), after[position]));
        }
    }
    steer push(0, std::vector<float>(the_model().config.width, 1.0F), 3.0F);
    BOOST_TEST(!same_bits(residual(the_model(), ids, hook::before, 1, 0, push),
                          residual(the_model(), ids, hook::before, 1, 0)));
}

BOOST_AUTO_TEST_CASE(all_residuals_of_another_prompt_give_its_logits) {
    const std::vector<token_id> other = other_prompt();
    const std::vector<float> own = logits(gpt2().ids);
    const std::vector<float> theirs = logits(other);
    BOOST_REQUIRE(!same_bits(own, theirs));
    patch nothing;
    BOOST_TEST(same_bits(logits(gpt2().ids, nothing), own));
    patch itself;
    patch last;
    const std::size_t end = other.size() - 1;
    itself.at(hook::before, 1, 3, residual(the_model(), gpt2().ids, hook::before, 1, 3));
    // Said twice, the last counts.
    last.at(hook::after, 1, end, std::vector<float>(the_model().config.width, 1.0F));
    last.at(hook::after, 1, end, residual(the_model(), other, hook::after, 1, end));
    BOOST_TEST(same_bits(logits(gpt2().ids, itself), own));
    BOOST_TEST(same_bits(logits(gpt2().ids, last), theirs));
    // Read in two passes, positions count from the start of the sequence.
    sequence_state state = the_model().start();
    const std::span<const token_id> ids = gpt2().ids;
    the_model().forward(state, ids.first(4), last);
    the_model().forward(state, ids.subspan(4), last);
    BOOST_TEST(same_bits({state.logits.data(), state.logits.size()}, theirs));
    patch elsewhere;
    elsewhere.at(hook::after, 0, 1, residual(the_model(), other, hook::after, 0, 1));
    BOOST_TEST(!same_bits(logits(gpt2().ids, elsewhere), own));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
    const std::span<const token_id> ids = gpt2().ids;
    const std::vector<float> x(the_model().config.width, 1.0F);
    BOOST_TEST(
        error_message([&] { patch().at(hook::logits, 0, 0, x); }) ==
        "patch: expected one of the sites embedding, head_outputs, attention_out, before, ffn_out "
        "and after");
    std::vector<float> bad = x;
    bad[2] = INFINITY;
    BOOST_TEST(error_message([&] { patch().at(hook::after, 0, 0, bad); }) ==
               "patch: number 2 of the residual is inf, expected a finite number");
    patch deep;
    deep.at(hook::after, 99, 0, x);
    BOOST_TEST(error_message([&] { logits(ids, deep); }) ==
               "patch: layer 99, the model has layers 0 to 1");
    patch narrow;
    narrow.at(hook::after, 0, 0, std::vector<float>(5, 1.0F));
    BOOST_TEST(error_message([&] { logits(ids, narrow); }) ==
               "patch: a residual of 5 numbers, the model's width is " +
                   std::to_string(the_model().config.width));
    const std::size_t heads = the_model().config.heads;
    const std::size_t size = the_model().config.head_size;
    const auto of_head = [&](attention_head which, std::size_t numbers) {
        return error_message([&] {
            patch one;
            one.at(which, 3, std::vector<float>(numbers, 1.0F));
            logits(ids, one);
        });
    };
    BOOST_TEST(of_head({1, heads - 1}, size) == "(no error)");
    BOOST_TEST(of_head({1, heads}, size) == "patch: head 1:" + std::to_string(heads) +
                                                ", the layer has heads 0 to " +
                                                std::to_string(heads - 1));
    BOOST_TEST(of_head({2, 0}, size) == "patch: layer 2, the model has layers 0 to 1");
    BOOST_TEST(of_head({1, 0}, size + 1) == "patch: " + std::to_string(size + 1) +
                                                " numbers of a head, the model's heads have " +
                                                std::to_string(heads * size) + " in all");
    patch few;
    few.at(hook::head_outputs, 0, 0, std::vector<float>(3, 1.0F));
    BOOST_TEST(error_message([&] { logits(ids, few); }) ==
               "patch: 3 numbers of heads, the model's have " + std::to_string(heads * size));
    BOOST_TEST(error_message([&] { residual(the_model(), ids, hook::after, 2, 0); }) ==
               "residual: layer 2, the model has layers 0 to 1");
    BOOST_TEST(error_message([&] { residual(the_model(), ids.first(3), hook::after, 0, 3); }) ==
               "residual: position 3 of 3 tokens");
    BOOST_TEST(error_message([&] { residual(the_model(), ids, hook::logits, 0, 0); }) ==
               "residual: expected hook::before or hook::after");
}
