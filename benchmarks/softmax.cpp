// SPDX-License-Identifier: BSD-3-Clause

// Over the vocabulary of SmolLM2-135M, in cache, on one thread.
#include <xlens/kernels/softmax.hpp>

#include <vector>

#include "support.hpp"

namespace {

using namespace xlens;
using namespace xlens::bench;

void softmax(benchmark::State& state) {
    std::vector<float> x = random_floats(vocabulary_size);
    const double seconds = run_iterations(state, [&] {
        kernels::softmax(x);
        benchmark::DoNotOptimize(x.data());
    });
    report_floats(state, seconds, 2 * x.size());
}

void log_sum_exp(benchmark::State& state) {
    const std::vector<float> x = random_floats(vocabulary_size);
    const double seconds =
        run_iterations(state, [&] { benchmark::DoNotOptimize(kernels::log_sum_exp(x)); });
    report_floats(state, seconds, x.size());
}

}  // namespace

BENCHMARK(softmax);
BENCHMARK(log_sum_exp);

int main(int argc, char** argv) { return run_all(argc, argv); }
