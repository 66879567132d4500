// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE crc32
#include <boost/test/unit_test.hpp>

#include <xlens/io/crc32.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

using namespace xlens;

namespace {

/// Bit by bit, as ISO 3309 has it.
std::uint32_t by_bits(std::span<const std::byte> bytes) {
    std::uint32_t crc = 0xffffffffU;
    for (const std::byte b : bytes) {
        crc ^= std::to_integer<std::uint32_t>(b);
        for (int bit = 0; bit < 8; ++bit) { crc = (crc >> 1U) ^ (0xedb88320U * (crc & 1U)); }
    }
    return ~crc;
}

std::vector<std::byte> some_bytes(std::size_t count) {
    std::vector<std::byte> out(count);
    std::uint32_t state = 1;
    for (std::byte& b : out) {
        state = state * 1664525U + 1013904223U;
        b = static_cast<std::byte>(state >> 24U);
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(has_the_check_value_of_the_standard) {
    constexpr std::string_view digits = "123456789";
    BOOST_TEST(crc32(std::as_bytes(std::span(digits))) == 0xcbf43926U);
    BOOST_TEST(crc32({}) == 0U);
}

BOOST_AUTO_TEST_CASE(equals_the_definition_whatever_the_length) {
    const auto bytes = some_bytes(400);
    for (std::size_t n = 0; n <= bytes.size(); ++n) {
        for (const std::size_t first : {0U, 1U, 7U}) {
            const auto part = std::span(bytes).subspan(std::min(first, n), n - std::min(first, n));
            BOOST_REQUIRE_EQUAL(crc32(part), by_bits(part));
        }
    }
}

BOOST_AUTO_TEST_CASE(goes_on_from_what_stands_before) {
    const auto bytes = some_bytes(300);
    const std::uint32_t whole = by_bits(bytes);
    for (std::size_t n = 0; n <= bytes.size(); ++n) {
        const auto all = std::span(bytes);
        BOOST_REQUIRE_EQUAL(crc32(all.subspan(n), crc32(all.first(n))), whole);
    }
}
