// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE unembedding_rows
#include <boost/test/unit_test.hpp>

#include <xlens/lens/unembedding_rows.hpp>

#include "support/rows_of_floats.hpp"
#include "support/stored_matrix.hpp"

#include <cstddef>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

/// Tiles are the tokens in order, each as `direction` decodes it, and the mean is that of plain
/// loops over them, bit for bit.
template <class Weights>
void check(const unembedding<Weights>& e) {
    const std::size_t width = e.width();
    std::vector<float> row(width);
    std::vector<double> sum(width, 0.0);
    for (std::size_t w = 0; w < e.vocabulary(); ++w) {
        e.direction(static_cast<token_id>(w), row);
        for (std::size_t d = 0; d < width; ++d) { sum[d] += double{row[d]}; }
    }
    std::vector<float> mean(width);
    for (std::size_t d = 0; d < width; ++d) {
        mean[d] = static_cast<float>(sum[d] / static_cast<double>(e.vocabulary()));
    }
    BOOST_TEST(same_bits(mean_unembedding(e), mean));
    for (const std::size_t tile : {1U, 100U, 512U, 5000U}) {
        std::size_t seen = 0;
        for_each_tile(e, tile, [&](rows<const float> tokens) {
            BOOST_REQUIRE(tokens.count() >= 1U);
            BOOST_REQUIRE(tokens.count() <= tile);
            for (std::size_t r = 0; r < tokens.count(); ++r) {
                e.direction(static_cast<token_id>(seen++), row);
                BOOST_REQUIRE(same_bits(tokens[r], row));
            }
        });
        BOOST_TEST(seen == e.vocabulary());
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(tokens_in_order_and_their_mean_in_any_format) {
    const stored_matrix<f32> dense(1300, 48, 1);
    check(unembedding<matrix<f32>>{{{0, dense.view(), {}}}, {}, {}});
    const stored_matrix<q4_1> quantised(700, 64, 2);
    const any_matrix native(quantised.view(), precision::native);
    check(unembedding<any_matrix>{{{0, native, {}}}, {}, {}});
    const stored_matrix<f16> transposed(24, 90, 3, 0, true);
    check(unembedding<matrix<f16>>{{{0, transposed.view(), {}}}, {}, {}});
}

BOOST_AUTO_TEST_CASE(sections_have_projections) {
    const stored_matrix<f32> head(600, 32, 4);
    const stored_matrix<f32> tail(530, 8, 5);
    const stored_matrix<f32> narrow(8, 32, 6);
    check(unembedding<matrix<f32>>{
        {{0, head.view(), {}}, {600, tail.view(), narrow.view()}}, {}, {}});
}

BOOST_AUTO_TEST_CASE(the_mean_of_a_matrix_is_that_of_the_same_unembedding) {
    const stored_matrix<q4_1> quantised(1100, 64, 9);
    const unembedding<matrix<q4_1>> e{{{0, quantised.view(), {}}}, {}, {}};
    BOOST_TEST(same_bits(mean_row(quantised.view()), mean_unembedding(e)));
}
