// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE conjugate_gradients
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/conjugate_gradients.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

using xlens::conjugate_gradients;
using vector = std::vector<double>;

namespace {

/// A·v of the second difference, 2 + a diagonal that rises: positive definite.
vector image(const vector& v) {
    vector out(v.size());
    for (std::size_t i = 0; i < v.size(); ++i) {
        out[i] = (2.0 + static_cast<double>(i)) * v[i];
        if (i > 0) { out[i] -= v[i - 1]; }
        if (i + 1 < v.size()) { out[i] -= v[i + 1]; }
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_left_is_a_hundredth_in_the_measure_of_solve) {
    vector x(40);
    for (std::size_t i = 0; i < x.size(); ++i) { x[i] = std::cos(static_cast<double>(i)); }
    const vector b = image(x);
    std::size_t products = 0;
    const vector found = conjugate_gradients(
        [&](const vector& v) {
            ++products;
            return image(v);
        },
        [](vector& v) {  // near A: its diagonal
            for (std::size_t i = 0; i < v.size(); ++i) { v[i] /= 2.0 + static_cast<double>(i); }
        },
        b);
    const vector reached = image(found);
    double rest = 0.0;
    double whole = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double diagonal = 2.0 + static_cast<double>(i);
        rest += (b[i] - reached[i]) * (b[i] - reached[i]) / diagonal;
        whole += b[i] * b[i] / diagonal;
    }
    BOOST_TEST(rest <= 1.0001e-4 * whole);
    BOOST_TEST(products < 20U);
}

BOOST_AUTO_TEST_CASE(with_the_inverse_itself_one_step_is_enough) {
    std::size_t products = 0;
    const vector found = conjugate_gradients(
        [&](const vector& v) {
            ++products;
            return vector{4.0 * v[0], 2.0 * v[1]};
        },
        [](vector& b) {
            b[0] /= 4.0;
            b[1] /= 2.0;
        },
        vector{8.0, -3.0});
    BOOST_TEST(found[0] == 2.0);
    BOOST_TEST(found[1] == -1.5);
    BOOST_TEST(products == 1U);
    BOOST_TEST(conjugate_gradients([](const vector& v) { return v; }, [](vector&) {},
                                   vector{0.0, 0.0})[1] == 0.0);
}
