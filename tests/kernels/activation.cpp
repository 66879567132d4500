// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE activation
#include <boost/test/unit_test.hpp>

#include <xlens/kernels/activation.hpp>
#include <xlens/reference/activation.hpp>

#include "support/lengths.hpp"
#include "support/rows_of_floats.hpp"

#include <boost/mpl/list.hpp>
#include <cmath>
#include <limits>
#include <vector>

using namespace xlens::test;

namespace {

template <class Fast, class Reference>
struct both {
    using fast = Fast;
    using reference = Reference;
};

using activations = boost::mpl::list<
    both<xlens::relu, xlens::reference::relu>, both<xlens::gelu, xlens::reference::gelu>,
    both<xlens::gelu_tanh, xlens::reference::gelu_tanh>, both<xlens::silu, xlens::reference::silu>>;

constexpr float infinity = std::numeric_limits<float>::infinity();

void check_close(float got, double expected, float at) {
    const double error = std::fabs(static_cast<double>(got) - expected);
    BOOST_REQUIRE_MESSAGE(error <= 2e-7 * (1.0 + std::fabs(expected)),
                          "f(" << at << ") = " << got << ", expected " << expected);
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(is_the_formula_over_a_fine_grid, A, activations) {
    std::vector<float> x;
    for (int i = -30000; i <= 30000; ++i) { x.push_back(static_cast<float>(i) * 1e-3F); }
    auto y = x;
    xlens::kernels::activate<typename A::fast>(y);
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double expected = A::reference::apply(static_cast<double>(x[i]));
        check_close(y[i], expected, x[i]);
        check_close(A::fast::apply(x[i]), expected, x[i]);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_value_has_the_same_bits_wherever_it_stands, A, activations) {
    for (const std::size_t n : row_lengths()) {
        const auto x = random_row(n, 1, 4.0F);
        auto once = x;
        xlens::kernels::activate<typename A::fast>(once);
        for (std::size_t i = 0; i < n; ++i) {
            std::vector<float> alone{x[i]};
            xlens::kernels::activate<typename A::fast>(alone);
            BOOST_REQUIRE(same_bits(alone, std::span(once).subspan(i, 1)));
        }
        for (std::size_t shift = 0; shift < 16; ++shift) {
            shifted_row moved(x, shift);
            xlens::kernels::activate<typename A::fast>(moved.row());
            BOOST_REQUIRE(same_bits(moved.row(), once));
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(gated_is_the_reference_at_every_length_and_alignment, A,
                              activations) {
    for (const std::size_t n : row_lengths()) {
        const auto gate = random_row(n, 2, 3.0F);
        const auto up = random_row(n, 3);
        auto expected = gate;
        xlens::reference::activate_gated<typename A::reference>(expected, up);
        auto once = gate;
        xlens::kernels::activate_gated<typename A::fast>(once, up);
        for (std::size_t i = 0; i < n; ++i) {
            BOOST_REQUIRE_SMALL(once[i] - expected[i], 1e-6F * (1.0F + std::fabs(expected[i])));
        }
        for (std::size_t shift = 0; shift < 16; ++shift) {
            shifted_row moved(gate, shift);
            shifted_row moved_up(up, (shift * 3) % 16);
            xlens::kernels::activate_gated<typename A::fast>(moved.row(), moved_up.row());
            BOOST_REQUIRE(same_bits(moved.row(), once));
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(far_values_reach_the_limits, A, activations) {
    std::vector<float> x{-1e4F, -150.0F, -1e30F, -infinity, 1e5F, 1e30F, infinity, 0.0F};
    const std::vector<float> expected{0.0F, 0.0F, 0.0F, 0.0F, 1e5F, 1e30F, infinity, 0.0F};
    for (std::size_t i = 0; i < x.size(); ++i) { BOOST_TEST(A::fast::apply(x[i]) == expected[i]); }
    xlens::kernels::activate<typename A::fast>(x);
    BOOST_TEST(x == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nan_gives_nan, A, activations) {
    for (std::size_t n = 1; n < 2 * xlens::lanes; ++n) {
        std::vector<float> x(n, 1.0F);
        x[n - 1] = std::numeric_limits<float>::quiet_NaN();
        xlens::kernels::activate<typename A::fast>(x);
        BOOST_TEST(std::isnan(x[n - 1]));
        BOOST_TEST((n == 1 || !std::isnan(x[0])));
    }
    BOOST_TEST(std::isnan(A::fast::apply(std::numeric_limits<float>::quiet_NaN())));
}

// torch.nn.functional.gelu, gelu(approximate="tanh") and silu of 1 and -2, in float64.
BOOST_AUTO_TEST_CASE(values_of_torch) {
    BOOST_TEST(xlens::gelu::apply(1.0F) == 0.841344746068543F, boost::test_tools::tolerance(1e-6F));
    BOOST_TEST(xlens::gelu::apply(-2.0F) == -0.04550026389635842F,
               boost::test_tools::tolerance(1e-6F));
    BOOST_TEST(xlens::gelu_tanh::apply(1.0F) == 0.8411919906082767F,
               boost::test_tools::tolerance(1e-6F));
    BOOST_TEST(xlens::gelu_tanh::apply(-2.0F) == -0.04540230591222494F,
               boost::test_tools::tolerance(1e-6F));
    BOOST_TEST(xlens::silu::apply(1.0F) == 0.7310585786300049F,
               boost::test_tools::tolerance(1e-6F));
    BOOST_TEST(xlens::silu::apply(-2.0F) == -0.2384058440442351F,
               boost::test_tools::tolerance(1e-6F));
}

// GptOssExperts._apply_gate of transformers, in float64.
BOOST_AUTO_TEST_CASE(the_clamped_gate_is_its_formula) {
    std::vector<float> gate;
    std::vector<float> up;
    for (int g = -240; g <= 240; ++g) {
        for (int u = -20; u <= 20; ++u) {
            gate.push_back(static_cast<float>(g) * 0.05F);
            up.push_back(static_cast<float>(u) * 0.5F);
        }
    }
    auto got = gate;
    xlens::kernels::activate_gated<xlens::clamped_swiglu>(got, up);
    for (std::size_t i = 0; i < gate.size(); ++i) {
        const double g = std::fmin(double{gate[i]}, 7.0);
        const double u = std::fmax(std::fmin(double{up[i]}, 7.0), -7.0);
        const double expected = (u + 1.0) * g / (1.0 + std::exp(-1.702 * g));
        BOOST_REQUIRE_SMALL(double{got[i]} - expected, 2e-6 * (1.0 + std::fabs(expected)));
    }
    std::vector<float> nan(1, std::numeric_limits<float>::quiet_NaN());
    const std::vector<float> one(1, 1.0F);
    auto as_gate = nan;
    xlens::kernels::activate_gated<xlens::clamped_swiglu>(as_gate, one);
    BOOST_TEST(std::isnan(as_gate[0]));
    auto as_up = one;
    xlens::kernels::activate_gated<xlens::clamped_swiglu>(as_up, nan);
    BOOST_TEST(std::isnan(as_up[0]));
}
