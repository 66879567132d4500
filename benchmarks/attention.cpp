// SPDX-License-Identifier: BSD-3-Clause

// Attention of one layer of SmolLM2-135M: a prompt, and one token after a context, over keys and
// values in f32, f16 and q8_0.
#include <xlens/core/aligned.hpp>
#include <xlens/kernels/attention.hpp>
#include <xlens/storage/cache_rows.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "support.hpp"

namespace {

using namespace xlens;
using namespace xlens::bench;

constexpr std::size_t kv_width = kv_heads * head_size;

/// The format of a benchmark's second argument.
format_id format_of(const benchmark::State& state) {
    return static_cast<format_id>(state.range(1));
}

/// Seconds of the last `queries` of `positions` positions.
double run(benchmark::State& state, std::size_t queries, std::size_t positions) {
    const kernels::attention_shape shape{heads, kv_heads, head_size, 0, 0.125F};
    const std::vector<float> q = random_floats(queries * heads * head_size);
    const std::vector<float> x = random_floats(positions * kv_width);
    const row_format& format = row_format_of(format_of(state));
    const std::size_t row = format.size(kv_width);
    aligned_vector<std::byte> k(positions * row);
    to_cache(format_of(state), "key", 0, {x.data(), positions, kv_width}, k.data());
    const aligned_vector<std::byte> v = k;
    std::vector<float> out(q.size());
    state.SetLabel(std::string(format_name(format_of(state))));
    return run_iterations(state, [&] {
        kernels::attention(shape, {q.data(), queries, heads * head_size},
                           {format, k.data(), positions, kv_width, row},
                           {format, v.data(), positions, kv_width, row}, positions - queries,
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
    report_bytes(state, seconds, 2 * context * row_format_of(format_of(state)).size(kv_width));
}

}  // namespace

void contexts(benchmark::internal::Benchmark* of, const std::vector<std::int64_t>& positions) {
    const auto number = [](format_id format) { return static_cast<std::int64_t>(format); };
    of->ArgsProduct(
        {positions, {number(format_id::f32), number(format_id::f16), number(format_id::q8_0)}});
}

BENCHMARK(prefill)->Apply([](auto* b) { contexts(b, {512, 4096}); }) -> UseRealTime();
BENCHMARK(decode)->Apply([](auto* b) { contexts(b, {64, 512, 4096}); }) -> UseRealTime();

int main(int argc, char** argv) { return run_all(argc, argv); }
