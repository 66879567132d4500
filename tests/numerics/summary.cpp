// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE summary
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/summary.hpp>

#include <cmath>
#include <vector>

using namespace xlens;

// numpy.mean, numpy.std(ddof=1) / sqrt(n), numpy.quantile of the same numbers.

BOOST_AUTO_TEST_CASE(a_mean_and_its_error) {
    const std::vector<double> values{1.0, 2.0, 4.0, 9.0};
    const mean_estimate found = estimate_mean(values);
    BOOST_TEST(found.mean == 4.0);
    BOOST_TEST(found.error == 1.779513042005219, boost::test_tools::tolerance(1e-14));
    BOOST_TEST(estimate_mean(std::vector<double>{5.0, 5.0}).error == 0.0);
    BOOST_TEST(estimate_mean(std::vector<double>{5.0}).mean == 5.0);
    BOOST_TEST(std::isnan(estimate_mean(std::vector<double>{5.0}).error));
    BOOST_TEST(std::isnan(estimate_mean({}).mean));
}

BOOST_AUTO_TEST_CASE(quantiles_stand_between_values) {
    const std::vector<double> sorted{1.0, 2.0, 4.0, 9.0};
    BOOST_TEST(quantile(sorted, 0.0) == 1.0);
    BOOST_TEST(quantile(sorted, 0.5) == 3.0);
    BOOST_TEST(quantile(sorted, 0.95) == 8.25, boost::test_tools::tolerance(1e-14));
    BOOST_TEST(quantile(sorted, 1.0) == 9.0);
    BOOST_TEST(quantile(std::vector<double>{7.0}, 0.95) == 7.0);
    BOOST_TEST(std::isnan(quantile({}, 0.5)));
}
