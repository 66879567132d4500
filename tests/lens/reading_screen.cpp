// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE reading_screen
#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/core/parallel.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/short_dots.hpp>
#include <xlens/lens/reading_screen.hpp>
#include <xlens/lens/vocabulary.hpp>
#include <xlens/reference/top_k.hpp>

#include "support/rows_of_floats.hpp"
#include "support/stored_matrix.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

using token_formats = boost::mpl::list<f32, f16, q8_0, q4_1>;

/// log Σ_w exp⟨e_w, v⟩, all of it in double.
template <class Weights>
double log_normaliser(const Weights& e, std::span<const float> v) {
    std::vector<double> z(e.rows(), 0.0);
    std::vector<float> row(e.cols());
    for (std::size_t w = 0; w < e.rows(); ++w) {
        e.row(w, row);
        for (std::size_t d = 0; d < v.size(); ++d) { z[w] += double{row[d]} * double{v[d]}; }
    }
    const double largest = *std::ranges::max_element(z);
    double sum = 0.0;
    for (const double x : z) { sum += std::exp(x - largest); }
    return largest + std::log(sum);
}

/// The tokens of a full scan; what the normaliser is off by.
template <class Weights>
void check(const Weights& e, std::span<const float> v, std::size_t k, const reading& found) {
    std::vector<float> scores(e.rows());
    kernels::matvec(e, v, std::span(scores));
    BOOST_REQUIRE(found.top == reference::top_k(scores, k));
    const double expected = log_normaliser(e, v);
    // 2⁻²⁰, and what f32 rounds: the products that it is made of, and the number itself.
    BOOST_REQUIRE_SMALL(double{found.log_normaliser} - expected, 2e-6 + 1e-6 * std::abs(expected));
}

std::size_t read(const any_matrix& e, const std::vector<float>& vectors, std::size_t k) {
    const rows<const float> v(vectors.data(), vectors.size() / e.cols(), e.cols());
    const coded_vocabulary coded(e);
    BOOST_TEST_REQUIRE(coded.bounded());
    const reading_screen screen(coded);
    std::vector<reading> found(v.count());
    std::vector<reading> again(v.count());
    set_threads(1);
    screen.read(v, k, {}, found);
    set_threads(2);
    screen.read(v, k, {}, again);
    std::size_t screened = 0;
    for (std::size_t n = 0; n < v.count(); ++n) {
        BOOST_REQUIRE(found[n].top == again[n].top);
        BOOST_REQUIRE_EQUAL(found[n].log_normaliser, again[n].log_normaliser);
        if (found[n].top.empty()) { continue; }
        ++screened;
        check(e, v[n], k, found[n]);
    }
    return screened;
}

}  // namespace

BOOST_AUTO_TEST_CASE(products_of_codes_are_the_plain_sums) {
    for (const std::size_t width : {1U, 31U, 33U, 576U, 1001U}) {
        kernels::short_rows w(2 * kernels::short_block_rows, width);
        kernels::short_rows x(5 * kernels::short_block_vectors, width);
        const auto fill = [&](kernels::short_rows& to, std::uint32_t seed) {
            const auto values = random_row(to.count() * width, seed, 1000.0F);
            for (std::size_t i = 0; i < to.count(); ++i) {
                for (std::size_t d = 0; d < width; ++d) {
                    to.row(i)[d] = static_cast<std::int16_t>(values[i * width + d]);
                }
            }
        };
        fill(w, 1);
        fill(x, 2);
        constexpr std::size_t R = kernels::short_block_rows;
        std::vector<float> sums(x.count() * R);
        const rows<float> y(sums.data(), x.count(), R);
        kernels::short_products(w, R, x, y);
        for (std::size_t p = 0; p < x.count(); ++p) {
            for (std::size_t r = 0; r < R; ++r) {
                double expected = 0.0;
                double size = 0.0;
                for (std::size_t d = 0; d < width; ++d) {
                    const double product = 1.0 * w.row(R + r)[d] * x.row(p)[d];
                    expected += product;
                    size += std::abs(product);
                }
                BOOST_REQUIRE_SMALL(double{y[p][r]} - expected, 1e-6 * size);
            }
        }
    }
}

// From nearly flat to nearly certain predictions: the first are left to a scan.
BOOST_AUTO_TEST_CASE_TEMPLATE(readings_are_those_of_all_scores, Format, token_formats) {
    constexpr std::size_t width = 96;
    constexpr std::size_t count = 13;
    const stored_matrix<Format> e(5003, width, 3);
    for (const std::size_t k : {1U, 10U, 300U}) {
        BOOST_TEST(read(e.view(), random_row(count * width, 5, 1e-6F), k) == 0U);
        std::size_t screened = 0;
        for (const float deviation : {0.5F, 2.0F, 8.0F, 30.0F}) {
            screened += read(e.view(), random_row(count * width, 6, deviation), k);
        }
        BOOST_TEST((screened > 0U || k > 5003 / 20));
    }
}

BOOST_AUTO_TEST_CASE(widths_and_counts_that_fill_no_block) {
    for (const std::size_t width : {1U, 5U, 31U, 33U, 97U}) {
        const stored_matrix<f32> e(3001, width, 4);
        for (const std::size_t count : {1U, 2U, 3U, 129U}) {
            static_cast<void>(read(e.view(), random_row(count * width, 5, 6.0F), 9));
        }
    }
}

// Rows with much in common, one outlier in rows and vectors, equal rows, a row of zeros.
BOOST_AUTO_TEST_CASE(rows_that_codes_can_hardly_tell_apart) {
    constexpr std::size_t width = 64;
    constexpr std::size_t tokens = 4000;
    auto values = random_row(tokens * width, 9, 0.4F);
    for (std::size_t w = 0; w < tokens; ++w) {
        const auto row = std::span(values).subspan(w * width, width);
        for (float& v : row) { v += 3.0F; }
        if (w % 5 == 0) { row[7] += 200.0F; }
        if (w % 11 == 0) { std::ranges::copy(std::span(values).first(width), row.begin()); }
        if (w == 1234) { std::ranges::fill(row, 0.0F); }
    }
    auto vectors = random_row(20 * width, 10, 4.0F);
    for (std::size_t n = 0; n < 10; ++n) { vectors[n * width + 13] *= 50.0F; }
    const matrix<f32> e(std::as_bytes(std::span(values)).data(), tokens, width);
    BOOST_TEST(read(any_matrix(e), vectors, 12) > 0U);
}

// Through vocabulary: enough rows to be screened, some of them flat; and log-probabilities.
BOOST_AUTO_TEST_CASE(a_vocabulary_reads_all_rows) {
    constexpr std::size_t width = 96;
    constexpr std::size_t count = 600;
    const stored_matrix<f32> stored(5003, width, 3);
    unembedding<any_matrix> e;
    e.sections.push_back({0, stored.view(), {}});
    auto x = random_row(count * width, 6, 2.0F);
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (i / width % 7 == 0) { x[i] *= 0.01F; }
    }
    const rows<const float> in(x.data(), count, width);
    std::vector<token_id> targets(count);
    for (std::size_t n = 0; n < count; ++n) { targets[n] = static_cast<token_id>(n * 74 % 5003); }
    const vocabulary words(e);
    const auto found = words.read(in, 10, targets);
    for (std::size_t n = 0; n < count; n += 13) {
        check(stored.view(), in[n], 10, found[n]);
        std::vector<float> scores(5003);
        kernels::matvec(stored.view(), in[n], std::span(scores));
        const double expected = double{scores[static_cast<std::size_t>(targets[n])]} -
                                log_normaliser(stored.view(), in[n]);
        BOOST_REQUIRE_SMALL(double{found[n].target} - expected, 5e-5);
    }
}
