// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE coded_vocabulary
#include <boost/test/unit_test.hpp>

#include <xlens/kernels/dot.hpp>
#include <xlens/lens/coded_vocabulary.hpp>

#include "support/rows_of_floats.hpp"
#include "support/stored_matrix.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

using namespace xlens;
using namespace xlens::test;

// Scores in double lie within ε' of their estimates. And ε' is small: of the length of the longest
// row and of the vector no more than 2⁻¹⁰.
BOOST_AUTO_TEST_CASE(scores_are_as_near_as_is_said) {
    for (const std::size_t width : {1U, 31U, 96U, 577U}) {
        const std::size_t tokens = 1003;
        const stored_matrix<f32> stored(tokens, width, 3);
        const any_matrix e = stored.view();
        const coded_vocabulary coded(e);
        BOOST_TEST_REQUIRE(coded.bounded());
        auto values = random_row(20 * width, 5, 30.0F);
        values[3] *= 1000.0F;  // one outlier
        const rows<const float> v(values.data(), 20, width);
        const auto codes = coded.encode(v);
        std::vector<float> row(width);
        float longest = 0.0F;
        for (std::size_t w = 0; w < tokens; ++w) {
            e.row(w, row);
            longest = std::max(longest, kernels::norm2(row));
        }
        std::size_t seen = 0;
        coded.each_tile(codes, [&](std::size_t first, rows<const float> products) {
            for (std::size_t n = 0; n < v.count(); ++n) {
                const coded_vocabulary::vector_terms& terms = codes.terms[n];
                const coded_vocabulary::estimator estimate(coded, terms);
                for (std::size_t r = 0; r < products.width(); r += lanes) {
                    const auto found = estimate(first + r, &products[n][r]);
                    for (std::size_t i = 0; i < lanes; ++i) {
                        const std::size_t w = first + r + i;
                        if (w >= tokens) {
                            BOOST_REQUIRE(std::isnan(found.value.get(i)));
                            continue;
                        }
                        e.row(w, row);
                        double score = 0.0;
                        for (std::size_t d = 0; d < width; ++d) {
                            score += double{row[d]} * double{v[n][d]};
                        }
                        const float own = terms.factor * coded.norm(w) + terms.own_rounding;
                        BOOST_REQUIRE_LE(std::abs(double{found.value.get(i)} - score), own);
                        BOOST_REQUIRE_LE(own, 0x1p-10F * longest * kernels::norm2(v[n]));
                        BOOST_REQUIRE_GE(found.error.get(i), own * 0.999F);
                        ++seen;
                    }
                }
            }
            return true;
        });
        BOOST_TEST(seen == tokens * v.count());
    }
}

// What looks at the tiles can end it.
BOOST_AUTO_TEST_CASE(ends_when_nobody_looks) {
    const stored_matrix<f32> e(1003, 8, 3);
    const coded_vocabulary coded(e.view());
    const auto values = random_row(8, 5);
    int tiles = 0;
    coded.each_tile(coded.encode(rows<const float>(values.data(), 1, 8)),
                    [&](std::size_t, rows<const float>) { return ++tiles < 3; });
    BOOST_TEST(tiles == 3);
}

BOOST_AUTO_TEST_CASE(what_has_no_bounds) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e30F}) {
        auto values = random_row(300 * 32, 9);
        values[77 * 32 + 5] = bad;
        const matrix<f32> e(std::as_bytes(std::span(values)).data(), 300, 32);
        BOOST_TEST(!coded_vocabulary(any_matrix(e)).bounded());
    }
}
