// SPDX-License-Identifier: BSD-3-Clause

// Norms of one residual of SmolLM2-135M, in cache.
#include <xlens/kernels/norm.hpp>

#include <vector>

#include "support.hpp"

namespace {

using namespace xlens;
using namespace xlens::bench;

void rms_norm(benchmark::State& state) {
    const std::vector<float> x = random_floats(width);
    const std::vector<float> gain = x;
    std::vector<float> out(width);
    const double seconds = run_iterations(state, [&] {
        kernels::rms_norm(x, gain, 1e-5F, out);
        benchmark::DoNotOptimize(out.data());
    });
    report_floats(state, seconds, 3 * width);
}

void layer_norm(benchmark::State& state) {
    const std::vector<float> x = random_floats(width);
    const std::vector<float> gain = x;
    const std::vector<float> bias = x;
    std::vector<float> out(width);
    const double seconds = run_iterations(state, [&] {
        kernels::layer_norm(x, gain, bias, 1e-5F, out);
        benchmark::DoNotOptimize(out.data());
    });
    report_floats(state, seconds, 4 * width);
}

}  // namespace

BENCHMARK(rms_norm);
BENCHMARK(layer_norm);

int main(int argc, char** argv) { return run_all(argc, argv); }
