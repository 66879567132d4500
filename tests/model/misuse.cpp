// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE misuse
#include <boost/test/unit_test.hpp>

#include <xlens/interventions/intervene.hpp>
#include <xlens/interventions/steer.hpp>
#include <xlens/io/load.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/model.hpp>
#include <xlens/trace/attribution.hpp>
#include <xlens/trace/observe.hpp>
#include <xlens/trace/observe_updates.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/tiny_model.hpp"

#include <limits>
#include <span>
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

BOOST_AUTO_TEST_CASE(inputs_of_another_width) {
    const auto& block = qwen3().model.blocks.front();
    const std::size_t width = qwen3().model.config.width;
    const std::string expected = ", expected x (T, " + std::to_string(width) + ")";
    for (const std::size_t n : {std::size_t{0}, std::size_t{7}, width - 1, 2 * width}) {
        const xt::xtensor<float, 1> x = xt::ones<float>({n});
        const auto updates = block.ffn.sub_updates(x);
        for (const std::string& message :
             {error_message([&] { (void)updates.sum(); }),
              error_message([&] { (void)updates.coefficient(0); }),
              error_message([&] { (void)block.ffn.coefficients(std::span(x.data(), n)); })}) {
            BOOST_TEST(message.starts_with("matmul: x (1, " + std::to_string(n) + ")"), message);
            BOOST_TEST(message.find(expected) != std::string::npos, message);
        }
        const xt::xtensor<float, 2> row = xt::ones<float>({std::size_t{1}, n});
        xt::xtensor<float, 2> out = xt::zeros<float>({std::size_t{1}, width});
        const std::string norm = error_message([&] { (*block.attention_norm)(row, out); });
        BOOST_TEST(norm == "norm: x (1, " + std::to_string(n) + ") and out (1, " +
                               std::to_string(width) + "), expected (T, " + std::to_string(width) +
                               ")");
    }
}

BOOST_AUTO_TEST_CASE(value_vectors_and_tokens_that_are_not_there) {
    const model gemma = load(golden_path("families/gemma2/hf"));  // its value vectors have a gain
    const auto values = gemma.value_matrices().front();
    const std::size_t D = values.rows();
    const std::size_t F = values.cols();
    std::vector<float> out(D);
    BOOST_TEST(error_message([&] { values.column(F, out); }) ==
               "value: neuron " + std::to_string(F) + " of a layer with " + std::to_string(F));
    out.resize(3);
    BOOST_TEST(error_message([&] { values.column(0, out); }) ==
               "value: 3 numbers for a width of " + std::to_string(D));
    std::vector<float> products(F);
    BOOST_TEST(error_message([&] { values.product(out, products); }) ==
               "products with value vectors: width: expected " + std::to_string(D) + ", got 3");
    BOOST_TEST(error_message([&] { values.norms(out); }) ==
               "norms of value vectors: count: expected " + std::to_string(F) + ", got 3");
    xt::xtensor<float, 2> x = xt::zeros<float>({std::size_t{1}, D});
    for (const token_id token : {-1, 1'000'000}) {
        const std::vector<token_id> one{token};
        BOOST_TEST(
            error_message([&] { gemma.embedding(one, x); }).starts_with("embedding: token "));
    }
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
    intervene none;
    none.set({1, 5}, std::numeric_limits<float>::quiet_NaN());
    BOOST_TEST(refusal(none) == "edit of 1:5: expected a number, got nan");
    edit narrow{{0, 1}, edit::kind::clamp, 2.0F};
    narrow.most = 1.0F;
    change.add(narrow);
    BOOST_TEST(refusal(change) ==
               "clamp of 0:1: expected most to be at least 2, which is least, got 1");
}

BOOST_AUTO_TEST_CASE(a_model_in_memory_whose_parts_do_not_fit) {
    const auto said_of = [](const transformer<>& from, auto change) {
        transformer<> m = from;
        change(m);
        return error_message([&] { model made(m); });
    };
    const auto said = [&](auto change) { return said_of(gpt2().model, change); };
    const std::string at = "model in memory: ";
    BOOST_TEST(said([](auto&) {}) == "(no error)");
    BOOST_TEST(said([](auto& m) { m.config.vocabulary = 0; }) ==
               at + "config.vocabulary: expected a positive number, got 0");
    BOOST_TEST(said([](auto& m) { m.config.kv_heads = 3; }) ==
               at + "config.kv_heads: expected a divisor of 4 heads, got 3");
    BOOST_TEST(said([](auto& m) { m.blocks.pop_back(); }) == at + "blocks: expected 2, got 1");
    BOOST_TEST(said([](auto& m) { m.embedding.clusters.clear(); }) ==
               at + "embedding.clusters: rows of all: expected 300, got 0");
    BOOST_TEST(said([](auto& m) { m.config.vocabulary = 301; }) ==
               at + "embedding.clusters: rows of all: expected 301, got 300");
    BOOST_TEST(said([](auto& m) {
                   auto& table = m.embedding.clusters[0].table;
                   table = table.transpose();
               }) == at + "embedding.clusters[0].table: expected (32, 32), got (32, 300)");
    BOOST_TEST(said([](auto& m) { m.config.context = 41; }) ==
               at + "position.table: expected at least 41 rows for config.context, got 40");
    BOOST_TEST(said([](auto& m) {
                   auto& output = m.blocks[1].attention.output.weight;
                   output = output.slice_rows(0, 31);
               }) == at + "attention.output.weight of layer 1: expected (32, 32), got (31, 32)");
    BOOST_TEST(said([](auto& m) { m.blocks[0].attention.query.bias = xt::ones<float>({31U}); }) ==
               at + "attention.query.bias of layer 0: expected 32 numbers or none, got 31 numbers");
    BOOST_TEST(said([](auto& m) { m.blocks[0].attention.shape.head_size = 9; }) ==
               at + "attention.shape.head_size of layer 0: expected 8, got 9");
    BOOST_TEST(said([](auto& m) { m.blocks[1].ffn_norm->gain = xt::ones<float>({33U}); }) ==
               at + "ffn_norm.gain: numbers of layer 1: expected 32, got 33");
    BOOST_TEST(said([](auto& m) {
                   auto& ffn = m.blocks[1].ffn;
                   const linear<any_matrix> values{ffn.value_layer().weight.transpose(), {}};
                   ffn = {ffn.up_layer(), values, ffn.activation()};
               }) == at + "ffn: values.weight of layer 1: expected (32, 128), got (128, 32)");
    BOOST_TEST(said([](auto& m) {
                   auto& ffn = m.blocks[0].ffn;
                   ffn = {ffn.up_layer(), ffn.value_layer()};
               }) == at + "ffn: activation of layer 0: expected one of kernels/activation.hpp, got "
                          "none");
    BOOST_TEST(said([](auto& m) { m.final_norm->bias = xt::ones<float>({2U}); }) ==
               at + "final_norm.bias: expected 32 numbers or none, got 2 numbers");
    BOOST_TEST(said([](auto& m) { m.unembedding.sections[0].first = 1; }) ==
               at + "unembedding.sections[0].first: expected 0, got 1");
    BOOST_TEST(said([](auto& m) { m.unembedding.bias = xt::ones<float>({299U}); }) ==
               at + "unembedding.bias: expected 300 numbers or none, got 299 numbers");

    const auto of_qwen3 = [&](auto change) { return said_of(qwen3().model, change); };
    BOOST_TEST(of_qwen3([](auto&) {}) == "(no error)");
    BOOST_TEST(of_qwen3([](auto& m) {
                   m.position.rotary.table = rope_table();
               }).starts_with(at + "position.table, the rotation of layer 0: expected 2 to "));
    BOOST_TEST(of_qwen3([](auto& m) {
                   m.blocks[1].attention.key_norm.norms[0].gain = xt::ones<float>({3U});
               }).starts_with(at + "attention.key_norm.gain: numbers of layer 1: expected "));
}
