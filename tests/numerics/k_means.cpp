// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE k_means
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/k_means.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

constexpr auto no_progress = [](std::size_t, std::size_t) {};
using vectors = std::vector<std::vector<double>>;

/// n unit vectors around `groups` random directions, i % groups being the group of i; `noise` 0
/// makes them equal.
xt::xtensor<float, 2> around(std::size_t n, std::size_t width, std::size_t groups, float noise,
                             std::uint32_t seed) {
    const std::vector<float> centres = random_row(groups * width, seed);
    const std::vector<float> offsets = random_row(n * width, seed + 1, noise);
    xt::xtensor<float, 2> out = xt::empty<float>({n, width});
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t d = 0; d < width; ++d) {
            out(i, d) = centres[i % groups * width + d] + offsets[i * width + d];
        }
    }
    return directions_of(std::move(out)).unit;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0.0;
    for (std::size_t d = 0; d < a.size(); ++d) { sum += a[d] * b[d]; }
    return sum;
}
vectors in_double(const xt::xtensor<float, 2>& from) {
    vectors out(from.shape(0), std::vector<double>(from.shape(1)));
    for (std::size_t i = 0; i < out.size(); ++i) {
        for (std::size_t d = 0; d < out[i].size(); ++d) { out[i][d] = double{from(i, d)}; }
    }
    return out;
}

struct slow_result {
    vector_groups labels;
    double inertia = 0.0;
};
/// Rounds of k-means in plain loops, until nothing changes.
slow_result slow_k_means(const vectors& x, vectors centroids) {
    slow_result out{vector_groups(x.size()), 0.0};
    for (bool changed = true; changed;) {
        changed = false;
        out.inertia = 0.0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            std::uint32_t best = 0;
            for (std::uint32_t c = 1; c < centroids.size(); ++c) {
                if (dot(x[i], centroids[c]) > dot(x[i], centroids[best])) { best = c; }
            }
            changed = changed || best != out.labels[i];
            out.labels[i] = best;
            out.inertia += 1.0 - dot(x[i], centroids[best]);
        }
        for (std::uint32_t c = 0; c < centroids.size(); ++c) {
            std::vector<double> sum(x[0].size());
            for (std::size_t i = 0; i < x.size(); ++i) {
                for (std::size_t d = 0; d < sum.size() && out.labels[i] == c; ++d) {
                    sum[d] += x[i][d];
                }
            }
            const double length = std::sqrt(dot(sum, sum));
            for (std::size_t d = 0; d < sum.size(); ++d) { centroids[c][d] = sum[d] / length; }
        }
    }
    return out;
}

k_means_options options(std::size_t k, std::uint64_t seed = 0) {
    return {.clusters = k, .seed = seed, .rounds = 1000, .tolerance = 0.0};
}

}  // namespace

BOOST_AUTO_TEST_CASE(rounds_end_where_plain_loops_end) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
        const auto x = around(700, 19, 30, 0.8F, 10);
        auto first = options(12, seed);
        first.rounds = 0;
        const auto begin = k_means(x, first, no_progress);
        BOOST_TEST(begin.rounds == 0U);
        const slow_result slow = slow_k_means(in_double(x), in_double(begin.centroids));
        const k_means_result fast = k_means(x, options(12, seed), no_progress);
        BOOST_TEST(fast.settled);
        BOOST_TEST(fast.inertia < begin.inertia);
        BOOST_TEST(adjusted_rand_index(fast.labels, slow.labels) == 1.0);
        BOOST_TEST(fast.inertia == slow.inertia, boost::test_tools::tolerance(1e-6));
        BOOST_TEST(sum_clusters(x, fast.labels, 12).inertia() == slow.inertia,
                   boost::test_tools::tolerance(1e-6));
    }
}

BOOST_AUTO_TEST_CASE(separate_groups_are_found) {
    const auto x = around(400, 24, 8, 0.05F, 3);
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        const auto found = k_means(x, options(8, seed), no_progress);
        vector_groups groups(400);
        for (std::uint32_t i = 0; i < 400; ++i) { groups[i] = i % 8; }
        BOOST_TEST(adjusted_rand_index(found.labels, groups) == 1.0);
    }
}

BOOST_AUTO_TEST_CASE(equal_vectors_share_a_cluster_and_give_no_more_than_they_are) {
    const auto x = around(50, 6, 5, 0.0F, 4);
    const auto found = k_means(x, options(20), no_progress);
    BOOST_TEST(found.centroids.shape(0) == 5U);
    BOOST_TEST(std::abs(found.inertia) < 1e-4);
    for (std::size_t i = 5; i < 50; ++i) { BOOST_TEST(found.labels[i] == found.labels[i - 5]); }
    BOOST_TEST((std::set<std::uint32_t>(found.labels.begin(), found.labels.end()).size()) == 5U);
}

BOOST_AUTO_TEST_CASE(one_cluster_is_the_direction_of_the_sum) {
    const auto x = around(33, 5, 3, 0.3F, 5);
    const auto found = k_means(x, options(1), no_progress);
    std::vector<double> sum(5);
    for (const auto& row : in_double(x)) {
        for (std::size_t d = 0; d < 5; ++d) { sum[d] += row[d]; }
    }
    for (std::size_t d = 0; d < 5; ++d) {
        BOOST_TEST(std::abs(double{found.centroids(0, d)} - sum[d] / std::sqrt(dot(sum, sum))) <
                   1e-6);
    }
}

BOOST_AUTO_TEST_CASE(as_many_clusters_as_vectors) {
    const auto x = around(17, 5, 17, 0.0F, 6);
    const auto found = k_means(x, options(17), no_progress);
    BOOST_TEST((std::set<std::uint32_t>(found.labels.begin(), found.labels.end()).size()) == 17U);
    BOOST_TEST(std::abs(found.inertia) < 1e-5);
}

BOOST_AUTO_TEST_CASE(opposite_vectors_leave_numbers) {
    const xt::xtensor<float, 2> x{{1.0F, 0.0F}, {-1.0F, 0.0F}};
    const auto found = k_means(x, options(1), no_progress);
    BOOST_TEST(found.inertia == 2.0);
    BOOST_TEST(std::abs(found.centroids(0, 0)) == 1.0F);
}

BOOST_AUTO_TEST_CASE(an_empty_cluster_begins_anew) {
    // Two of three centroids at one place: the second gets nothing, then the worst vector.
    const xt::xtensor<float, 2> x{{1.0F, 0.0F}, {0.8F, 0.6F}, {0.0F, 1.0F}, {0.6F, 0.8F}};
    detail::k_means_rounds rounds(x, {{1.0F, 0.0F}, {1.0F, 0.0F}, {0.6F, 0.8F}});
    for (int i = 0; i < 3; ++i) { rounds.round(); }
    const vector_groups& labels = rounds.result().labels;
    BOOST_TEST((std::set<std::uint32_t>(labels.begin(), labels.end()).size()) == 3U);
}

BOOST_AUTO_TEST_CASE(a_seed_decides_and_threads_do_not) {
    const auto x = around(1500, 16, 60, 0.7F, 7);
    const auto run = [&](std::uint64_t seed, std::size_t threads) {
        set_threads(threads);
        auto found = k_means(x, options(20, seed), no_progress);
        set_threads(2);
        return found;
    };
    const auto one = run(1, 1);
    for (const std::size_t threads : {2U, 3U, 7U}) {
        const auto more = run(1, threads);
        BOOST_TEST(more.labels == one.labels);
        BOOST_TEST((more.centroids == one.centroids));
        BOOST_TEST(more.inertia == one.inertia);
    }
    BOOST_TEST(run(2, 1).labels != one.labels);
}

BOOST_AUTO_TEST_CASE(progress_counts_up_to_what_there_is_at_most) {
    std::vector<std::size_t> seen;
    const auto x = around(80, 4, 9, 0.4F, 8);
    const auto found =
        k_means(x, {.clusters = 5, .rounds = 50}, [&](std::size_t done, std::size_t total) {
            BOOST_TEST(total == 55U);
            seen.push_back(done);
        });
    BOOST_TEST(std::ranges::is_sorted(seen));
    BOOST_TEST(seen.size() == 5 + found.rounds);
}

BOOST_AUTO_TEST_CASE(bad_input_is_refused) {
    auto x = around(10, 4, 3, 0.2F, 9);
    const auto message = [&](std::size_t k) {
        return error_message([&] { return k_means(x, options(k), no_progress); });
    };
    BOOST_TEST(message(0) == "clusters: expected 1 to 10, the number of vectors, got 0");
    BOOST_TEST(message(11) == "clusters: expected 1 to 10, the number of vectors, got 11");
    x(4, 2) = std::numeric_limits<float>::quiet_NaN();
    BOOST_TEST(message(2) ==
               "vector 4: expected length 1, got nan: only directions can be clustered");
    for (std::size_t d = 0; d < 4; ++d) { x(4, d) = 0.0F; }
    BOOST_TEST(message(2) ==
               "vector 4: expected length 1, got 0: only directions can be clustered");
    const auto none = directions_of(xt::zeros<float>({3, 4}));
    BOOST_TEST(error_message([&] { return k_means(none.unit, options(1), no_progress); }) ==
               "clusters: expected 1 to 0, the number of vectors, got 1");
}
