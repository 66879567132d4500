// SPDX-License-Identifier: BSD-3-Clause

// A step of generation, and what policies add to it. The model is a random one of eight layers, or,
// if it is a llama, the one that XLENS_MODEL names. Two steps are measured by turns, one with an
// empty pack and one with a policy; `against plain` is the median of one over that of the other.
#include <xlens/hooks/dynamic.hpp>
#include <xlens/io/assemble.hpp>
#include <xlens/io/open_checkpoint.hpp>
#include <xlens/model/erase.hpp>
#include <xlens/model/presets.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/trace/observe.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include "support.hpp"

namespace {

using namespace xlens;
using namespace xlens::bench;

using llama = transformer<presets::llama>;  // the type of which the random model is made

constexpr std::size_t context = 64;
constexpr std::size_t dominant = 10;

/// Layers of the shape of SmolLM2-135M's with random weights in q4_1.
class random_model {
public:
    random_model() {
        hyperparameters& config = model.config;
        config.architecture = "llama";
        config.layers = 8;
        config.width = width;
        config.inner_width = inner_width;
        config.heads = heads;
        config.kv_heads = kv_heads;
        config.head_size = head_size;
        config.vocabulary = vocabulary_size;
        config.context = 2 * context;
        const any_matrix words = weight(vocabulary_size, width);
        model.embedding.clusters.push_back({0, words, std::nullopt});
        model.unembedding.sections.push_back({0, words, std::nullopt});
        model.position.table = rope_table(head_size, 10000.0F);
        model.final_norm = norm();
        for (std::size_t l = 0; l < config.layers; ++l) { model.blocks.push_back(layer()); }
    }
    llama model;

private:
    any_matrix weight(std::size_t rows, std::size_t cols) {
        std::vector<std::byte>& bytes =
            m_weights.emplace_back(rows * matrix<q4_1>::row_bytes(cols));
        for (std::byte& b : bytes) { b = static_cast<std::byte>(m_random()); }
        for (std::size_t i = 0; i < bytes.size(); i += q4_1::bytes) {
            constexpr std::array<std::uint16_t, 2> scales{0x2000, 0xab80};  // 2⁻⁷, -7.5·2⁻⁷
            std::memcpy(&bytes[i], scales.data(), sizeof scales);
        }
        return {matrix<q4_1>(bytes.data(), rows, cols), precision::native};
    }
    linear<any_matrix> product(std::size_t rows, std::size_t cols) {
        return {weight(rows, cols), {}};
    }
    static rms_norm norm() { return {xt::ones<float>({width}), 1e-5F}; }
    llama::block_type layer() {
        llama::block_type out;
        out.attention_norm = norm();
        out.attention.query = product(heads * head_size, width);
        out.attention.key = product(kv_heads * head_size, width);
        out.attention.value = product(kv_heads * head_size, width);
        out.attention.output = product(width, heads * head_size);
        out.attention.shape = {heads, kv_heads, head_size, 0, 0.125F};
        out.ffn_norm = norm();
        out.ffn = {product(inner_width, width), product(inner_width, width),
                   product(width, inner_width)};
        return out;
    }

    std::minstd_rand m_random{1};
    std::deque<std::vector<std::byte>> m_weights;
};

/// The same model twice: its architecture fixed by the type, and as data.
struct tested {
    const llama* fixed = nullptr;
    transformer<> data;
};
const tested& tested_models() {
    static const tested models = [] {
        if (const char* path = std::getenv("XLENS_MODEL")) {  // NOLINT(concurrency-mt-unsafe)
            static const checkpoint file = open_checkpoint(path, precision::native);
            if (presets::runs<presets::llama>(file.config().architecture)) {
                static const llama fixed = assemble<presets::llama>(file);
                return tested{&fixed, assemble(file)};
            }
        }
        static const random_model made;
        return tested{&made.model, erased(made.model)};
    }();
    return models;
}
const transformer<>& tested_model() { return tested_models().data; }

double seconds(auto&& body) {
    const auto begin = std::chrono::steady_clock::now();
    body();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> of) {
    const auto middle = of.begin() + static_cast<std::ptrdiff_t>(of.size() / 2);
    std::ranges::nth_element(of, middle);
    return *middle;
}

/// A token after `context` others with these policies.
template <class... P>
void run(benchmark::State& state, P&... policies) {
    const transformer<>& model = tested_model();
    sequence_state sequence = model.start();
    model.forward(sequence, std::vector<token_id>(context, 1));
    const std::array<token_id, 1> token{1};
    const auto step = [&](auto&... some) {
        sequence.truncate(context);
        return seconds([&] { model.forward(sequence, token, some...); });
    };
    std::vector<double> plain;
    std::vector<double> with;
    for (auto _ : state) {
        plain.push_back(step());
        with.push_back(step(policies...));
        state.SetIterationTime(with.back());
    }
    state.counters["tokens/s"] = 1.0 / median(with);
    state.counters["against plain"] = median(with) / median(plain);
}

void decode(benchmark::State& state) { run(state); }

/// The same token by the model whose architecture the type fixes and by the one of data, by turns,
/// or a prompt of `context` tokens by both.
void against_preset(benchmark::State& state, std::size_t tokens) {
    const tested& models = tested_models();
    const std::vector<token_id> prompt(context, 1);
    sequence_state of_fixed = models.fixed->start();
    sequence_state of_data = models.data.start();
    models.fixed->forward(of_fixed, prompt);
    models.data.forward(of_data, prompt);
    const std::size_t begin = tokens == 1 ? context : 0;
    const auto step = [&](const auto& model, sequence_state& sequence) {
        sequence.truncate(begin);
        return seconds([&] { model.forward(sequence, std::span(prompt).first(tokens)); });
    };
    std::vector<double> fixed;
    std::vector<double> data;
    for (auto _ : state) {
        fixed.push_back(step(*models.fixed, of_fixed));
        data.push_back(step(models.data, of_data));
        state.SetIterationTime(data.back());
    }
    state.counters["tokens/s"] = static_cast<double>(tokens) / median(data);
    state.counters["against preset"] = median(data) / median(fixed);
}
void decode_against_preset(benchmark::State& state) { against_preset(state, 1); }
void prefill_against_preset(benchmark::State& state) { against_preset(state, context); }

void decode_observed(benchmark::State& state) {
    observe seen(tested_model().value_norms(), dominant);
    run(state, seen);
}

void decode_no_dynamic_policies(benchmark::State& state) {
    dynamic_policies none;
    run(state, none);
}

}  // namespace

BENCHMARK(decode)->UseManualTime();
BENCHMARK(decode_against_preset)->UseManualTime();
BENCHMARK(prefill_against_preset)->UseManualTime();
BENCHMARK(decode_observed)->UseManualTime();
BENCHMARK(decode_no_dynamic_policies)->UseManualTime();

int main(int argc, char** argv) { return run_all(argc, argv); }
