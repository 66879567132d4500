// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cholesky
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/cholesky.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

using namespace xlens;

namespace {

using square = xt::xtensor<double, 2>;

/// BᵀB of random B (rank, n): symmetric, of that rank.
square product_of_random(std::size_t rank, std::size_t n) {
    const std::vector<float> b = test::random_row(rank * n, 5);
    square out = xt::zeros<double>({n, n});
    for (std::size_t r = 0; r < rank; ++r) {
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t j = 0; j < n; ++j) {
                out(i, j) += double{b[r * n + i]} * double{b[r * n + j]};
            }
        }
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_factor_worked_out_by_hand) {
    square a{{4, 12, -16}, {12, 37, -43}, {-16, -43, 98}};
    cholesky(a, "hand");
    const square expected{{2, 0, 0}, {6, 1, 0}, {-8, 5, 3}};
    for (std::size_t i = 0; i < 3; ++i) {
        for (std::size_t j = 0; j <= i; ++j) { BOOST_TEST(a(i, j) == expected(i, j)); }
    }
    std::vector<double> b{0, 6, 39};  // a·(1, 1, 1)
    solve_cholesky(a, b);
    for (const double x : b) { BOOST_TEST(std::abs(x - 1.0) < 1e-12); }
}

BOOST_AUTO_TEST_CASE(the_factor_times_itself_and_the_solution) {
    constexpr std::size_t n = 33;
    const square a = product_of_random(2 * n, n);
    square l = a;
    cholesky(l, "a");
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
            double sum = 0.0;
            for (std::size_t k = 0; k <= j; ++k) { sum += l(i, k) * l(j, k); }
            BOOST_TEST(std::abs(sum - a(i, j)) < 1e-11);
        }
    }
    std::vector<double> x(n);
    std::vector<double> b(n, 0.0);
    for (std::size_t i = 0; i < n; ++i) { x[i] = std::sin(static_cast<double>(i)); }
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j) { b[i] += a(i, j) * x[j]; }
    }
    solve_cholesky(l, b);
    for (std::size_t i = 0; i < n; ++i) { BOOST_TEST(std::abs(b[i] - x[i]) < 1e-9); }
}

BOOST_AUTO_TEST_CASE(what_is_not_positive_definite_is_refused) {
    square a{{1, 2}, {2, 1}};
    BOOST_TEST(test::error_message([&] { cholesky(a, "fit"); }) ==
               "fit: the sums of column 1 are not positive");
    square nan{{NAN}};
    BOOST_TEST(test::error_message([&] { cholesky(nan, "fit"); }) ==
               "fit: the sums of column 0 are not positive");
}

BOOST_AUTO_TEST_CASE(with_pivots_it_ends_at_the_rank) {
    for (const std::size_t rank : {1U, 7U, 20U}) {
        constexpr std::size_t n = 20;
        const square a = product_of_random(rank, n);
        const xt::xtensor<float, 2> root = pivoted_cholesky(a, 1e-9);
        BOOST_TEST(root.shape(0) == rank);
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t j = 0; j < n; ++j) {
                double sum = 0.0;
                for (std::size_t r = 0; r < root.shape(0); ++r) {
                    sum += double{root(r, i)} * double{root(r, j)};
                }
                BOOST_TEST(std::abs(sum - a(i, j)) < 1e-4);
            }
        }
    }
}
