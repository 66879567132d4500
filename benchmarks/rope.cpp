// SPDX-License-Identifier: BSD-3-Clause

// Turning all query heads of one position of SmolLM2-135M, in cache.
#include <xlens/kernels/rope.hpp>

#include <cstddef>
#include <span>
#include <vector>

#include "support.hpp"

namespace {

using namespace xlens;
using namespace xlens::bench;

template <rope_style style>
void rope(benchmark::State& state) {
    std::vector<float> x = random_floats(heads * head_size);
    std::vector<float> cos(head_size / 2);
    std::vector<float> sin(head_size / 2);
    rope_table(head_size, 10000.0F).angles(7, cos, sin);
    const double seconds = run_iterations(state, [&] {
        for (std::size_t h = 0; h < heads; ++h) {
            kernels::rope(std::span(x).subspan(h * head_size, head_size), cos, sin, style);
        }
        benchmark::DoNotOptimize(x.data());
    });
    report_floats(state, seconds, 2 * x.size() + 2 * cos.size());
}

}  // namespace

BENCHMARK(rope<rope_style::halves>);
BENCHMARK(rope<rope_style::pairs>);

int main(int argc, char** argv) { return run_all(argc, argv); }
