// SPDX-License-Identifier: BSD-3-Clause

// Both ends of many vectors over the vocabulary of SmolLM2-135M: by the f32 scan, which vocabulary
// does up to 1023 vectors, and screened in integers. The same result, and FLOP/s of the same f32
// work.
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

template <class Lens>
void run(benchmark::State& state, const Lens& lens) {
    const std::vector<float> x = random_floats(count * width);
    const double seconds = run_iterations(state, [&] {
        benchmark::DoNotOptimize(lens.ends({x.data(), count, width}, best));
    });
    report_flops(state, seconds, static_cast<double>(2 * count * vocabulary_size * width));
    state.counters["s/vector"] = seconds / static_cast<double>(count);
}

void scanned(benchmark::State& state) {
    const random_unembedding e;
    run(state, vocabulary(e.view()));
}

void screened(benchmark::State& state) {
    const random_unembedding e;
    run(state, vocabulary_screen(e.rows()));
}

}  // namespace

BENCHMARK(scanned)->UseRealTime();
BENCHMARK(screened)->UseRealTime();

int main(int argc, char** argv) { return run_all(argc, argv); }
