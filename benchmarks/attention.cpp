// SPDX-License-Identifier: BSD-3-Clause

// Attention of one layer of SmolLM2-135M: a prompt, and one token after a context.
#include <xlens/kernels/attention.hpp>

#include <cstddef>
#include <vector>

#include "support.hpp"

namespace {

using namespace xlens;
using namespace xlens::bench;

/// Seconds of the last `queries` of `positions` positions.
double run(benchmark::State& state, std::size_t queries, std::size_t positions) {
    const kernels::attention_shape shape{heads, kv_heads, head_size, 0, 0.125F};
    const std::vector<float> q = random_floats(queries * heads * head_size);
    const std::vector<float> k = random_floats(positions * kv_heads * head_size);
    const std::vector<float> v = k;
    std::vector<float> out(q.size());
    return run_iterations(state, [&] {
        kernels::attention(shape, {q.data(), queries, heads * head_size},
                           {k.data(), positions, kv_heads * head_size},
                           {v.data(), positions, kv_heads * head_size}, positions - queries,
                           {out.data(), queries, heads * head_size});
        benchmark::DoNotOptimize(out.data());
    });
}

void prefill(benchmark::State& state) {
    const auto positions = static_cast<std::size_t>(state.range(0));
    const double seconds = run(state, positions, positions);
    // Two products of 2·head_size with each of the 1 + 2 + ... + T positions that are seen.
    report_flops(state, seconds,
                 static_cast<double>(2 * heads * head_size * positions * (positions + 1)));
}

void decode(benchmark::State& state) {
    const auto context = static_cast<std::size_t>(state.range(0));
    const double seconds = run(state, 1, context);
    report_floats(state, seconds, 2 * context * kv_heads * head_size);
}

}  // namespace

BENCHMARK(prefill)->Arg(512)->UseRealTime();
BENCHMARK(decode)->Arg(64)->Arg(512)->Arg(4096)->UseRealTime();

int main(int argc, char** argv) { return run_all(argc, argv); }
