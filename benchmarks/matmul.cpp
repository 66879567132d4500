// SPDX-License-Identifier: BSD-3-Clause

// Products with the second FFN matrix of SmolLM2-135M in every format, along its rows and across
// them: generating (T = 1, from memory) and reading a prompt (T = 64, 512). Then its unembedding.
#include <xlens/core/aligned.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/storage/formats.hpp>

#include <array>
#include <cstddef>
#include <vector>

#include "support.hpp"

namespace {

using namespace xlens;
using namespace xlens::bench;

constexpr std::size_t more_than_caches = std::size_t{128} << 20U;

/// `make(w, x, y)`: the product of `positions` inputs with w (rows, cols).
template <class Format, class Make>
void run(benchmark::State& state, std::size_t rows, std::size_t cols, std::size_t in,
         std::size_t out, Make make) {
    const auto positions = static_cast<std::size_t>(state.range(0));
    weights<Format> w(rows, cols, positions == 1 ? more_than_caches : 0);
    const aligned_vector<float> x(positions * in, 1.0F);
    std::vector<float> y(positions * out);
    const double seconds = run_iterations(state, [&] {
        const matrix<Format> m = w.next();
        kernels::run(make(m, xlens::rows<const float>(x.data(), positions, in),
                          xlens::rows<float>(y.data(), positions, out)));
        benchmark::DoNotOptimize(y.data());
    });
    if (positions == 1) {
        report_bytes(state, seconds, w.bytes());
    } else {
        report_flops(state, seconds, static_cast<double>(2 * positions * rows * cols));
    }
}

template <class Format, precision how = precision::f32>
void along_rows(benchmark::State& state) {
    run<Format>(state, width, inner_width, inner_width, width, [](const auto& w, auto x, auto y) {
        return kernels::make_product(any_matrix(w, how), x, y);
    });
}

template <class Format>
void across_rows(benchmark::State& state) {
    run<Format>(state, width, inner_width, width, inner_width, [](const auto& w, auto x, auto y) {
        return kernels::make_transposed_product(w, x, y);
    });
}

void vocabulary_rows(benchmark::State& state) {
    run<f32>(state, vocabulary_size, width, width, vocabulary_size,
             [](const auto& w, auto x, auto y) { return kernels::make_product(w, x, y); });
}

void sizes(benchmark::internal::Benchmark* b) { b->Arg(1)->Arg(64)->Arg(512)->UseRealTime(); }

}  // namespace

#define XLENS_BENCHMARK(format)                  \
    BENCHMARK(along_rows<format>)->Apply(sizes); \
    BENCHMARK(across_rows<format>)->Apply(sizes)

XLENS_BENCHMARK(f32);
XLENS_BENCHMARK(f16);
XLENS_BENCHMARK(bf16);
XLENS_BENCHMARK(q8_0);
XLENS_BENCHMARK(q4_0);
XLENS_BENCHMARK(q4_1);
XLENS_BENCHMARK(q5_0);
XLENS_BENCHMARK(q5_1);
XLENS_BENCHMARK(q4_k);
XLENS_BENCHMARK(q5_k);
XLENS_BENCHMARK(q6_k);
XLENS_BENCHMARK(q3_k);
XLENS_BENCHMARK(iq4_xs);
XLENS_BENCHMARK(mxfp4);
XLENS_BENCHMARK(iq3_s);  // of those that decode rows first

BENCHMARK(along_rows<q8_0, precision::native>)->Apply(sizes);
BENCHMARK(along_rows<q4_0, precision::native>)->Apply(sizes);
BENCHMARK(along_rows<q4_1, precision::native>)->Apply(sizes);
BENCHMARK(along_rows<q3_k, precision::native>)->Apply(sizes);
BENCHMARK(along_rows<q4_k, precision::native>)->Apply(sizes);
BENCHMARK(along_rows<q5_k, precision::native>)->Apply(sizes);
BENCHMARK(along_rows<q6_k, precision::native>)->Apply(sizes);
BENCHMARK(along_rows<iq4_nl, precision::native>)->Apply(sizes);
BENCHMARK(along_rows<iq4_xs, precision::native>)->Apply(sizes);
BENCHMARK(along_rows<mxfp4, precision::native>)->Apply(sizes);
BENCHMARK(vocabulary_rows)->Arg(512)->UseRealTime();

int main(int argc, char** argv) { return run_all(argc, argv); }
