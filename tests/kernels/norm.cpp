// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE norm
#include <boost/test/unit_test.hpp>

#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/norm.hpp>
#include <xlens/reference/norm.hpp>

#include "support/lengths.hpp"
#include "support/rows_of_floats.hpp"

#include <cmath>
#include <functional>
#include <span>
#include <vector>

using namespace xlens::test;

namespace {

constexpr float epsilon = 1e-5F;

using norm_function = std::function<void(std::span<const float> x, std::span<const float> gain,
                                         std::span<const float> bias, std::span<float> out)>;

/// Every length and alignment: close to the reference, the same bits wherever the rows lie and when
/// the output is the input.
void check_norm(const norm_function& fast, const norm_function& reference) {
    for (const std::size_t n : row_lengths()) {
        const auto x = random_row(n, 1, 3.0F);
        const auto gain = random_row(n, 2);
        const auto bias = random_row(n, 3);
        std::vector<float> expected(n);
        std::vector<float> got(n);
        reference(x, gain, bias, expected);
        fast(x, gain, bias, got);
        for (std::size_t i = 0; i < n; ++i) {
            BOOST_REQUIRE_SMALL(got[i] - expected[i], 2e-6F * (1.0F + std::fabs(expected[i])));
        }
        for (std::size_t shift = 0; shift < 16; ++shift) {
            shifted_row moved_x(x, shift);
            shifted_row moved_gain(gain, (shift * 5) % 16);
            shifted_row moved_bias(bias, (shift * 3) % 16);
            fast(moved_x.row(), moved_gain.row(), moved_bias.row(), moved_x.row());
            BOOST_REQUIRE_MESSAGE(same_bits(moved_x.row(), got), "n " << n << " shift " << shift);
        }
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(rms_norm_is_the_reference_at_every_length_and_alignment) {
    check_norm(
        [](auto x, auto gain, auto, auto out) { xlens::kernels::rms_norm(x, gain, epsilon, out); },
        [](auto x, auto gain, auto, auto out) {
            xlens::reference::rms_norm(x, gain, epsilon, out);
        });
}

BOOST_AUTO_TEST_CASE(layer_norm_is_the_reference_at_every_length_and_alignment) {
    check_norm([](auto x, auto gain, auto bias,
                  auto out) { xlens::kernels::layer_norm(x, gain, bias, epsilon, out); },
               [](auto x, auto gain, auto bias, auto out) {
                   xlens::reference::layer_norm(x, gain, bias, epsilon, out);
               });
}

BOOST_AUTO_TEST_CASE(layer_norm_without_a_bias_is_the_reference) {
    check_norm([](auto x, auto gain, auto,
                  auto out) { xlens::kernels::layer_norm(x, gain, {}, epsilon, out); },
               [](auto x, auto gain, auto, auto out) {
                   xlens::reference::layer_norm(x, gain, {}, epsilon, out);
               });
}

// By hand: mean square of (3, 4) is 12.5; mean 3.5, deviation 0.5.
BOOST_AUTO_TEST_CASE(two_elements_by_hand) {
    const std::vector<float> x{3.0F, 4.0F};
    const std::vector<float> gain{1.0F, 2.0F};
    const std::vector<float> bias{0.0F, 10.0F};
    std::vector<float> out(2);
    xlens::kernels::rms_norm(x, gain, 0.0F, out);
    BOOST_TEST(out[0] == 0.84852814F, boost::test_tools::tolerance(1e-6F));
    BOOST_TEST(out[1] == 2.2627417F, boost::test_tools::tolerance(1e-6F));
    xlens::kernels::layer_norm(x, gain, bias, 0.0F, out);
    BOOST_TEST(out[0] == -1.0F, boost::test_tools::tolerance(1e-6F));
    BOOST_TEST(out[1] == 12.0F, boost::test_tools::tolerance(1e-6F));
}

BOOST_AUTO_TEST_CASE(epsilon_keeps_a_row_of_zeros_at_zero) {
    const std::vector<float> gain(37, 1.0F);
    std::vector<float> x(37, 0.0F);
    xlens::kernels::rms_norm(x, gain, epsilon, x);
    for (const float v : x) { BOOST_TEST(v == 0.0F); }
    xlens::kernels::layer_norm(x, gain, {}, epsilon, x);
    for (const float v : x) { BOOST_TEST(v == 0.0F); }
}

// mean(x²) - mean(x)² would leave no correct digit here.
BOOST_AUTO_TEST_CASE(layer_norm_survives_a_large_mean) {
    auto x = random_row(576, 4);
    for (float& v : x) { v += 3000.0F; }
    const std::vector<float> gain(x.size(), 1.0F);
    std::vector<float> expected(x.size());
    xlens::reference::layer_norm(x, gain, {}, epsilon, expected);
    xlens::kernels::layer_norm(x, gain, {}, epsilon, x);
    for (std::size_t i = 0; i < x.size(); ++i) { BOOST_REQUIRE_SMALL(x[i] - expected[i], 1e-3F); }
}

BOOST_AUTO_TEST_CASE(dot_and_norm2_are_the_reference_at_every_length_and_alignment) {
    for (const std::size_t n : row_lengths()) {
        const auto a = random_row(n, 5);
        const auto b = random_row(n, 6);
        const float got = xlens::kernels::dot(a, b);
        const float length = xlens::kernels::norm2(a);
        const double scale = std::sqrt(static_cast<double>(n) + 1.0);
        BOOST_REQUIRE_SMALL(static_cast<double>(got) - xlens::reference::dot(a, b), 1e-6 * scale);
        BOOST_REQUIRE_SMALL(static_cast<double>(length) - xlens::reference::norm2(a), 1e-6 * scale);
        for (std::size_t shift = 0; shift < 16; ++shift) {
            shifted_row moved_a(a, shift);
            shifted_row moved_b(b, (shift * 7) % 16);
            BOOST_REQUIRE_EQUAL(xlens::kernels::dot(moved_a.row(), moved_b.row()), got);
        }
    }
}
