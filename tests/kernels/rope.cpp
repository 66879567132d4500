// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE rope
#include <boost/test/unit_test.hpp>

#include <xlens/kernels/rope.hpp>
#include <xlens/reference/rope.hpp>

#include "support/golden_bytes.hpp"
#include "support/lengths.hpp"
#include "support/rows_of_floats.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

using namespace xlens::test;
using xlens::rope_style;
using xlens::rope_table;

namespace {

constexpr std::array styles{rope_style::halves, rope_style::pairs};
constexpr std::array<std::size_t, 6> golden_positions{0, 1, 7, 100, 2047, 8191};

struct turn {
    std::vector<float> cos, sin;
};

turn random_turn(std::size_t n, std::uint32_t seed) {
    turn out{random_row(n, seed), std::vector<float>(n)};
    for (std::size_t i = 0; i < n; ++i) {
        out.sin[i] = std::sin(out.cos[i]);
        out.cos[i] = std::cos(out.cos[i]);
    }
    return out;
}

/// Against transformers: frequencies within two units in the last place, and cosines within what
/// such a difference makes of an angle, plus one rounding.
void check_golden(const std::string& name, const rope_table& table) {
    const auto bytes = golden_bytes("rope/" + name + ".bin");
    std::vector<float> golden(bytes.size() / sizeof(float));
    std::memcpy(golden.data(), bytes.data(), bytes.size());
    constexpr std::size_t n = 32;
    BOOST_REQUIRE_EQUAL(golden.size(), n * (1 + 2 * golden_positions.size()));
    BOOST_REQUIRE_EQUAL(table.frequencies().size(), n);
    for (std::size_t i = 0; i < n; ++i) {
        const float difference = table.frequencies()[i] - golden[i];
        BOOST_REQUIRE_SMALL(difference, 2.4e-7F * golden[i]);
    }
    std::vector<float> cos(n);
    std::vector<float> sin(n);
    for (std::size_t p = 0; p < golden_positions.size(); ++p) {
        table.angles(golden_positions[p], cos, sin);
        for (std::size_t i = 0; i < n; ++i) {
            const float angle = static_cast<float>(golden_positions[p]) * golden[i];
            const float bound = 2e-7F + 2.4e-7F * angle;
            BOOST_REQUIRE_SMALL(cos[i] - golden[n * (1 + 2 * p) + i], bound);
            BOOST_REQUIRE_SMALL(sin[i] - golden[n * (2 + 2 * p) + i], bound);
        }
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(is_the_reference_at_every_length_and_alignment) {
    for (const rope_style style : styles) {
        for (const std::size_t n : row_lengths()) {
            const auto [cos, sin] = random_turn(n, 1);
            const auto head = random_row(2 * n + 5, 2);  // the last five do not turn
            auto expected = head;
            xlens::reference::rope(expected, cos, sin, style);
            auto once = head;
            xlens::kernels::rope(once, cos, sin, style);
            for (std::size_t i = 0; i < head.size(); ++i) {
                BOOST_REQUIRE_SMALL(once[i] - expected[i], 1e-6F);
            }
            BOOST_REQUIRE(
                same_bits(std::span(once).subspan(2 * n), std::span(head).subspan(2 * n)));
            for (std::size_t shift = 0; shift < 16; ++shift) {
                shifted_row moved(head, shift);
                shifted_row moved_cos(cos, (shift * 3) % 16);
                shifted_row moved_sin(sin, (shift * 5) % 16);
                xlens::kernels::rope(moved.row(), moved_cos.row(), moved_sin.row(), style);
                BOOST_REQUIRE(same_bits(moved.row(), once));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(the_two_styles_are_a_permutation_of_each_other) {
    for (const std::size_t n : row_lengths()) {
        const auto [cos, sin] = random_turn(n, 3);
        auto halves = random_row(2 * n, 4);
        std::vector<float> pairs(2 * n);
        for (std::size_t i = 0; i < 2 * n; ++i) { pairs[i] = halves[i / 2 + (i % 2) * n]; }
        xlens::kernels::rope(halves, cos, sin, rope_style::halves);
        xlens::kernels::rope(pairs, cos, sin, rope_style::pairs);
        for (std::size_t i = 0; i < 2 * n; ++i) {
            BOOST_REQUIRE_EQUAL(pairs[i], halves[i / 2 + (i % 2) * n]);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_quarter_turn_by_hand) {
    const std::vector<float> cos{0.0F, 1.0F};
    const std::vector<float> sin{1.0F, 0.0F};
    std::vector<float> head{1.0F, 2.0F, 3.0F, 4.0F};
    xlens::kernels::rope(head, cos, sin, rope_style::halves);
    BOOST_TEST(head == (std::vector<float>{-3.0F, 2.0F, 1.0F, 4.0F}));
    head = {1.0F, 2.0F, 3.0F, 4.0F};
    xlens::kernels::rope(head, cos, sin, rope_style::pairs);
    BOOST_TEST(head == (std::vector<float>{-2.0F, 1.0F, 3.0F, 4.0F}));
}

BOOST_AUTO_TEST_CASE(tables_are_those_of_transformers) {
    check_golden("plain", rope_table(64, 10000.0F));
    check_golden("large_theta", rope_table(64, 1000000.0F));
    check_golden("linear", rope_table(64, 10000.0F, xlens::rope_linear{4.0F}));
    check_golden("llama3",
                 rope_table(64, 500000.0F, xlens::rope_llama3{32.0F, 1.0F, 4.0F, 8192.0F}));
}

BOOST_AUTO_TEST_CASE(divisors_divide_each_frequency) {
    const rope_table plain(6, 100.0F);
    const rope_table divided(6, 100.0F, xlens::rope_divisors{{1.0F, 2.0F, 8.0F}});
    BOOST_TEST(divided.frequencies()[0] == plain.frequencies()[0]);
    BOOST_TEST(divided.frequencies()[1] == plain.frequencies()[1] / 2.0F);
    BOOST_TEST(divided.frequencies()[2] == plain.frequencies()[2] / 8.0F);
}

BOOST_AUTO_TEST_CASE(bad_parameters_are_refused) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    BOOST_CHECK_THROW(rope_table(63, 10000.0F), xlens::error);
    BOOST_CHECK_THROW(rope_table(64, 0.0F), xlens::error);
    BOOST_CHECK_THROW(rope_table(64, nan), xlens::error);
    BOOST_CHECK_THROW(rope_table(64, 1e4F, xlens::rope_linear{0.0F}), xlens::error);
    BOOST_CHECK_THROW(rope_table(64, 1e4F, xlens::rope_llama3{8.0F, 4.0F, 4.0F, 8192.0F}),
                      xlens::error);
    BOOST_CHECK_THROW(rope_table(64, 1e4F, xlens::rope_divisors{{1.0F}}), xlens::error);
    BOOST_CHECK_THROW(rope_table(2, 1e4F, xlens::rope_divisors{{-1.0F}}), xlens::error);
}

BOOST_AUTO_TEST_CASE(no_rotary_dimensions_turn_nothing) {
    const rope_table none(0, 10000.0F);
    BOOST_TEST(none.frequencies().empty());
    std::vector<float> head{1.0F, 2.0F};
    xlens::kernels::rope(head, {}, {}, rope_style::pairs);
    BOOST_TEST(head == (std::vector<float>{1.0F, 2.0F}));
}
