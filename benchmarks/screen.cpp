// SPDX-License-Identifier: BSD-3-Clause

// Both ends of many vectors over the vocabulary of SmolLM2-135M: by the f32 scan, which vocabulary
// does up to 1023 vectors, and screened in integers of 8 bits and of 16. The same result, and
// FLOP/s of the same f32 work.
#include <xlens/lens/coded_ends.hpp>
#include <xlens/lens/coded_vocabulary.hpp>
#include <xlens/lens/screen.hpp>
#include <xlens/lens/vocabulary.hpp>

#include <cstddef>
#include <vector>

#include "support.hpp"

namespace {

using namespace xlens;
using namespace xlens::bench;

constexpr std::size_t best = 30;
constexpr std::size_t count = 256;

template <class Ends>
void run(benchmark::State& state, Ends ends) {
    const std::vector<float> x = random_floats(count * width);
    const double seconds = run_iterations(
        state, [&] { benchmark::DoNotOptimize(ends(rows<const float>(x.data(), count, width))); });
    report_flops(state, seconds, static_cast<double>(2 * count * vocabulary_size * width));
    state.counters["s/vector"] = seconds / static_cast<double>(count);
}

void scanned(benchmark::State& state) {
    const random_unembedding e;
    const vocabulary words(e.view());
    run(state, [&](rows<const float> x) { return words.ends(x, best); });
}

void screened(benchmark::State& state) {
    const random_unembedding e;
    const vocabulary_screen screen(e.rows());
    run(state, [&](rows<const float> x) { return screen.ends(x, best); });
}

void screened_in_16_bits(benchmark::State& state) {
    const random_unembedding e;
    const coded_vocabulary coded(e.rows());
    run(state, [&](rows<const float> x) { return coded_ends(coded, x, best); });
}

}  // namespace

BENCHMARK(scanned)->UseRealTime();
BENCHMARK(screened)->UseRealTime();
BENCHMARK(screened_in_16_bits)->UseRealTime();

int main(int argc, char** argv) { return run_all(argc, argv); }
