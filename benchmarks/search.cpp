// SPDX-License-Identifier: BSD-3-Clause

// Search over all 46,080 value vectors of the shapes of SmolLM2-135M, in q4_1: by the mean score of
// 20 tokens, divided by nothing, the norm and the spread (kept from the first call, which is not in
// the time), with the concepts of the 20 best; the concept of one; and 1,536 random vectors of a
// layer.
#include <xlens/concepts/random_vectors.hpp>
#include <xlens/concepts/search.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/presets.hpp>

#include <cstddef>
#include <optional>
#include <vector>

#include "support.hpp"

namespace {

using namespace xlens;
using namespace xlens::bench;

constexpr std::size_t layers = 30;
constexpr std::size_t found_tokens = 10;

/// A llama of which there is what a search reads. Value vectors of one byte pattern would all be
/// the same, so they are random bytes with scales near 1.
class searched_model {
public:
    using type = transformer<>;

    searched_model() : m_bytes(layers * layer_bytes) {
        std::minstd_rand generator(2);
        for (std::size_t i = 0; i < m_bytes.size(); ++i) {
            const bool high_byte_of_scale = i % q4_1::bytes == 1 || i % q4_1::bytes == 3;
            m_bytes[i] =
                high_byte_of_scale ? std::byte{0x2c} : static_cast<std::byte>(generator() % 256);
        }
        m_model.config.layers = layers;
        m_model.config.width = width;
        m_model.config.inner_width = inner_width;
        m_model.config.vocabulary = vocabulary_size;
        m_model.unembedding.sections.push_back({0, m_e.rows(), std::nullopt});
        for (std::size_t l = 0; l < layers; ++l) {
            const any_matrix values(matrix<q4_1>(&m_bytes[l * layer_bytes], width, inner_width));
            auto& block = m_model.blocks.emplace_back();
            block.ffn = {linear<any_matrix>{}, linear<any_matrix>{}, {values, {}}};
        }
        for (std::size_t w = 0; w < 20; ++w) { m_tokens.push_back(static_cast<token_id>(w * 999)); }
    }
    searched_model(const searched_model&) = delete;
    searched_model& operator=(const searched_model&) = delete;

    [[nodiscard]] const type& model() const { return m_model; }
    [[nodiscard]] const std::vector<token_id>& tokens() const { return m_tokens; }
    [[nodiscard]] std::size_t bytes() const { return m_bytes.size(); }

private:
    static constexpr std::size_t layer_bytes = width * matrix<q4_1>::row_bytes(inner_width);

    random_unembedding m_e;
    std::vector<std::byte> m_bytes;
    type m_model;
    std::vector<token_id> m_tokens;
};

void run(benchmark::State& state, score_scale scale) {
    const searched_model searched;
    const concept_search search(searched.model());
    search_options options;
    options.scale = scale;
    benchmark::DoNotOptimize(search.find(searched.tokens(), options));
    const double seconds = run_iterations(
        state, [&] { benchmark::DoNotOptimize(search.find(searched.tokens(), options)); });
    report_bytes(state, seconds, searched.bytes());
}

void find_by_score(benchmark::State& state) { run(state, score_scale::none); }
void find_by_norm(benchmark::State& state) { run(state, score_scale::norm); }
void find_by_spread(benchmark::State& state) { run(state, score_scale::spread); }

void find_and_project(benchmark::State& state) {
    const searched_model searched;
    const concept_search search(searched.model());
    const search_options options;
    const double seconds = run_iterations(state, [&] {
        const auto hits = search.find(searched.tokens(), options);
        benchmark::DoNotOptimize(search.concepts(hits, found_tokens, options));
    });
    report_bytes(state, seconds, searched.bytes());
}

void concept_of_one(benchmark::State& state) {
    const searched_model searched;
    const logit_lens lens(searched.model());
    xt::xtensor<float, 2> value = xt::empty<float>({std::size_t{1}, width});
    std::size_t at = 0;
    const double seconds = run_iterations(state, [&] {
        const auto& block = searched.model().blocks[at % layers];
        block.ffn.value(at % inner_width, rows<float>(value)[0]);
        benchmark::DoNotOptimize(lens.project(value, found_tokens));
        ++at;
    });
    report_bytes(state, seconds, vocabulary_size * width * sizeof(float));
}

void random_layer(benchmark::State& state) {
    vector_moments like;
    like.mean.assign(width, 0.0F);
    like.deviation.assign(width, 1.0F);
    const random_vectors random(like, 1);
    const double seconds =
        run_iterations(state, [&] { benchmark::DoNotOptimize(random.some(0, inner_width)); });
    report_floats(state, seconds, width * inner_width);
}

}  // namespace

BENCHMARK(find_by_score)->UseRealTime();
BENCHMARK(find_by_norm)->UseRealTime();
BENCHMARK(find_by_spread)->UseRealTime();
BENCHMARK(find_and_project)->UseRealTime();
BENCHMARK(concept_of_one)->UseRealTime();
BENCHMARK(random_layer)->UseRealTime();

int main(int argc, char** argv) { return run_all(argc, argv); }
