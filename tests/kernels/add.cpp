// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE add
#include <boost/test/unit_test.hpp>

#include <xlens/kernels/add.hpp>
#include <xlens/reference/add.hpp>

#include "support/lengths.hpp"
#include "support/rows_of_floats.hpp"

#include <cmath>
#include <vector>

using namespace xlens;
using namespace xlens::test;

BOOST_AUTO_TEST_CASE(add_scaled_is_the_reference_at_every_length_and_alignment) {
    for (const std::size_t n : row_lengths()) {
        for (const float a : {1.0F, -0.37F}) {
            const auto x = random_row(n, 1);
            const auto y = random_row(n, 2);
            std::vector<float> expected = y;
            reference::add_scaled(a, x, expected);
            std::vector<float> found = y;
            kernels::add_scaled(a, x, found);
            for (std::size_t i = 0; i < n; ++i) {
                BOOST_REQUIRE_SMALL(found[i] - expected[i], 4e-7F * (1.0F + std::fabs(y[i])));
            }
            for (std::size_t shift = 0; shift < 16; ++shift) {
                shifted_row moved_x(x, shift);
                shifted_row moved_y(y, (shift * 7) % 16);
                kernels::add_scaled(a, moved_x.row(), moved_y.row());
                BOOST_REQUIRE(same_bits(moved_y.row(), found));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(one_times_x_is_plain_addition_to_the_bit) {
    const auto x = random_row(101, 3);
    auto y = random_row(101, 4);
    std::vector<float> expected(101);
    for (std::size_t i = 0; i < 101; ++i) { expected[i] = y[i] + x[i]; }
    kernels::add_scaled(1.0F, x, y);
    BOOST_TEST(same_bits(y, expected));
}
