// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE screen
#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/kernels/integer_scan.hpp>
#include <xlens/lens/screen.hpp>
#include <xlens/lens/vocabulary.hpp>

#include "support/check_ends.hpp"
#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"
#include "support/stored_matrix.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

using token_formats = boost::mpl::list<f32, f16, q8_0, q4_1>;

std::vector<token_ends> screened(const any_matrix& e, rows<const float> v, std::size_t k) {
    return vocabulary_screen(e).ends(v, k);
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(gives_what_a_full_scan_gives, Format, token_formats) {
    check_ends_of_all_sizes<Format>(screened);
}
BOOST_AUTO_TEST_CASE(widths_that_are_no_multiple_of_four) { check_ends_of_odd_widths(screened); }
BOOST_AUTO_TEST_CASE(rows_that_integers_cannot_tell_apart) { check_ends_of_hard_rows(screened); }

BOOST_AUTO_TEST_CASE_TEMPLATE(a_vocabulary_screens_many_vectors, Format, token_formats) {
    const stored_matrix<Format> stored(517, 32, 3);
    unembedding<any_matrix> e;
    e.sections.push_back({0, stored.view(), {}});
    const vocabulary words(e);
    auto vectors = random_row(1100 * 32, 5);
    const auto ends = words.ends(rows<const float>(vectors.data(), 1100, 32), 5);
    for (std::size_t n = 0; n < 1100; n += 9) {
        const auto expected = plain_ends(stored.view(), std::span(vectors).subspan(n * 32, 32), 5);
        BOOST_REQUIRE(ends[n].promotes == expected.promotes);
        BOOST_REQUIRE(ends[n].suppresses == expected.suppresses);
    }
    vectors[40] = std::numeric_limits<float>::quiet_NaN();  // has no bounds, and no scores
    BOOST_TEST(error_message([&] {
                   (void)words.ends(rows<const float>(vectors.data(), 1100, 32), 5);
               }) == "unembedding: number 8 of vector 1 is nan, expected a finite number");
}

BOOST_AUTO_TEST_CASE(a_vocabulary_screens_one_vector_once_it_is_ready) {
    const stored_matrix<q8_0> stored(5000, 64, 3);
    unembedding<any_matrix> e;
    e.sections.push_back({0, stored.view(), {}});
    const vocabulary words(e);
    words.screen_ends();
    for (unsigned seed = 0; seed < 9; ++seed) {
        const auto v = random_row(64, seed);
        const auto ends = words.ends(rows<const float>(v.data(), 1, 64), 30);
        const auto expected = plain_ends(stored.view(), v, 30);
        BOOST_TEST(ends[0].promotes == expected.promotes);
        BOOST_TEST(ends[0].suppresses == expected.suppresses);
    }
}

// Of a row with an infinity the score may be the highest, and of one with a NaN there is none. For
// many vectors, threads read a batch each, and must not throw.
BOOST_AUTO_TEST_CASE(a_vocabulary_that_is_not_finite_is_neither_screened_nor_read) {
    for (const float bad :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        std::vector<float> values = random_row(200 * 32, 3);
        values[77 * 32 + 5] = bad;
        const matrix<f32> e = matrix_of(values, 200, 32);
        BOOST_TEST(!vocabulary_screen(e).bounded());
        unembedding<any_matrix> tokens;
        tokens.sections.push_back({0, e, {}});
        const auto vectors = random_row(1024 * 32, 5);
        for (const std::size_t count : {1U, 1024U}) {
            BOOST_TEST(error_message([&] {
                           const rows<const float> some(vectors.data(), count, 32);
                           (void)vocabulary(tokens).ends(some, 5);
                       }) ==
                       "unembedding: the score of token 77 is no finite number; look at its row");
        }
    }
    BOOST_TEST(vocabulary_screen(stored_matrix<f32>(9, 32, 1).view()).bounded());
}

// Codes as large as they may be: of vectors random ones, and ones that fill the sums of the scan.
BOOST_AUTO_TEST_CASE(the_scan_sums_exactly) {
    constexpr std::size_t width = 203;
    constexpr int largest = kernels::largest_code;
    kernels::packed_codes packed(kernels::packed_codes::tile_rows, width);
    std::mt19937 generator(3);
    std::vector<std::vector<int>> u(kernels::packed_codes::tile_rows);
    for (std::size_t r = 0; r < u.size(); ++r) {
        std::vector<std::uint8_t> bytes;
        for (std::size_t i = 0; i < width; ++i) {
            const int code = static_cast<int>(generator() % (2 * largest + 1)) - largest;
            const int extreme = r % 2 == 0 ? largest : -largest;
            u[r].push_back(kernels::row_offset + (r % 3 == 0 ? extreme : code));
            bytes.push_back(static_cast<std::uint8_t>(u[r].back()));
        }
        packed.put(r, bytes);
    }
    std::vector<std::vector<std::int8_t>> x(kernels::scan_vectors);
    kernels::scan_codes<kernels::scan_vectors> codes;
    for (std::size_t p = 0; p < x.size(); ++p) {
        x[p].resize(packed.steps() * 4);
        const auto values = random_row(width, static_cast<unsigned>(p));
        const float scale = kernels::scan_scale(values);
        for (std::size_t i = 0; i < width; ++i) {
            const int sign = p % 4 == 0 ? 1 : -1;
            // 127 + 127 + 4 = 258 of each half of 8, the elements 0, 1, 4, 5 and 2, 3, 6, 7
            const int full = i % 8 < 4 ? 127 : i % 8 == 4 || i % 8 == 6 ? 4 : 0;
            const auto rounded = static_cast<int>(std::nearbyint(values[i] / scale));
            x[p][i] = static_cast<std::int8_t>(p % 2 == 0 ? sign * full : rounded);
        }
        codes[p] = x[p].data();
    }
    kernels::scan_sums<kernels::scan_vectors> sums;
    kernels::integer_scan<kernels::scan_vectors>(packed.tile(0), packed.steps(), codes, sums);
    for (std::size_t p = 0; p < x.size(); ++p) {
        kernels::scan_sums<1> alone;
        kernels::integer_scan<1>(packed.tile(0), packed.steps(), {codes[p]}, alone);
        BOOST_REQUIRE(alone[0] == sums[p]);
        for (std::size_t r = 0; r < u.size(); ++r) {
            int expected = 0;
            for (std::size_t i = 0; i < width; ++i) { expected += u[r][i] * x[p][i]; }
            BOOST_REQUIRE_EQUAL(sums[p][r], expected);
        }
    }
}

// What the bound of the scan's sums rests on: 4 codes of a vector are 258 together at most.
BOOST_AUTO_TEST_CASE(codes_of_vectors_fit_the_scan) {
    for (const float size : {1e-20F, 1.0F, 3e38F}) {
        for (unsigned seed = 0; seed < 20; ++seed) {
            auto x = random_row(100, seed);
            for (float& v : x) { v = seed % 3 == 0 ? size : size * std::tanh(v); }
            const float scale = kernels::scan_scale(x);
            for (std::size_t i = 0; kernels::narrow_scan && i < x.size(); i += 8) {
                std::array<int, 2> sum{};
                for (std::size_t j = i; j < std::min(i + 8, x.size()); ++j) {
                    sum[j / 2 % 2] += std::abs(static_cast<int>(std::nearbyint(x[j] / scale)));
                }
                BOOST_TEST((sum[0] <= 258 && sum[1] <= 258));
            }
            for (const float v : x) { BOOST_TEST(std::abs(v / scale) <= 127.5F); }
        }
    }
}
