// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE splitmix64
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/splitmix64.hpp>

#include <cstdint>
#include <set>

using xlens::splitmix64;

BOOST_AUTO_TEST_CASE(the_numbers_that_are_found_everywhere) {
    // Those of the reference program of Sebastiano Vigna, from seed 1234567.
    splitmix64 draw(1234567);
    for (const std::uint64_t expected :
         {6457827717110365317U, 3203168211198807973U, 9817491932198370423U, 4593380528125082431U,
          16408922859458223821U}) {
        BOOST_TEST(draw() == expected);
    }
    BOOST_TEST(splitmix64(0)() == 0xE220A8397B1DCDAFU);
    static_assert(splitmix64::scrambled(splitmix64::step) == 0xE220A8397B1DCDAFU);
}

BOOST_AUTO_TEST_CASE(a_stream_of_a_seed_begins_where_both_say) {
    // The states that its definition walks through from the stream's first: the finaliser of
    // multiples of 0x9E3779B97F4A7C15, in plain arithmetic.
    const auto finalised = [](std::uint64_t z) {
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    };
    splitmix64 draw = splitmix64::stream(0, 0);  // begins at 0
    for (std::uint64_t i = 1; i <= 5; ++i) {
        BOOST_TEST(draw() == finalised(i * 0x9E3779B97F4A7C15U));
    }
    BOOST_TEST(splitmix64::stream(5, 7)() ==
               finalised(finalised(finalised(5) + 7) + 0x9E3779B97F4A7C15U));
    BOOST_TEST(splitmix64::stream(0, 1)() != splitmix64::stream(0, 0)());
    BOOST_TEST(splitmix64::stream(1, 0)() != splitmix64::stream(0, 0)());
}

BOOST_AUTO_TEST_CASE(a_number_for_every_place) {
    // mixed(seed, a, b, c) of tests/golden/torch_events.py, in Python's whole numbers.
    BOOST_TEST(splitmix64::of(0, 0) == 2558736989570252433U);
    BOOST_TEST(splitmix64::of(7, 11, 13, 17) == 2686128342434817632U);
    std::set<std::uint64_t> seen;
    for (std::uint64_t a = 0; a < 10; ++a) {
        for (std::uint64_t b = 0; b < 10; ++b) {
            for (std::uint64_t c = 0; c < 10; ++c) { seen.insert(splitmix64::of(3, a, b, c)); }
        }
    }
    BOOST_TEST(seen.size() == 1000U);
}
