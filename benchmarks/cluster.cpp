// SPDX-License-Identifier: BSD-3-Clause

// Clusters of vectors of SmolLM2-135M's width: a round of k-means with as many vectors as it has
// neurons, its Gram matrix, and complete linkage of a sample.
#include <xlens/concepts/gram.hpp>
#include <xlens/numerics/complete_linkage.hpp>
#include <xlens/numerics/directions.hpp>
#include <xlens/numerics/k_means.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <vector>

#include "support.hpp"

namespace {

using namespace xlens;
using namespace xlens::bench;

constexpr std::size_t neurons = 30 * inner_width;

xt::xtensor<float, 2> random_directions(std::size_t count) {
    const std::vector<float> values = random_floats(count * width);
    const rows<const float> all(values.data(), count, width);
    return directions_of(xt::xtensor<float, 2>(all.tensor())).unit;
}

void k_means_round(benchmark::State& state) {
    const auto k = static_cast<std::size_t>(state.range(0));
    const xt::xtensor<float, 2> unit = random_directions(neurons);
    const xt::xtensor<float, 2> first = xt::view(unit, xt::range(std::size_t{0}, k), xt::all());
    xlens::detail::k_means_rounds rounds(unit, first);
    const double seconds = run_iterations(state, [&] { rounds.round(); });
    report_flops(state, seconds, static_cast<double>(2 * neurons * k * width));
}

void gram(benchmark::State& state) {
    const random_unembedding e;
    const double seconds = run_iterations(state, [&] {
        benchmark::DoNotOptimize(gram_matrix(e.view(), false, [](std::size_t, std::size_t) {}));
    });
    report_flops(state, seconds, static_cast<double>(2 * vocabulary_size * width * width));
}

void linkage(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    const xt::xtensor<float, 2> unit = random_directions(count);
    const double seconds = run_iterations(state, [&] {
        benchmark::DoNotOptimize(complete_linkage(unit, {}, [](std::size_t, std::size_t) {}));
    });
    state.counters["s/vector"] = seconds / static_cast<double>(count);
}

}  // namespace

BENCHMARK(k_means_round)->Arg(200)->Arg(1000)->UseRealTime();
BENCHMARK(gram)->UseRealTime();
BENCHMARK(linkage)->Arg(2000)->UseRealTime();

int main(int argc, char** argv) { return run_all(argc, argv); }
