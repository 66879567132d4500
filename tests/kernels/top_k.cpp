// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE top_k
#include <boost/test/unit_test.hpp>

#include <xlens/kernels/top_k.hpp>
#include <xlens/reference/top_k.hpp>

#include "support/lengths.hpp"
#include "support/print_scored.hpp"
#include "support/rows_of_floats.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <vector>

using namespace xlens::test;
using xlens::scored;
using xlens::top_k;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Scores with many ties, since rounded, and a few NaN and infinities.
std::vector<float> awkward_scores(std::size_t n, std::uint32_t seed) {
    auto out = random_row(n, seed, 3.0F);
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = std::round(out[i]);
        if (i % 11 == 3) { out[i] = std::numeric_limits<float>::quiet_NaN(); }
        if (i % 13 == 5) { out[i] = -infinity; }
        if (i % 101 == 17) { out[i] = infinity; }
    }
    return out;
}

void check_same(const std::vector<scored>& got, const std::vector<scored>& expected) {
    BOOST_REQUIRE_EQUAL_COLLECTIONS(got.begin(), got.end(), expected.begin(), expected.end());
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_range_gives_the_reference_at_every_length_and_alignment) {
    for (const std::size_t n : row_lengths()) {
        const auto scores = awkward_scores(n, 1);
        for (const std::size_t k : {0U, 1U, 2U, 10U, 100U, 6000U}) {
            const auto expected = xlens::reference::top_k(scores, k);
            for (std::size_t shift = 0; shift < 16; ++shift) {
                shifted_row moved(scores, shift);
                top_k best(k);
                best.offer_range(0, moved.row());
                check_same(best.sorted(), expected);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(the_order_of_offers_does_not_matter) {
    std::mt19937 generator(2);
    const auto scores = awkward_scores(500, 3);
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (int round = 0; round < 20; ++round) {
        std::shuffle(order.begin(), order.end(), generator);
        top_k best(17);
        for (const std::size_t i : order) { best.offer(static_cast<int>(i), scores[i]); }
        check_same(best.sorted(), xlens::reference::top_k(scores, 17));
    }
}

BOOST_AUTO_TEST_CASE(ranges_in_any_order_keep_the_lower_id_of_a_tie) {
    const std::vector<float> scores(1000, 1.0F);
    top_k best(5);
    for (std::size_t first = 900;; first -= 100) {
        best.offer_range(static_cast<int>(first), std::span(scores).subspan(first, 100));
        if (first == 0) { break; }
    }
    check_same(best.sorted(), xlens::reference::top_k(scores, 5));
    BOOST_TEST(best.sorted().front().id == 0);
}

BOOST_AUTO_TEST_CASE(merging_shares_gives_the_whole) {
    const auto scores = awkward_scores(5003, 4);
    for (const std::size_t k : {0U, 1U, 7U, 300U}) {
        for (const std::size_t share : {1U, 40U, 1000U, 9999U}) {
            top_k whole(k);
            for (std::size_t first = 0; first < scores.size(); first += share) {
                const std::size_t count = std::min(share, scores.size() - first);
                top_k part(k);
                part.offer_range(static_cast<int>(first), std::span(scores).subspan(first, count));
                whole.merge(part);
            }
            check_same(whole.sorted(), xlens::reference::top_k(scores, k));
        }
    }
}

BOOST_AUTO_TEST_CASE(the_bar_never_passes_the_threshold) {
    const auto scores = awkward_scores(5003, 6);
    for (const std::size_t k : {1U, 2U, 31U, 400U}) {
        top_k best(k);
        for (std::size_t i = 0; i < scores.size(); ++i) {
            best.offer(static_cast<int>(i), scores[i]);
            const auto kept = best.sorted();
            BOOST_REQUIRE(kept.size() < k || best.bar() <= kept.back().score);
            BOOST_REQUIRE_LE(best.size(), k);
        }
    }
}

BOOST_AUTO_TEST_CASE(both_ends_of_a_range) {
    for (const std::size_t n : {0U, 1U, 15U, 16U, 1000U}) {
        const auto scores = awkward_scores(n, 8);
        std::vector<float> negated(n);
        std::ranges::transform(scores, negated.begin(), std::negate{});
        top_k high(7);
        top_k low(7);
        offer_ends(high, low, 0, scores);
        check_same(high.sorted(), xlens::reference::top_k(scores, 7));
        check_same(low.sorted(), xlens::reference::top_k(negated, 7));
    }
}

BOOST_AUTO_TEST_CASE(threshold_is_the_lowest_score_kept) {
    top_k best(2);
    BOOST_TEST(best.threshold() == -infinity);
    best.offer(0, 1.0F);
    BOOST_TEST(best.threshold() == -infinity);
    best.offer(1, 3.0F);
    BOOST_TEST(best.threshold() == 1.0F);
    best.offer(2, 2.0F);
    BOOST_TEST(best.threshold() == 2.0F);
    BOOST_TEST(best.bar() == 2.0F);
    BOOST_TEST(best.size() == 2U);
    BOOST_TEST(top_k(0).threshold() == infinity);
    BOOST_TEST(top_k(0).bar() == infinity);
}

BOOST_AUTO_TEST_CASE(a_huge_k_allocates_only_what_is_kept) {
    top_k best(std::numeric_limits<std::size_t>::max());
    best.offer(4, 1.0F);
    best.offer(3, 1.0F);
    check_same(best.sorted(), {{3, 1.0F}, {4, 1.0F}});
}
