// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE byte_tokens
#include <boost/test/unit_test.hpp>

#include <xlens/text/byte_tokens.hpp>

#include <fmt/format.h>

BOOST_AUTO_TEST_CASE(all_bytes_in_either_case) {
    for (int b = 0; b < 256; ++b) {
        BOOST_TEST(xlens::parse_byte_token(fmt::format("<0x{:02X}>", b)).value() == b);
        BOOST_TEST(xlens::parse_byte_token(fmt::format("<0x{:02x}>", b)).value() == b);
    }
}

BOOST_AUTO_TEST_CASE(anything_else_is_none) {
    for (const char* text : {"", "<0x>", "<0x1>", "<0x-1>", "<0x+1>", "<0x 1>", "<0xZZ>", "<0x0G>",
                             "<0x100>", "<0X41>", "<0x41", "0x41>", "<0x41> ", "<1x41>"}) {
        BOOST_TEST(!xlens::parse_byte_token(text).has_value(), text);
    }
    BOOST_TEST(xlens::looks_like_byte_token("<0x-1>"));
    BOOST_TEST(!xlens::looks_like_byte_token("<0x41"));
}
