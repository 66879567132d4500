// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE rounded_matrix
#include <boost/test/unit_test.hpp>

#include <xlens/kernels/matmul.hpp>
#include <xlens/storage/rounded_matrix.hpp>

#include "support/rows_of_floats.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

xt::xtensor<float, 2> filled(std::size_t count, std::size_t columns, unsigned seed) {
    const std::vector<float> values = random_row(count * columns, seed);
    xt::xtensor<float, 2> out = xt::empty<float>({count, columns});
    std::copy(values.begin(), values.end(), out.begin());
    return out;
}

std::vector<float> row_of(const rounded_matrix& w, std::size_t r) {
    std::vector<float> out(w.cols());
    w.view().row(r, out);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_nearest_half_is_nearest) {
    for (std::uint16_t half = 0; half < 0x7C00U; ++half) {
        const float x = half_to_float(half);
        BOOST_REQUIRE(nearest_half(x) == half);
        if (half == 0x7BFFU) { continue; }
        const auto next = static_cast<std::uint16_t>(half + 1U);
        const float above = half_to_float(next);
        const float middle = 0.5F * (x + above);  // exact: binary32 has the bit
        BOOST_REQUIRE(nearest_half(middle) == (half % 2 == 0 ? half : next));
        BOOST_REQUIRE(nearest_half(std::nextafter(middle, 0.0F)) == half);
        BOOST_REQUIRE(nearest_half(std::nextafter(middle, 1e9F)) == next);
    }
    BOOST_TEST(nearest_half(1e9F) == 0x7BFFU);
}

BOOST_AUTO_TEST_CASE(elements_are_off_by_half_a_step) {
    auto w = filled(5, 96, 1);
    for (std::size_t c = 32; c < 64; ++c) { w(2, c) = 0.0F; }
    const rounded_matrix rounded{rows<const float>(w)};
    BOOST_TEST(rounded.rows() == 5U);
    BOOST_TEST(rounded.cols() == 96U);
    for (std::size_t r = 0; r < 5; ++r) {
        const std::vector<float> found = row_of(rounded, r);
        for (std::size_t c = 0; c < 96; ++c) {
            float largest = 0.0F;
            for (std::size_t k = 0; k < 32; ++k) {
                largest = std::max(largest, std::abs(w(r, c / 32 * 32 + k)));
            }
            // The scale itself is off by 2^-11 of it, 127 times that at the end of the range.
            BOOST_TEST(std::abs(found[c] - w(r, c)) <= largest * (0.5F / 127.0F + 0x1p-11F));
        }
    }
}

BOOST_AUTO_TEST_CASE(what_8_bits_hold_is_kept) {
    xt::xtensor<float, 2> w = xt::empty<float>({std::size_t{1}, std::size_t{32}});
    for (std::size_t c = 0; c < 32; ++c) {
        w(0, c) = 0.25F * (4.0F * static_cast<float>(c) - 62.0F);
    }
    w(0, 31) = -0.25F * 127.0F;
    const std::vector<float> found = row_of(rounded_matrix(rows<const float>(w)), 0);
    for (std::size_t c = 0; c < 32; ++c) { BOOST_TEST(found[c] == w(0, c)); }
}

BOOST_AUTO_TEST_CASE(rows_of_other_widths_stay_as_they_are) {
    const auto w = filled(3, 33, 2);
    const rounded_matrix rounded{rows<const float>(w)};
    for (std::size_t r = 0; r < 3; ++r) {
        const auto found = row_of(rounded, r);
        BOOST_TEST(std::ranges::equal(found, rows<const float>(w)[r]));
    }
}

BOOST_AUTO_TEST_CASE(a_product_is_near_that_of_floats) {
    const auto w = filled(50, 64, 3);
    const auto x = filled(3, 64, 4);
    const rounded_matrix original{rows<const float>(w)};
    const rounded_matrix copy = original;  // owns its bytes
    xt::xtensor<float, 2> y = xt::empty<float>({std::size_t{3}, std::size_t{50}});
    kernels::matmul(copy.view(), x, y);
    for (std::size_t t = 0; t < 3; ++t) {
        for (std::size_t r = 0; r < 50; ++r) {
            double sum = 0.0;
            for (std::size_t c = 0; c < 64; ++c) { sum += double{w(r, c)} * x(t, c); }
            BOOST_TEST(std::abs(y(t, r) - sum) < 0.15);
        }
    }
}
