// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"

#include <xlens/core/neuron.hpp>
#include <xlens/model/model.hpp>
#include <xlens/numerics/octaves.hpp>
#include <xlens/trace/find_examples.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace xlens::test {

inline bool near(double found, double expected) {
    return std::abs(found - expected) <= 1e-4 * std::max(std::abs(expected), 1e-2);
}

/// The hits of one sign beside those of tests/golden/make_examples.py.
inline void check_hits(const text_examples& run, const std::vector<neuron_example>& found,
                       const nlohmann::json& expected) {
    BOOST_TEST_REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        const nlohmann::json& e = expected[i];
        const neuron_example& f = found[i];
        BOOST_TEST(f.row / run.window == e["window"].get<std::size_t>());
        BOOST_TEST(f.row % run.window == e["position"].get<std::size_t>());
        const auto m = e["coefficient"].get<double>();
        BOOST_TEST(near(double{f.coefficient}, m), f.coefficient << " for " << m);
        const auto around = e["around"].get<std::vector<double>>();
        BOOST_TEST_REQUIRE(f.around.size() == around.size());
        for (std::size_t c = 0; c < around.size(); ++c) {
            // Beside a large coefficient a small one is exact to the large one's last digits.
            BOOST_TEST(std::abs(double{f.around[c]} - around[c]) <= 1e-4 * std::abs(m));
        }
    }
}

inline void check_histogram(const coefficient_counts& found, const nlohmann::json& expected) {
    const auto below = expected["negative"].get<std::vector<std::uint32_t>>();
    const auto above = expected["positive"].get<std::vector<std::uint32_t>>();
    BOOST_TEST(found.histogram[octaves::small] == expected["small"].get<std::uint32_t>());
    for (std::size_t i = 0; i < octaves::of_a_sign; ++i) {
        BOOST_TEST(found.histogram[octaves::small + 1 + i] == above[i], "octave " << i);
        BOOST_TEST(found.histogram[octaves::small - 1 - i] == below[i], "octave -" << i);
    }
}

/// Where ten neurons of a model fire, as transformers and hooks have it.
inline void check_examples(const xlens::model& model, const std::string& golden) {
    const nlohmann::json all = read_golden(golden_path("examples/" + golden));
    const auto number = [&](const char* key) { return all[key].get<std::size_t>(); };
    example_options options;
    options.keep = {number("top"), number("context"), number("apart"), number("skipped"),
                    all["threshold"].get<float>()};
    options.window = number("window");
    options.prefix = all["prefix"].get<std::vector<token_id>>();
    BOOST_TEST(options.prefix == model.prefix());
    std::vector<neuron> neurons;
    for (const auto& one : all["neurons"]) {
        neurons.push_back(parse_neuron(one["neuron"].get<std::string>(), "golden"));
    }
    const auto ids = all["ids"].get<std::vector<token_id>>();
    const text_examples run = find_examples(model, ids, neurons, options);
    for (const auto& one : all["neurons"]) {
        BOOST_TEST_CONTEXT("neuron " << one["neuron"]) {
            const std::size_t n =
                run.found.number_of(parse_neuron(one["neuron"].get<std::string>(), "golden"));
            const coefficient_counts counts = run.found.counts(n);
            BOOST_TEST(run.found.positions() == one["positions"].get<std::size_t>());
            BOOST_TEST(counts.over == one["over"].get<std::uint32_t>());
            BOOST_TEST(counts.positive == one["positive"].get<std::uint32_t>());
            check_histogram(counts, one["histogram"]);
            check_hits(run, run.found.largest(n), one["largest"]);
            check_hits(run, run.found.lowest(n), one["smallest"]);
        }
    }
}

}  // namespace xlens::test
