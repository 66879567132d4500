// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE bounds
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/bounds.hpp>

#include <cmath>
#include <cstddef>

using namespace xlens;

BOOST_AUTO_TEST_CASE(the_tail_is_a_sum_of_binomial_terms) {
    // 20 draws: terms n!/(i!(n-i)!)·p^i·(1-p)^(n-i), each from the one before.
    for (const double p : {0.01, 0.3, 0.5, 0.97}) {
        double term = std::pow(1.0 - p, 20);
        double sum = 0.0;
        for (std::size_t k = 0; k < 20; ++k) {
            sum += term;
            BOOST_TEST(binomial_tail(k, 20, p) == sum, boost::test_tools::tolerance(1e-11));
            term *= static_cast<double>(20 - k) / static_cast<double>(k + 1) * p / (1.0 - p);
        }
    }
    BOOST_TEST(binomial_tail(20, 20, 0.5) == 1.0);
    BOOST_TEST(binomial_tail(3, 20, 0.0) == 1.0);
    BOOST_TEST(binomial_tail(3, 20, 1.0) == 0.0);
}

// Exact values from sums of binomial terms in whole numbers (Python's fractions).
BOOST_AUTO_TEST_CASE(upper_bounds_of_clopper_and_pearson) {
    BOOST_TEST(clopper_pearson_upper(0, 10, 0.05) == 0.2588655508930523,
               boost::test_tools::tolerance(1e-9));
    BOOST_TEST(clopper_pearson_upper(5, 100, 0.05) == 0.10225337764327452,
               boost::test_tools::tolerance(1e-9));
    BOOST_TEST(clopper_pearson_upper(37, 1000, 0.01) == 0.05333813477690702,
               boost::test_tools::tolerance(1e-9));
    BOOST_TEST(clopper_pearson_upper(0, 0, 0.05) == 1.0);
    BOOST_TEST(clopper_pearson_upper(7, 7, 0.05) == 1.0);
}
