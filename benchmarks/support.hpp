// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <benchmark/benchmark.h>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/matrix.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "peak.hpp"

// What the benchmarks share: the shapes of SmolLM2-135M, weights, counters and main.

namespace xlens::bench {

inline constexpr std::size_t width = 576;
inline constexpr std::size_t inner_width = 1536;
inline constexpr std::size_t vocabulary_size = 49152;
inline constexpr std::size_t heads = 9;
inline constexpr std::size_t kv_heads = 3;
inline constexpr std::size_t head_size = 64;

inline std::vector<float> random_floats(std::size_t count) {
    std::minstd_rand generator(1);
    std::normal_distribution<float> normal;
    std::vector<float> out(count);
    for (float& x : out) { x = normal(generator); }
    return out;
}

/// The same weight matrix so often that it fills `memory` bytes, at least once: taken in turn, each
/// comes from memory, as the layers of a model do when a token is generated.
template <class Format>
class weights {
public:
    weights(std::size_t rows, std::size_t cols, std::size_t memory = 0)
        : m_rows(rows), m_cols(cols), m_bytes(bytes() * (1 + memory / bytes()), small_positive) {}

    [[nodiscard]] std::size_t bytes() const { return m_rows * matrix<Format>::row_bytes(m_cols); }
    matrix<Format> next() {
        m_at = (m_at + bytes()) % m_bytes.size();
        return {&m_bytes[m_at], m_rows, m_cols};
    }

private:
    /// Every byte: a small positive number in any format, so that no product overflows.
    static constexpr std::byte small_positive{0x2c};

    std::size_t m_rows;
    std::size_t m_cols;
    std::vector<std::byte> m_bytes;
    std::size_t m_at = 0;
};

/// A random unembedding (V, D) in f32.
class random_unembedding {
public:
    random_unembedding() : m_data(random_floats(vocabulary_size * width)) {
        const auto* bytes = reinterpret_cast<const std::byte*>(m_data.data());
        m_view.sections.push_back({0, matrix<f32>(bytes, vocabulary_size, width), std::nullopt});
    }
    random_unembedding(const random_unembedding&) = delete;
    random_unembedding& operator=(const random_unembedding&) = delete;

    [[nodiscard]] const unembedding<any_matrix>& view() const { return m_view; }
    [[nodiscard]] const any_matrix& rows() const { return m_view.sections.front().out; }
    [[nodiscard]] std::size_t bytes() const { return m_data.size() * sizeof(float); }

private:
    std::vector<float> m_data;
    unembedding<any_matrix> m_view;
};

/// Runs the benchmark's iterations; returns seconds an iteration.
template <class Body>
double run_iterations(benchmark::State& state, Body body) {
    const auto begin = std::chrono::steady_clock::now();
    for (auto _ : state) {
        body();
        benchmark::ClobberMemory();
    }
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    return spent.count() / static_cast<double>(state.iterations());
}

/// f32 operations of an iteration, against the multiply-adds of all threads. Integer products may
/// pass 1.
inline void report_flops(benchmark::State& state, double seconds, double flops) {
    state.counters["FLOP/s"] = flops / seconds;
    state.counters["of peak"] = flops / seconds / measured_peak().flops;
}
/// Bytes that an iteration must at least read and write, against memory's speed. What stays in a
/// cache may pass 1.
inline void report_bytes(benchmark::State& state, double seconds, std::size_t bytes) {
    const double rate = static_cast<double>(bytes) / seconds;
    state.counters["B/s"] = rate;
    state.counters["of peak"] = rate / measured_peak().bytes;
}
inline void report_floats(benchmark::State& state, double seconds, std::size_t floats) {
    report_bytes(state, seconds, floats * sizeof(float));
}

/// The main function of every benchmark: measures the peaks, prints them, runs.
inline int run_all(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) { return 1; }
    const auto add = [](const char* name, double value) {
        benchmark::AddCustomContext(name, std::to_string(value / 1e9));
    };
    add("peak, GFLOP/s, 1 thread", measured_peak().flops_one_thread);
    add("peak, GFLOP/s, all threads", measured_peak().flops);
    add("peak, GB/s, all threads", measured_peak().bytes);
    benchmark::AddCustomContext("threads", std::to_string(max_threads()));
    benchmark::AddCustomContext("instruction set", instruction_set());
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}

}  // namespace xlens::bench
