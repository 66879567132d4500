// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE best_row
#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/core/parallel.hpp>
#include <xlens/kernels/best_row.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/to_q8_0.hpp>

#include "support/rows_of_floats.hpp"
#include "support/stored_matrix.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <span>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

using formats = boost::mpl::list<f32, f16, bf16, q8_0, q6_k>;
constexpr std::array precisions{precision::f32, precision::native};

/// The first of the largest scores, all of them computed.
std::size_t best_of_all(const any_matrix& w, std::span<const float> x) {
    std::vector<float> scores(w.rows());
    kernels::matvec(w, x, std::span(scores));
    return static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
}

/// Row r of w, and as much again of what is not.
std::vector<float> near_row(const any_matrix& w, std::size_t r, unsigned seed) {
    std::vector<float> out(w.cols());
    w.row(r, out);
    float largest = 0.0F;
    for (const float v : out) { largest = std::max(largest, std::abs(v)); }
    const std::vector<float> noise = random_row(out.size(), seed, 0.2F * largest);
    for (std::size_t d = 0; d < out.size(); ++d) { out[d] += noise[d]; }
    return out;
}

/// Whether it names a row, which must then be the best.
bool names_the_best(const kernels::best_row& search, const any_matrix& w,
                    std::span<const float> x) {
    const auto found = search(w, x);
    if (found) { BOOST_TEST(*found == best_of_all(w, x)); }
    return found.has_value();
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(names_the_row_that_scores_highest, Format, formats) {
    for (const std::size_t count : {1U, 47U, 1003U}) {
        const stored_matrix<Format> stored(count, 512, 3);
        for (const precision how : precisions) {
            const any_matrix w(stored.view(), how);
            if (!kernels::best_row::pays(w)) { continue; }
            const kernels::best_row search(w);
            std::size_t named = 0;
            for (const std::size_t threads : {1U, 2U}) {
                set_threads(threads);
                for (unsigned seed = 0; seed < 20; ++seed) {
                    const std::vector<float> x = near_row(w, 37 * seed % count, seed);
                    named += names_the_best(search, w, x) ? 1U : 0U;
                }
            }
            BOOST_TEST(named == (count < 8 ? 0U : 40U));
        }
    }
}

// Rows that differ by less than their copies are off by: only scores can tell.
BOOST_AUTO_TEST_CASE(rows_that_copies_cannot_tell_apart_are_scored) {
    constexpr std::size_t width = 256;
    constexpr unsigned alike = 60;
    std::vector<float> values = random_row(1000 * width, 5);
    for (unsigned r = 1; r < alike; ++r) {
        const std::vector<float> noise = random_row(width, 100 + r, 0.002F);
        for (std::size_t d = 0; d < width; ++d) {
            values[13 * r * width + d] = values[d] + noise[d];
        }
    }
    std::vector<std::byte> bytes(1000 * matrix<q8_0>::row_bytes(width));
    for (std::size_t r = 0; r < 1000; ++r) {
        to_q8_0(std::span(values).subspan(r * width, width),
                bytes.data() + r * matrix<q8_0>::row_bytes(width));
    }
    for (const precision how : precisions) {
        for (const any_matrix& w : {any_matrix(matrix_of(values, 1000, width), how),
                                    any_matrix(matrix<q8_0>(bytes.data(), 1000, width), how)}) {
            if (!kernels::best_row::pays(w)) { continue; }
            const kernels::best_row search(w);
            for (unsigned seed = 0; seed < 20; ++seed) {
                std::vector<float> x = random_row(width, seed, 0.5F);
                for (std::size_t d = 0; d < width; ++d) { x[d] += values[d]; }
                BOOST_TEST(names_the_best(search, w, x));
            }
        }
    }
}

// Rows as they are, of which some codes differ by one: rounding x is off by as much.
BOOST_AUTO_TEST_CASE(rows_that_a_rounded_vector_cannot_tell_apart_are_scored) {
    constexpr std::size_t width = 64;
    constexpr std::size_t count = 6000;
    for (unsigned seed = 0; seed < 40; ++seed) {
        std::mt19937 draw(seed);
        std::vector<float> x = random_row(width, seed, 0.005F);
        std::vector<std::byte> bytes(count * matrix<q8_0>::row_bytes(width));
        for (std::size_t r = 0; r < count; ++r) {
            std::vector<float> row(width);
            for (std::size_t d = 0; d < width && r % 13 == 0; ++d) {
                row[d] = std::copysign(100.0F, x[d]);
            }
            for (std::size_t i = 0; i < 12 && r % 13 == 0; ++i) {
                row[draw() % 31] += draw() % 2 == 0 ? 1.0F : -1.0F;
            }
            row[0] = 127.0F;  // a scale of 1
            row[32] = 127.0F;
            row[31] = row[63] = 0.0F;
            to_q8_0(row, bytes.data() + r * matrix<q8_0>::row_bytes(width));
        }
        x[31] = x[63] = 1.0F;
        const any_matrix w(matrix<q8_0>(bytes.data(), count, width));
        if (!kernels::best_row::pays(w)) { return; }
        BOOST_TEST(names_the_best(kernels::best_row(w), w, x));
    }
}

BOOST_AUTO_TEST_CASE(of_equal_rows_it_is_the_first) {
    std::vector<float> values = random_row(200 * 64, 7);
    for (const std::size_t r : {31U, 77U, 150U}) {
        std::copy_n(values.data() + 31 * 64, 64, values.data() + r * 64);
    }
    const any_matrix w(matrix_of(values, 200, 64));
    if (!kernels::best_row::pays(w)) { return; }
    const kernels::best_row search(w);
    BOOST_TEST(search(w, std::span(values).subspan(77 * 64, 64)).value() == 31U);
}

// What all rows have in common is as long as it likes: it moves no score beside another.
BOOST_AUTO_TEST_CASE(what_rows_have_in_common_does_not_count) {
    std::vector<float> values = random_row(500 * 128, 7);
    for (std::size_t i = 0; i < values.size(); ++i) { values[i] += 3.0F; }
    const any_matrix w(matrix_of(values, 500, 128));
    if (!kernels::best_row::pays(w)) { return; }
    const kernels::best_row search(w);
    for (std::size_t r = 0; r < 500; r += 29) {
        std::vector<float> x(values.data() + r * 128, values.data() + (r + 1) * 128);
        for (float& v : x) { v -= 3.0F; }
        BOOST_TEST(names_the_best(search, w, x));
    }
}

BOOST_AUTO_TEST_CASE(without_bounds_it_names_none) {
    const std::vector<float> values = random_row(300 * 64, 9);
    const any_matrix w(matrix_of(values, 300, 64));
    if (!kernels::best_row::pays(w)) { return; }
    const std::vector<float> x(values.begin(), values.begin() + 64);
    BOOST_TEST(kernels::best_row(w)(w, x).has_value());
    BOOST_TEST(!kernels::best_row(w)(w, std::vector<float>(64)).has_value());
    const auto scaled = [](std::vector<float> v, float by) {
        for (float& e : v) { e *= by; }
        return v;
    };
    BOOST_TEST(!kernels::best_row(w)(w, scaled(x, 1e18F)).has_value());
    BOOST_TEST(!kernels::best_row(w)(w, scaled(x, 1e-20F)).has_value());
    for (const float bad :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 1e19F}) {
        for (const std::size_t row : {16U, 17U}) {  // one that counts for what is common, and not
            std::vector<float> damaged = values;
            damaged[row * 64 + 5] = bad;
            const any_matrix e(matrix_of(damaged, 300, 64));
            BOOST_TEST(!kernels::best_row(e)(e, x).has_value());
        }
    }
    const std::vector<float> others = values;  // of another matrix this says nothing
    BOOST_TEST(!kernels::best_row(w)(any_matrix(matrix_of(others, 300, 64)), x).has_value());
    // All of them may be the best.
    const std::vector<float> flat(300 * 64, 0.25F);
    const any_matrix same(matrix_of(flat, 300, 64));
    BOOST_TEST(!kernels::best_row(same)(same, x).has_value());
}

BOOST_AUTO_TEST_CASE(large_and_small_rows_are_told_apart) {
    for (const float size : {1e-12F, 1e-4F, 1e6F, 1e12F}) {
        std::vector<float> values = random_row(400 * 64, 11, size);
        const any_matrix w(matrix_of(values, 400, 64));
        if (!kernels::best_row::pays(w)) { return; }
        const kernels::best_row search(w);
        for (unsigned seed = 0; seed < 10; ++seed) {
            (void)names_the_best(search, w, near_row(w, 31 * seed, seed));
        }
    }
}
