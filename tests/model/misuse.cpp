// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE misuse
#include <boost/test/unit_test.hpp>

#include <xlens/interventions/intervene.hpp>
#include <xlens/interventions/steer.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/trace/attribution.hpp>
#include <xlens/trace/observe.hpp>
#include <xlens/trace/observe_updates.hpp>

#include "support/error_message.hpp"
#include "support/tiny_model.hpp"

#include <string>
#include <vector>

// What a program may get wrong with a model in hand: one line each, before anything is computed.

using namespace xlens;
using namespace xlens::test;

namespace {

const tiny_model<>& gpt2() {
    static const tiny_model<> m("gpt2/hf");
    return m;
}
const tiny_model<>& qwen3() {
    static const tiny_model<> m("qwen3/hf");
    return m;
}

template <class... P>
std::string refusal(P&... policies) {
    sequence_state state = gpt2().model.start();
    return error_message([&] { gpt2().model.forward(state, gpt2().ids, policies...); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_state_of_another_model) {
    sequence_state none;
    BOOST_TEST(error_message([&] {
                   gpt2().model.forward(none, {1, 2, 3});
               }) == "state: 0 layers, the model has 2; states are made by start()");
    sequence_state deeper = gpt2().model.start();
    deeper.caches.push_back(deeper.caches.front());
    BOOST_TEST(error_message([&] {
                   gpt2().model.forward(deeper, {1, 2, 3});
               }) == "state: 3 layers, the model has 2; states are made by start()");
    sequence_state wider;
    wider.caches.assign(2, kv_cache(3));
    BOOST_TEST(error_message([&] {
                   gpt2().model.forward(wider, {1, 2, 3});
               }).starts_with("state: keys of 3 numbers, the model's have "));
}

BOOST_AUTO_TEST_CASE(a_policy_of_another_model) {
    const std::size_t width = gpt2().model.config.width;
    steer narrow(0, std::vector<float>(width - 1, 1.0F), 1.0F);
    BOOST_TEST(refusal(narrow) ==
               fmt::format("direction: {} numbers, the model's width is {}", width - 1, width));
    steer deep(99, std::vector<float>(width, 1.0F), 1.0F);
    BOOST_TEST(refusal(deep) == "layer: 99, the model has layers 0 to 1");
    intervene layer;
    layer.zero({40, 0});
    BOOST_TEST(refusal(layer) == "neuron 40:0: layer 40, the model has layers 0 to 1");
    intervene index;
    index.zero({1, 9999});
    BOOST_TEST(refusal(index) == "neuron 1:9999: index 9999, a layer has neurons 0 to 127");
    observe seen(qwen3().model.value_norms(), 3);
    const std::string message = refusal(seen);
    BOOST_TEST(message.starts_with("observe: value norms of "), message);
}

BOOST_AUTO_TEST_CASE(a_look_at_what_is_not_there) {
    observe seen(gpt2().model);
    BOOST_TEST(error_message([&] { (void)seen.layer(4); }) ==
               "observe: layer 4, 0 layers ran in the last pass");
    const logit_lens lens(gpt2().model);
    const std::vector<float> x(1000 * 7, 1.0F);
    const rows<const float> narrow(x.data(), 1000, 7);
    const std::string expected =
        fmt::format("vectors of 7 numbers, the model's width is {}", gpt2().model.config.width);
    BOOST_TEST(error_message([&] { (void)lens.read(narrow, 5); }) == expected);
    BOOST_TEST(error_message([&] { (void)lens.project(narrow, 5); }) == expected);
    const std::vector<float> one(gpt2().model.config.width, 1.0F);
    const token_id outside = 1 << 20U;
    BOOST_TEST(error_message([&] {
                   (void)lens.read(as_rows(std::span<const float>(one)), 1, std::span(&outside, 1));
               }).starts_with("lens: token 1048576: expected 0 to "));
}

BOOST_AUTO_TEST_CASE(an_attribution_of_a_record_of_another_model) {
    observe_updates seen;
    sequence_state state = qwen3().model.start();
    qwen3().model.forward(state, {1, 2, 3}, seen);
    const attribution_target target{0, 1, {}};
    const attributor take_apart(gpt2().model, 5);
    const std::string message =
        error_message([&] { (void)take_apart(seen, std::span(&target, 1)); });
    BOOST_TEST(message.starts_with("attribution: a record of "), message);
    BOOST_TEST(message.ends_with("is it another's?"), message);
    const observe_updates nothing;
    BOOST_TEST(error_message([&] {
                   (void)take_apart(nothing, std::span(&target, 1));
               }).starts_with("attribution: a record of 0 layers"));
}

BOOST_AUTO_TEST_CASE(sequences_and_tokens_that_do_not_pair) {
    sequence_state a = gpt2().model.start();
    sequence_state b = gpt2().model.start();
    const auto each = [&](std::vector<sequence_state*> states, std::vector<token_id> tokens) {
        return error_message([&] { gpt2().model.forward_each(states, tokens); });
    };
    BOOST_TEST(each({&a, &b}, {1, 2, 3}) ==
               "forward_each: expected a token for each of 2 sequences, got 3");
    BOOST_TEST(each({&a, &b}, {1}) ==
               "forward_each: expected a token for each of 2 sequences, got 1");
    BOOST_TEST(each({&a, nullptr}, {1, 2}) == "forward_each: sequence 1: expected one, got null");
    BOOST_TEST(each({&a, &a}, {1, 2}) == "forward_each: sequence 1 is given twice");
    BOOST_TEST(each({&a, &b}, {1, 2}) == "(no error)");
}

BOOST_AUTO_TEST_CASE(targets_and_rows_that_do_not_pair) {
    const logit_lens lens(gpt2().model);
    const xt::xtensor<float, 2> x = xt::ones<float>({std::size_t{5}, gpt2().model.config.width});
    for (const std::vector<token_id>& targets :
         {std::vector<token_id>{1}, std::vector<token_id>{1, 2, 3, 4, 5, 6}}) {
        BOOST_TEST(error_message([&] { (void)lens.read(x, 1, targets); }) ==
                   "lens: expected a target for each of 5 rows, or none, got " +
                       std::to_string(targets.size()));
    }
    xt::xtensor<float, 2> few = xt::ones<float>({std::size_t{2}, gpt2().model.config.width});
    BOOST_TEST(error_message([&] {
                   normalise(gpt2().model.final_norm, rows<const float>(x), rows<float>(few));
               }).find("expected rows and as many results") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(edits_that_say_nothing) {
    intervene change;
    BOOST_TEST(error_message([&] { change.add(std::vector<neuron>{}, edit{}); }) ==
               "intervene: expected at least 1 neuron to edit, got 0");
    edit narrow{{0, 1}, edit::kind::clamp, 2.0F};
    narrow.most = 1.0F;
    change.add(narrow);
    BOOST_TEST(refusal(change) ==
               "clamp of 0:1: expected most to be at least 2, which is least, got 1");
}
