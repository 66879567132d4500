// SPDX-License-Identifier: BSD-3-Clause

// Products with one FFN matrix of SmolLM2-135M, in every format whose blocks fit its rows:
// generating (T = 1) and reading a prompt (T = 64), along the rows and across them.
#include <benchmark/benchmark.h>
#include <xlens/kernels/matmul.hpp>
#include <xlens/storage/formats.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

constexpr std::size_t inner = 1536;
constexpr std::size_t width = 576;

/// Every byte of the weights: a small positive number in any format, so that no product overflows.
constexpr std::byte weight_byte{0x2c};

template <class Format>
using product = void (*)(const xlens::matrix<Format>&, xlens::rows<const float>,
                         xlens::rows<float>);

template <class Format>
void run(benchmark::State& state, product<Format> multiply, std::size_t in, std::size_t out) {
    const std::vector bytes(inner * xlens::matrix<Format>::row_bytes(width), weight_byte);
    const xlens::matrix<Format> w(bytes.data(), inner, width);
    const auto positions = static_cast<std::size_t>(state.range(0));
    const std::vector<float> x(positions * in, 1.0F);
    std::vector<float> y(positions * out);
    for (auto _ : state) {
        multiply(w, {x.data(), positions, in}, {y.data(), positions, out});
        benchmark::DoNotOptimize(y.data());
    }
    using benchmark::Counter;
    const auto flops = static_cast<double>(2 * positions * inner * width);
    state.counters["FLOP/s"] = Counter(flops, Counter::kIsIterationInvariantRate);
    const auto iterations = static_cast<std::int64_t>(state.iterations());
    state.SetBytesProcessed(iterations * static_cast<std::int64_t>(bytes.size()));
}

template <class Format>
void along_rows(benchmark::State& state) {
    run<Format>(state, xlens::kernels::matmul<Format>, width, inner);
}

template <class Format>
void across_rows(benchmark::State& state) {
    run<Format>(state, xlens::kernels::matmul_transposed<Format>, inner, width);
}

}  // namespace

#define XLENS_BENCHMARK(format)                                           \
    BENCHMARK(along_rows<xlens::format>)->Arg(1)->Arg(64)->UseRealTime(); \
    BENCHMARK(across_rows<xlens::format>)->Arg(1)->Arg(64)->UseRealTime()

XLENS_BENCHMARK(f32);
XLENS_BENCHMARK(f16);
XLENS_BENCHMARK(bf16);
XLENS_BENCHMARK(q8_0);
XLENS_BENCHMARK(q4_0);
XLENS_BENCHMARK(q4_1);
XLENS_BENCHMARK(q5_0);
XLENS_BENCHMARK(q5_1);

BENCHMARK_MAIN();
