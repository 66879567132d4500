// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE early_exit_cluster
#include <boost/test/unit_test.hpp>

#include <xlens/early_exit/cluster.hpp>

#include "support/golden_bytes.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

using namespace xlens;
using namespace xlens::early_exit;

namespace {

/// A layer, and the ten ids that follow it in the golden (tests/golden/make_exit_cluster.py).
struct entry {
    std::size_t layer = 0;
    cluster_ids ids{};
};
entry read_entry(const std::vector<std::byte>& bytes, std::size_t at) {
    entry out;
    out.layer = std::to_integer<std::size_t>(bytes[at]);
    for (std::size_t i = 0; i < 10; ++i) {
        out.ids[i] = std::to_integer<std::uint16_t>(bytes[at + 1 + i]);
    }
    return out;
}

cluster_match empty_rule(std::size_t layers, std::size_t neurons) {
    std::vector<std::uint16_t> ids(neurons);
    for (std::size_t i = 0; i < neurons; ++i) { ids[i] = static_cast<std::uint16_t>(100 + i); }
    return {std::vector(layers, ids), std::vector(layers, std::vector<float>(neurons, 1.0F))};
}

}  // namespace

BOOST_AUTO_TEST_CASE(decisions_are_those_of_an_independent_implementation) {
    constexpr std::size_t examples = 2000;
    constexpr std::size_t items = 5000;
    const std::vector<std::byte> bytes = test::golden_bytes("early_exit/cluster.bin");
    BOOST_REQUIRE(bytes.size() == 2 + examples * 11 + items * 12);
    cluster_match rule = empty_rule(std::to_integer<std::size_t>(bytes[0]), 1);
    for (std::size_t n = 0; n < examples; ++n) {
        const entry e = read_entry(bytes, 2 + 11 * n);
        rule.add(e.layer, e.ids);
    }
    std::size_t different = 0;
    std::size_t leave = 0;
    for (std::size_t n = 0; n < items; ++n) {
        const std::size_t at = 2 + 11 * examples + 12 * n;
        const entry e = read_entry(bytes, at);
        const bool expected = bytes[at + 11] != std::byte{0};
        different += rule.decide(e.layer, e.ids) != expected ? 1U : 0U;
        leave += expected ? 1U : 0U;
    }
    BOOST_TEST(different == 0U);
    BOOST_TEST(leave > items / 5);
    BOOST_TEST(leave < items / 2);
}

// The features of SmolLM2 on a text, and what numpy decides (tests/golden/make_exit_features.py).
BOOST_AUTO_TEST_CASE(decisions_on_real_features_are_those_of_an_independent_implementation) {
    const std::vector<std::byte> bytes = test::golden_bytes("early_exit/smollm2.bin");
    const auto byte = [&](std::size_t i) { return std::to_integer<std::size_t>(bytes[i]); };
    const std::size_t layers = byte(0) + 256 * byte(1);
    const std::size_t inner = byte(2) + 256 * byte(3);
    const std::size_t tokens = byte(4) + 256 * byte(5);
    const std::size_t saturates = 6 + layers * inner;
    const std::size_t lists = saturates + tokens;
    const std::size_t decisions = lists + tokens * layers * 10;
    BOOST_REQUIRE(bytes.size() == decisions + tokens / 2 * (layers - 1));
    const auto ids_of = [&](std::size_t t, std::size_t l) {
        cluster_ids out{};
        for (std::size_t i = 0; i < 10; ++i) {
            out[i] = static_cast<std::uint16_t>(byte(lists + (t * layers + l) * 10 + i));
        }
        return out;
    };
    cluster_match rule = empty_rule(layers, 1);
    for (std::size_t t = 0; t < tokens; t += 2) {
        rule.add(byte(saturates + t), ids_of(t, byte(saturates + t)));
    }
    std::size_t asked = 0;
    std::size_t different = 0;
    std::size_t leave = 0;
    for (std::size_t t = 1; t < tokens; t += 2) {
        for (std::size_t l = 0; l + 1 < layers; ++l) {
            const bool expected = byte(decisions + asked) != 0;
            different += rule.decide(l, ids_of(t, l)) != expected ? 1U : 0U;
            leave += expected ? 1U : 0U;
            ++asked;
        }
    }
    BOOST_TEST(asked >= 5000U);
    BOOST_TEST(different == 0U);
    BOOST_TEST(leave > 0U);
}

BOOST_AUTO_TEST_CASE(equal_positions_count_and_not_equal_sets) {
    const cluster_ids a{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    const cluster_ids b{1, 0, 2, 3, 4, 5, 6, 7, 9, 8};
    BOOST_TEST(same_positions(a, a) == 10U);
    BOOST_TEST(same_positions(a, b) == 6U);
}

BOOST_AUTO_TEST_CASE(both_the_largest_and_the_mean_must_win) {
    const cluster_ids seen{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    cluster_ids other{};
    other.fill(50);
    cluster_match rule = empty_rule(3, 1);
    rule.add(0, seen);
    rule.add(0, other);
    BOOST_TEST(rule.decide(0, seen));  // nothing later
    cluster_ids half = other;
    std::copy_n(seen.begin(), 5, half.begin());
    rule.add(2, half);  // largest 5 < 10, mean 5 = 5: no win
    BOOST_TEST(!rule.decide(0, seen));
    rule.add(2, other);  // mean 2.5
    BOOST_TEST(rule.decide(0, seen));
    rule.add(2, seen);  // largest 10 = 10
    BOOST_TEST(!rule.decide(0, seen));
    BOOST_TEST(!rule.decide(1, seen));  // no examples of its own
}

BOOST_AUTO_TEST_CASE(dominance_orders_the_list) {
    std::vector<std::uint16_t> ids(12);
    std::vector<float> norms(12, 1.0F);
    std::vector<float> m(12);
    for (std::size_t i = 0; i < 12; ++i) {
        ids[i] = static_cast<std::uint16_t>(i);
        m[i] = static_cast<float>(i) * (i % 2 == 0 ? 1.0F : -1.0F);
    }
    norms[3] = 100.0F;
    const cluster_match rule({ids}, {norms});
    const cluster_ids found = rule.dominant(0, m);
    const cluster_ids expected{3, 11, 10, 9, 8, 7, 6, 5, 4, 2};
    BOOST_TEST(found == expected, boost::test_tools::per_element());
}

// As everywhere (nn/dominance.hpp): what is no number dominates nothing.
BOOST_AUTO_TEST_CASE(a_coefficient_that_is_no_number_comes_last) {
    const cluster_match rule = empty_rule(1, 12);
    std::vector<float> m{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    m[3] = m[7] = std::numeric_limits<float>::quiet_NaN();
    const cluster_ids expected{111, 110, 109, 108, 106, 105, 104, 102, 101, 100};
    BOOST_TEST(rule.dominant(0, m) == expected, boost::test_tools::per_element());
    m[0] = std::numeric_limits<float>::quiet_NaN();
    BOOST_TEST(rule.dominant(0, m)[9] == 100U);  // none is left but these: the lowest of them
}
