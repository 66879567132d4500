// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <boost/test/unit_test.hpp>

#include <xlens/core/parallel.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/reference/top_k.hpp>

#include "support/rows_of_floats.hpp"
#include "support/stored_matrix.hpp"

#include <algorithm>
#include <cstddef>
#include <random>
#include <span>
#include <vector>

// What every screen of both ends has to give: what a scan of all scores gives, bit for bit.

namespace xlens::test {

/// The ends of E·v by scoring every row and ranking all scores.
template <class Weights>
token_ends plain_ends(const Weights& e, std::span<const float> v, std::size_t k) {
    std::vector<float> scores(e.rows());
    kernels::matvec(e, v, std::span(scores));
    token_ends out;
    out.promotes = reference::top_k(scores, k);
    for (float& s : scores) { s = -s; }
    out.suppresses = reference::top_k(scores, k);
    for (scored& s : out.suppresses) { s.score = -s.score; }
    return out;
}

/// ends(e, v, k) of some vectors, on one thread and on two.
template <class Weights, class Ends>
void check_ends(Ends ends, const Weights& e, const std::vector<float>& vectors, std::size_t k) {
    const rows<const float> v(vectors.data(), vectors.size() / e.cols(), e.cols());
    for (const std::size_t threads : {1U, 2U}) {
        set_threads(threads);
        const auto found = ends(e, v, k);
        BOOST_TEST_REQUIRE(found.size() == v.count());
        for (std::size_t n = 0; n < v.count(); ++n) {
            const auto expected = plain_ends(e, v[n], k);
            BOOST_REQUIRE(found[n].promotes == expected.promotes);
            BOOST_REQUIRE(found[n].suppresses == expected.suppresses);
        }
    }
}

template <class Format, class Ends>
void check_ends_of_all_sizes(Ends ends) {
    for (const std::size_t tokens : {1U, 31U, 32U, 33U, 1003U}) {
        const stored_matrix<Format> e(tokens, 96, 3);
        for (const std::size_t k : {0U, 1U, 7U, 2000U}) {
            for (const std::size_t vectors : {1U, 13U}) {
                check_ends(ends, e.view(), random_row(vectors * 96, 5), k);
            }
        }
    }
}

/// Widths that are no multiple of four.
template <class Ends>
void check_ends_of_odd_widths(Ends ends) {
    for (const std::size_t width : {1U, 2U, 3U, 5U, 63U, 97U}) {
        const stored_matrix<f32> e(301, width, 3);
        check_ends(ends, e.view(), random_row(5 * width, 5), 9);
    }
}

/// Rows that all look alike, that are equal, zero, tiny or huge; vectors with one outlier.
template <class Ends>
void check_ends_of_hard_rows(Ends ends) {
    constexpr std::size_t width = 64;
    constexpr std::size_t tokens = 700;
    std::mt19937 generator(7);
    std::normal_distribution<float> normal;
    const auto common = random_row(width, 1, 5.0F);
    std::vector<float> e(tokens * width);
    for (std::size_t r = 0; r < tokens; ++r) {
        for (std::size_t d = 0; d < width; ++d) {
            e[r * width + d] = common[d] + 1e-6F * normal(generator);
            if (r % 7 == 0) { e[r * width + d] = common[d]; }
            if (r % 11 == 0) { e[r * width + d] = 0.0F; }
            if (r % 13 == 0) { e[r * width + d] *= 1e-30F; }
            if (r == 500) { e[r * width + d] *= 1000.0F; }
        }
    }
    auto vectors = random_row(20 * width, 3);
    for (std::size_t n = 0; n < 20; ++n) { vectors[n * width + n] *= 300.0F; }
    std::fill_n(vectors.begin(), width, 0.0F);
    check_ends(ends, matrix_of(e, tokens, width), vectors, 30);
}

}  // namespace xlens::test
