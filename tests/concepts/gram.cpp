// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE gram
#include <boost/test/unit_test.hpp>

#include <xlens/concepts/gram.hpp>
#include <xlens/core/parallel.hpp>

#include "support/rows_of_floats.hpp"
#include "support/stored_matrix.hpp"

#include <cmath>
#include <optional>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

constexpr auto no_progress = [](std::size_t, std::size_t) {};
using square = xt::xtensor<double, 2>;

/// Every e_w in double, as `direction` decodes it.
template <class Weights>
std::vector<std::vector<double>> tokens_of(const unembedding<Weights>& e) {
    std::vector<std::vector<double>> out;
    std::vector<float> row(e.width());
    for (std::size_t w = 0; w < e.vocabulary(); ++w) {
        e.direction(static_cast<token_id>(w), row);
        out.emplace_back(row.begin(), row.end());
    }
    return out;
}

template <class Weights>
square slow_gram(const unembedding<Weights>& e, bool centred) {
    auto tokens = tokens_of(e);
    const std::size_t width = e.width();
    for (std::size_t d = 0; d < width && centred; ++d) {
        double sum = 0.0;
        for (const auto& row : tokens) { sum += row[d]; }
        for (auto& row : tokens) { row[d] -= sum / static_cast<double>(tokens.size()); }
    }
    square out = xt::zeros<double>({width, width});
    for (const auto& row : tokens) {
        for (std::size_t i = 0; i < width; ++i) {
            for (std::size_t j = 0; j < width; ++j) { out(i, j) += row[i] * row[j]; }
        }
    }
    return out;
}

double largest_difference(const square& a, const square& b) {
    double most = 0.0;
    for (std::size_t i = 0; i < a.shape(0); ++i) {
        for (std::size_t j = 0; j < a.shape(1); ++j) {
            most = std::max(most, std::abs(a(i, j) - b(i, j)));
        }
    }
    return most;
}
square product_with_itself(const xt::xtensor<float, 2>& root) {
    square out = xt::zeros<double>({root.shape(1), root.shape(1)});
    for (std::size_t r = 0; r < root.shape(0); ++r) {
        for (std::size_t i = 0; i < root.shape(1); ++i) {
            for (std::size_t j = 0; j < root.shape(1); ++j) {
                out(i, j) += double{root(r, i)} * double{root(r, j)};
            }
        }
    }
    return out;
}
double trace_of(const square& a) {
    double sum = 0.0;
    for (std::size_t i = 0; i < a.shape(0); ++i) { sum += a(i, i); }
    return sum;
}

/// Checks G, and R, against plain loops; returns the rank of R.
template <class Weights>
std::size_t check(const unembedding<Weights>& e, bool centred) {
    const square slow = slow_gram(e, centred);
    std::size_t last = 0;
    const square fast = gram_matrix(e, centred, [&](std::size_t done, std::size_t total) {
        BOOST_TEST(total == e.vocabulary());
        BOOST_TEST(done > last);
        last = done;
    });
    BOOST_TEST(last == e.vocabulary());
    BOOST_TEST(largest_difference(fast, slow) < 1e-7 * trace_of(slow));
    const auto root = gram_root(fast);
    BOOST_TEST(largest_difference(product_with_itself(root), slow) < 1e-6 * trace_of(slow));
    return root.shape(0);
}

}  // namespace

BOOST_AUTO_TEST_CASE(is_that_of_plain_loops_in_any_format) {
    const stored_matrix<f32> dense(1300, 48, 1);
    BOOST_TEST(check(unembedding<any_matrix>{{{0, dense.view(), {}}}, {}, {}}, false) == 48U);
    BOOST_TEST(check(unembedding<any_matrix>{{{0, dense.view(), {}}}, {}, {}}, true) == 48U);
    const stored_matrix<q4_1> quantised(700, 64, 2);
    const any_matrix native(quantised.view(), precision::native);
    BOOST_TEST(check(unembedding<any_matrix>{{{0, native, {}}}, {}, {}}, false) == 64U);
    BOOST_TEST(check(unembedding<any_matrix>{{{0, native, {}}}, {}, {}}, true) == 64U);
    const stored_matrix<f16> transposed(24, 90, 3, 0, true);
    BOOST_TEST(check(unembedding<any_matrix>{{{0, transposed.view(), {}}}, {}, {}}, false) == 24U);
}

BOOST_AUTO_TEST_CASE(sections_have_projections) {
    const stored_matrix<f32> head(600, 32, 4);
    const stored_matrix<f32> tail(530, 8, 5);
    const stored_matrix<f32> narrow(8, 32, 6);
    const unembedding<any_matrix> e{
        {{0, head.view(), {}}, {600, tail.view(), narrow.view()}}, {}, {}};
    BOOST_TEST(check(e, false) == 32U);
    BOOST_TEST(check(e, true) == 32U);
}

BOOST_AUTO_TEST_CASE(what_all_tokens_share_does_not_drown_the_rest) {
    // Rows of length 1 beside a common part of length 100.
    const std::size_t tokens = 2000;
    std::vector<float> values = random_row(tokens * 16, 7, 0.25F);
    for (std::size_t w = 0; w < tokens; ++w) { values[w * 16 + 3] += 100.0F; }
    const unembedding<any_matrix> e{{{0, matrix_of(values, tokens, 16), {}}}, {}, {}};
    const square slow = slow_gram(e, true);
    const square fast = gram_matrix(e, true, no_progress);
    BOOST_TEST(largest_difference(fast, slow) < 1e-5 * trace_of(slow));
    const square not_centred = gram_matrix(e, false, no_progress);
    BOOST_TEST(largest_difference(not_centred, slow_gram(e, false)) < 1e-5 * trace_of(slow));
}

BOOST_AUTO_TEST_CASE(a_root_ends_at_the_rank) {
    // Rounding may add some, of no weight.
    const std::vector<float> five = random_row(5 * 20, 8);
    const unembedding<any_matrix> e{{{0, matrix_of(five, 5, 20), {}}}, {}, {}};
    const std::size_t rank = check(e, false);
    BOOST_TEST(rank >= 5U);
    BOOST_TEST(rank <= 8U);
    const std::size_t centred_rank = check(e, true);
    BOOST_TEST(centred_rank >= 4U);
    BOOST_TEST(centred_rank <= 8U);
    const std::vector<float> zero(60);
    const unembedding<any_matrix> nothing{{{0, matrix_of(zero, 3, 20), {}}}, {}, {}};
    BOOST_TEST(gram_root(gram_matrix(nothing, false, no_progress)).shape(0) == 0U);
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_a_bit) {
    const stored_matrix<q4_1> quantised(1100, 64, 9);
    const unembedding<any_matrix> e{{{0, quantised.view(), {}}}, {}, {}};
    const auto run = [&](std::size_t threads) {
        set_threads(threads);
        const auto root = gram_root(gram_matrix(e, false, no_progress));
        set_threads(2);
        return root;
    };
    BOOST_TEST((run(1) == run(3)));
}
