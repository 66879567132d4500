// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE complete_linkage
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/complete_linkage.hpp>

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

xt::xtensor<float, 2> unit_vectors(std::size_t n, std::size_t width, std::uint32_t seed) {
    const std::vector<float> values = random_row(n * width, seed);
    xt::xtensor<float, 2> out = xt::empty<float>({n, width});
    std::copy(values.begin(), values.end(), out.begin());
    return directions_of(std::move(out)).unit;
}

double cosine_distance(const xt::xtensor<float, 2>& x, std::size_t i, std::size_t j) {
    double dot = 0.0;
    double a = 0.0;
    double b = 0.0;
    for (std::size_t d = 0; d < x.shape(1); ++d) {
        dot += double{x(i, d)} * double{x(j, d)};
        a += double{x(i, d)} * double{x(i, d)};
        b += double{x(j, d)} * double{x(j, d)};
    }
    return 1.0 - dot / std::sqrt(a * b);
}

struct slow_result {
    std::vector<double> heights;
    std::vector<vector_groups> cuts;  // cuts[k]: k clusters
};
/// By the definition: of all pairs of clusters the one whose farthest members are nearest. O(n^4).
slow_result slow_linkage(const xt::xtensor<float, 2>& x) {
    const std::size_t n = x.shape(0);
    std::vector<std::vector<std::size_t>> clusters(n);
    for (std::size_t i = 0; i < n; ++i) { clusters[i] = {i}; }
    slow_result out{{}, std::vector<vector_groups>(n + 1)};
    const auto farthest = [&](const auto& a, const auto& b) {
        double most = 0.0;
        for (const std::size_t i : a) {
            for (const std::size_t j : b) { most = std::max(most, cosine_distance(x, i, j)); }
        }
        return most;
    };
    while (true) {
        vector_groups labels(n);
        for (std::uint32_t c = 0; c < clusters.size(); ++c) {
            for (const std::size_t i : clusters[c]) { labels[i] = c; }
        }
        out.cuts[clusters.size()] = labels;
        if (clusters.size() == 1) { return out; }
        std::size_t first = 0;
        std::size_t second = 1;
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t a = 0; a < clusters.size(); ++a) {
            for (std::size_t b = a + 1; b < clusters.size(); ++b) {
                const double distance = farthest(clusters[a], clusters[b]);
                if (distance < least) {
                    least = distance;
                    first = a;
                    second = b;
                }
            }
        }
        out.heights.push_back(least);
        clusters[first].insert(clusters[first].end(), clusters[second].begin(),
                               clusters[second].end());
        clusters.erase(clusters.begin() + static_cast<std::ptrdiff_t>(second));
    }
}

void check_heights(const dendrogram& tree, const std::vector<double>& expected, double tolerance) {
    BOOST_REQUIRE(tree.merges().size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        BOOST_TEST(std::abs(tree.merges()[i].height - expected[i]) < tolerance);
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_cut_is_that_of_the_definition) {
    for (const std::size_t width : {2U, 5U, 33U}) {
        for (std::uint32_t seed = 0; seed < 3; ++seed) {
            const auto x = unit_vectors(45, width, seed);
            const slow_result slow = slow_linkage(x);
            const dendrogram tree = complete_linkage(x, {}, no_progress);
            check_heights(tree, slow.heights, 1e-12);
            for (std::size_t k = 1; k <= 45; ++k) {
                const vector_groups labels = tree.cut(k);
                BOOST_TEST(adjusted_rand_index(labels, slow.cuts[k]) == 1.0);
                BOOST_TEST((std::set<std::uint32_t>(labels.begin(), labels.end()).size()) == k);
            }
            check_heights(complete_linkage<float>(x, {}, no_progress), slow.heights, 1e-6);
        }
    }
}

BOOST_AUTO_TEST_CASE(equal_distances_and_equal_vectors_end) {
    // Twice each of four vectors at right angles: four merges at 0, three at 1.
    xt::xtensor<float, 2> x = xt::zeros<float>({8, 4});
    for (std::size_t i = 0; i < 8; ++i) { x(i, i % 4) = 1.0F; }
    const dendrogram tree = complete_linkage(x, {}, no_progress);
    check_heights(tree, {0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0}, 1e-12);
    const vector_groups labels = tree.cut(4);
    BOOST_TEST(labels == (vector_groups{0, 1, 2, 3, 0, 1, 2, 3}), boost::test_tools::per_element());
    for (std::size_t k = 1; k <= 8; ++k) {
        const vector_groups cut = tree.cut(k);
        BOOST_TEST((std::set<std::uint32_t>(cut.begin(), cut.end()).size()) == k);
    }
    const xt::xtensor<float, 2> same = xt::ones<float>({9, 1});
    const dendrogram all_equal = complete_linkage(same, {}, no_progress);
    check_heights(all_equal, std::vector<double>(8, 0.0), 1e-12);
}

BOOST_AUTO_TEST_CASE(one_vector_and_two) {
    const auto x = unit_vectors(2, 3, 1);
    const dendrogram one = complete_linkage(rows<const float>(x).subrows(0, 1), {}, no_progress);
    BOOST_TEST(one.merges().empty());
    BOOST_TEST(one.cut(1) == (vector_groups{0}), boost::test_tools::per_element());
    const dendrogram two = complete_linkage(x, {}, no_progress);
    BOOST_TEST(two.cut(2) == (vector_groups{0, 1}), boost::test_tools::per_element());
    BOOST_TEST(two.cut(1) == (vector_groups{0, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_a_bit) {
    const auto x = unit_vectors(150, 40, 2);
    const auto heights = [&](std::size_t threads) {
        set_threads(threads);
        std::vector<double> out;
        const auto tree = complete_linkage(x, {}, no_progress);
        for (const linkage_merge& m : tree.merges()) { out.push_back(m.height); }
        set_threads(2);
        return out;
    };
    BOOST_TEST(heights(1) == heights(3), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(memory_has_a_limit_that_may_be_raised) {
    const auto x = unit_vectors(100, 3, 3);
    const std::size_t bytes = 100 * 99 / 2 * sizeof(double);
    BOOST_TEST(error_message([&] { complete_linkage(x, {bytes - 1}, no_progress); }) ==
               "complete linkage: 100 vectors need 0 MiB of distances, the limit is 0 MiB; take a "
               "sample of them or raise the limit");
    BOOST_TEST(complete_linkage(x, {bytes}, no_progress).count() == 100U);
    BOOST_TEST(complete_linkage<float>(x, {bytes / 2}, no_progress).count() == 100U);
    BOOST_TEST(error_message([] { check_linkage_memory<double>(46'080, {}); }) ==
               "complete linkage: 46080 vectors need 8100 MiB of distances, the limit is 1024 MiB; "
               "take a sample of them or raise the limit");
    // Not even the number of bytes fits a number.
    BOOST_TEST(error_message([] {
                   check_linkage_memory<double>(std::size_t{1} << 40U,
                                                {std::numeric_limits<std::size_t>::max()});
               }).starts_with("complete linkage: 1099511627776 vectors need "));
}

BOOST_AUTO_TEST_CASE(bad_input_is_refused) {
    auto x = unit_vectors(6, 3, 4);
    const dendrogram tree = complete_linkage(x, {}, no_progress);
    BOOST_TEST(error_message([&] { return tree.cut(0); }) ==
               "clusters: expected 1 to 6, the number of vectors, got 0");
    BOOST_TEST(error_message([&] { return tree.cut(7); }) ==
               "clusters: expected 1 to 6, the number of vectors, got 7");
    x(3, 0) = std::numeric_limits<float>::quiet_NaN();
    BOOST_TEST(error_message([&] { complete_linkage(x, {}, no_progress); }) ==
               "vector 3: expected length 1, got nan: only directions can be clustered");
}
