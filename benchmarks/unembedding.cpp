// SPDX-License-Identifier: BSD-3-Clause

// Residuals against the vocabulary of SmolLM2-135M in f32: the best tokens of one, which reads the
// unembedding from memory, and both ends of 64.
#include <xlens/lens/vocabulary.hpp>

#include <cstddef>
#include <vector>

#include "support.hpp"

namespace {

using namespace xlens;
using namespace xlens::bench;

constexpr std::size_t best = 30;

void read(benchmark::State& state) {
    const random_unembedding e;
    const std::vector<float> x = random_floats(width);
    const vocabulary words(e.view());
    const double seconds = run_iterations(state, [&] {
        benchmark::DoNotOptimize(words.read({x.data(), 1, width}, best));
    });
    report_bytes(state, seconds, e.bytes());
}

void ends(benchmark::State& state) {
    constexpr std::size_t count = 64;
    const random_unembedding e;
    const std::vector<float> x = random_floats(count * width);
    const vocabulary words(e.view());
    const double seconds = run_iterations(state, [&] {
        benchmark::DoNotOptimize(words.ends({x.data(), count, width}, best));
    });
    report_flops(state, seconds, static_cast<double>(2 * count * vocabulary_size * width));
}

}  // namespace

BENCHMARK(read)->UseRealTime();
BENCHMARK(ends)->UseRealTime();

int main(int argc, char** argv) { return run_all(argc, argv); }
