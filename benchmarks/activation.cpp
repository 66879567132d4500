// SPDX-License-Identifier: BSD-3-Clause

// The coefficients of one FFN layer of SmolLM2-135M from its two products, in cache.
#include <xlens/kernels/activation.hpp>

#include <vector>

#include "support.hpp"

namespace {

using namespace xlens;
using namespace xlens::bench;

void gated_silu(benchmark::State& state) {
    // In place: 2·silu shrinks -1 so slowly that no denormal number comes of it.
    std::vector<float> gate(inner_width, -1.0F);
    const std::vector<float> up(inner_width, 2.0F);
    const double seconds = run_iterations(state, [&] {
        kernels::activate_gated<silu>(gate, up);
        benchmark::DoNotOptimize(gate.data());
    });
    report_floats(state, seconds, 3 * inner_width);
}

}  // namespace

BENCHMARK(gated_silu);

int main(int argc, char** argv) { return run_all(argc, argv); }
