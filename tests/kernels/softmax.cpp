// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE softmax
#include <boost/test/unit_test.hpp>

#include <xlens/kernels/log_sum.hpp>
#include <xlens/kernels/softmax.hpp>
#include <xlens/reference/softmax.hpp>

#include "support/lengths.hpp"
#include "support/rows_of_floats.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

using namespace xlens::test;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

void check_close_to_reference(const std::vector<float>& x) {
    auto got = x;
    auto expected = x;
    xlens::kernels::softmax(got);
    xlens::reference::softmax(expected);
    for (std::size_t i = 0; i < x.size(); ++i) {
        BOOST_REQUIRE_SMALL(got[i] - expected[i], 1e-12F + 1e-6F * expected[i]);
    }
    const double sum = xlens::reference::log_sum_exp(x);
    const auto got_sum = static_cast<double>(xlens::kernels::log_sum_exp(x));
    if (x.empty()) {
        BOOST_REQUIRE_EQUAL(got_sum, sum);
    } else {
        BOOST_REQUIRE_SMALL(got_sum - sum, 1e-6 * (1.0 + std::fabs(sum)));
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(is_the_reference_at_every_length) {
    for (const std::size_t n : row_lengths()) { check_close_to_reference(random_row(n, 1, 2.0F)); }
}

BOOST_AUTO_TEST_CASE(a_scale_is_that_of_all_values) {
    for (const std::size_t n : row_lengths()) {
        for (const float c : {0.125F, 0.3F, 7.0F}) {
            const auto x = random_row(n, 3, 2.0F);
            auto scaled = x;
            for (float& v : scaled) { v *= c; }
            auto got = x;
            xlens::kernels::softmax(got, c);
            auto expected = scaled;
            xlens::reference::softmax(expected);
            for (std::size_t i = 0; i < n; ++i) {
                BOOST_REQUIRE_SMALL(got[i] - expected[i], 1e-12F + 3e-6F * expected[i]);
            }
            if (c != 0.125F) { continue; }
            xlens::kernels::softmax(scaled);
            BOOST_REQUIRE(same_bits(got, scaled));  // a power of 2 rounds nothing
        }
    }
}

BOOST_AUTO_TEST_CASE(same_bits_at_every_alignment) {
    for (const std::size_t n : row_lengths()) {
        const auto x = random_row(n, 2, 4.0F);
        auto once = x;
        xlens::kernels::softmax(once);
        for (std::size_t shift = 0; shift < 16; ++shift) {
            shifted_row moved(x, shift);
            BOOST_REQUIRE_EQUAL(xlens::kernels::log_sum_exp(moved.row()),
                                xlens::kernels::log_sum_exp(x));
            xlens::kernels::softmax(moved.row());
            BOOST_REQUIRE(same_bits(moved.row(), once));
        }
    }
}

BOOST_AUTO_TEST_CASE(large_values_neither_overflow_nor_vanish) {
    for (const float offset : {-1e4F, -200.0F, 200.0F, 1e4F}) {
        auto x = random_row(100, 3, 2.0F);
        for (float& v : x) { v += offset; }
        check_close_to_reference(x);
    }
}

BOOST_AUTO_TEST_CASE(minus_infinity_is_no_weight) {
    for (const std::size_t n : row_lengths()) {
        auto x = random_row(n, 4);
        for (std::size_t i = 0; i < n; i += 2) { x[i] = -infinity; }
        if (n >= 2) { check_close_to_reference(x); }
        xlens::kernels::softmax(x);
        for (std::size_t i = 0; i < n; i += 2) { BOOST_REQUIRE_EQUAL(x[i], 0.0F); }
    }
}

BOOST_AUTO_TEST_CASE(only_minus_infinity_gives_zeros) {
    std::vector<float> x(21, -infinity);
    BOOST_TEST(xlens::kernels::log_sum_exp(x) == -infinity);
    xlens::kernels::softmax(x);
    for (const float v : x) { BOOST_TEST(v == 0.0F); }
}

BOOST_AUTO_TEST_CASE(nan_is_not_hidden) {
    for (std::size_t place = 0; place < 2 * xlens::lanes + 1; ++place) {
        auto x = random_row(2 * xlens::lanes + 1, 5);
        x[place] = not_a_number;
        BOOST_TEST(std::isnan(xlens::kernels::log_sum_exp(x)));
        xlens::kernels::softmax(x);
        for (const float v : x) { BOOST_TEST(std::isnan(v)); }
    }
    std::vector<float> x{not_a_number, -infinity};
    xlens::kernels::softmax(x);
    BOOST_TEST((std::isnan(x[0]) && std::isnan(x[1])));
}

BOOST_AUTO_TEST_CASE(plus_infinity_is_not_hidden) {
    std::vector<float> x{1.0F, infinity, 2.0F};
    BOOST_TEST(xlens::kernels::log_sum_exp(x) == infinity);
    xlens::kernels::softmax(x);
    for (const float v : x) { BOOST_TEST(std::isnan(v)); }
}

BOOST_AUTO_TEST_CASE(empty_row) {
    std::vector<float> x;
    xlens::kernels::softmax(x);
    BOOST_TEST(xlens::kernels::log_sum_exp(x) == -infinity);
}

BOOST_AUTO_TEST_CASE(a_sum_in_parts_is_the_sum_of_the_row) {
    for (const float deviation : {0.1F, 3.0F, 40.0F}) {
        const auto x = random_row(5003, 6, deviation);
        const double expected = xlens::reference::log_sum_exp(x);
        for (const std::size_t part : {1U, 7U, 192U, 5003U}) {
            xlens::kernels::log_sum front;
            xlens::kernels::log_sum back;
            for (std::size_t i = 0; i < x.size(); i += part) {
                const auto some = std::span(x).subspan(i, std::min(part, x.size() - i));
                (i < x.size() / 2 ? front : back).add(some);
            }
            front.add(back);
            BOOST_REQUIRE_SMALL(front.value() - expected, 1e-6 * (1.0 + std::fabs(expected)));
        }
    }
}

BOOST_AUTO_TEST_CASE(what_is_no_number_is_not_hidden_in_a_sum_of_parts) {
    const std::vector<float> numbers{1.0F, -300.0F};
    for (const float bad : {not_a_number, infinity}) {
        xlens::kernels::log_sum sum;
        sum.add(numbers);
        sum.add(std::vector<float>{0.0F, bad, 2.0F});
        sum.add(numbers);
        BOOST_TEST(!std::isfinite(sum.value()));
    }
    xlens::kernels::log_sum none;
    BOOST_TEST(none.value() == -infinity);
    none.add(std::vector<float>{-infinity, -infinity});
    BOOST_TEST(none.value() == -infinity);
    none.add(xlens::kernels::log_sum());
    none.add(numbers);
    BOOST_TEST(none.value() == xlens::reference::log_sum_exp(numbers),
               boost::test_tools::tolerance(1e-6));
}
