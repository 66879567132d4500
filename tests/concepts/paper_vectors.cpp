// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE paper_vectors
#include <boost/test/unit_test.hpp>

#include <xlens/interventions/make_policies.hpp>
#include <xlens/interventions/recipe_file.hpp>
#include <xlens/io/assemble.hpp>
#include <xlens/io/open_checkpoint.hpp>

#include "support/byte_writer.hpp"
#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_model.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

// examples/detox/paper.json, the ten vectors of Geva et al. 2022, section 6.1, in a random model
// with the layers and inner width of gpt2-medium.

using namespace xlens;
using namespace xlens::test;

namespace {

constexpr std::size_t layers = 24;
constexpr std::size_t inner = 4096;
constexpr std::size_t width = 4;
const auto paper = golden_path("../../examples/detox/paper.json");

/// A Hugging Face folder of that shape; every weight from -0.5 to 0.5.
void write_medium(const temporary_directory& folder) {
    std::string header = "{";
    test::byte_writer data;
    std::uint32_t random = 2203;
    const auto add = [&](const std::string& name, std::vector<std::size_t> shape) {
        const std::size_t first = data.bytes().size();
        std::size_t count = 1;
        for (const std::size_t n : shape) { count *= n; }
        for (std::size_t i = 0; i < count; ++i) {
            random = random * 1664525U + 1013904223U;
            data.number(static_cast<float>(random >> 8U) / 16777216.0F - 0.5F);
        }
        header += fmt::format(R"({}"{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})",
                              header.size() > 1 ? "," : "", name, fmt::join(shape, ","), first,
                              data.bytes().size());
    };
    add("wte.weight", {20, width});
    add("wpe.weight", {16, width});
    const auto linear = [&](const std::string& name, std::size_t from, std::size_t to) {
        add(name + ".weight", {from, to});
        add(name + ".bias", {to});
    };
    const auto norm = [&](const std::string& name) {
        add(name + ".weight", {width});
        add(name + ".bias", {width});
    };
    for (std::size_t l = 0; l < layers; ++l) {
        const std::string h = fmt::format("h.{}.", l);
        norm(h + "ln_1");
        norm(h + "ln_2");
        linear(h + "attn.c_attn", width, 3 * width);
        linear(h + "attn.c_proj", width, width);
        linear(h + "mlp.c_fc", width, inner);
        linear(h + "mlp.c_proj", inner, width);
    }
    norm("ln_f");
    folder.write("model.safetensors", safetensors_bytes(header + "}", data.bytes()));
    folder.write("config.json", fmt::format(R"({{"architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2", "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
        "n_embd": {}, "n_head": 1, "n_inner": {}, "n_layer": {}, "n_positions": 16,
        "vocab_size": 20, "tie_word_embeddings": true}})",
                                            width, inner, layers));
}

/// Coefficients (T·F) of every layer.
struct recorder {
    static constexpr hook hooks = hook::coefficients;
    std::vector<std::vector<float>> layers{};
    void coefficients(const site&, rows<float> m) {
        auto& to = layers.emplace_back();
        for (std::size_t t = 0; t < m.count(); ++t) {
            to.insert(to.end(), m[t].begin(), m[t].end());
        }
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(they_are_set_before_the_activation_at_every_position) {
    const temporary_directory folder;
    write_medium(folder);
    const checkpoint file = open_checkpoint(folder.path());
    const auto model = assemble(file);
    const std::vector<token_id> ids{3, 1, 4, 1, 5};
    dynamic_policies pack;
    add_interventions(pack, read_recipe(paper), recipe_context{model});
    recorder free;
    recorder set;
    sequence_state state = model.start();
    model.forward(state, ids, free);
    state = model.start();
    model.forward(state, ids, pack, set);

    // As the authors' repository lists them, from 0.
    const std::set<std::pair<std::size_t, std::size_t>> ten{
        {13, 1852}, {14, 72},   {14, 1394}, {15, 215},  {16, 461},
        {16, 3208}, {16, 4060}, {17, 2920}, {18, 1890}, {22, 3769}};
    const double gelu = 1.5 * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (3.0 + 0.044715 * 27.0)));
    for (const auto& [l, i] : ten) {
        for (std::size_t t = 0; t < ids.size(); ++t) {
            BOOST_TEST(std::abs(double{set.layers[l][t * inner + i]} - gelu) < 1e-5);
            BOOST_TEST(std::abs(double{free.layers[l][t * inner + i]} - gelu) > 1e-2);
        }
    }
    // Up to the first of these layers nothing else has changed, and after it the residual has.
    for (std::size_t l = 0; l <= 13; ++l) {
        std::size_t changed = 0;
        for (std::size_t n = 0; n < free.layers[l].size(); ++n) {
            changed += free.layers[l][n] != set.layers[l][n] ? 1U : 0U;
        }
        BOOST_TEST(changed == (l == 13 ? ids.size() : 0U));
    }
    BOOST_TEST(free.layers[14] != set.layers[14]);
}

BOOST_AUTO_TEST_CASE(a_smaller_gpt2_does_not_have_them) {
    const tiny_model<> small("gpt2/hf");
    dynamic_policies pack;
    BOOST_TEST(error_message([&] {
                   add_interventions(pack, read_recipe(paper), recipe_context{small.model});
               }) == paper.string() +
                         ": interventions[0].neurons: neuron 13:1852: expected layers "
                         "0 to 1 and neurons 0 to 127");
}
