// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE byte_reader
#include <boost/test/unit_test.hpp>

#include <support/byte_writer.hpp>
#include <support/error_message.hpp>

#include <xlens/storage/byte_reader.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

using xlens::byte_reader;
using xlens::test::error_message;

BOOST_AUTO_TEST_CASE(front_to_back_from_any_alignment) {
    const auto bytes = xlens::test::byte_writer()
                           .number(std::uint8_t{7})
                           .number(std::uint32_t{0x01020304})
                           .text("abc")
                           .number(-0.5)
                           .bytes();
    BOOST_TEST(static_cast<int>(bytes[1]) == 4);  // little endian
    byte_reader in("f", std::as_bytes(std::span(bytes)), bytes.size());
    BOOST_TEST(in.number<std::uint8_t>("a") == 7);
    BOOST_TEST(in.number<std::uint32_t>("b") == 0x01020304U);
    BOOST_TEST(in.string("c") == "abc");
    BOOST_TEST(in.position() == 16U);
    BOOST_TEST(in.number<double>("d") == -0.5);
    BOOST_TEST(in.remaining() == 0U);
    BOOST_TEST(in.take(0, "e").empty());
    BOOST_TEST(error_message([&] { in.take(1, "e"); }) ==
               "f: e at byte 24: expected 1 more bytes, got 0 before the end of the file");
}

BOOST_AUTO_TEST_CASE(the_limit_ends_it_before_the_file_does) {
    const std::string bytes(16, '\0');
    byte_reader in("f", std::as_bytes(std::span(bytes)), 8);
    BOOST_TEST(error_message([&] { (void)in.string("s"); }) == "(no error)");
    BOOST_TEST(
        error_message([&] { (void)in.number<char>("c"); }) ==
        "f: c at byte 8: expected 1 more bytes, got 0 before the limit of a header, 8 bytes");
}

BOOST_AUTO_TEST_CASE(lists_are_checked_before_memory_is_allocated) {
    const auto bytes = xlens::test::byte_writer()
                           .number(std::uint64_t{2})
                           .number(std::uint16_t{7})
                           .number(std::uint16_t{9})
                           .number(std::uint64_t{0})
                           .number((std::uint64_t{1} << 63U) + 1)  // times 2, this would be 2
                           .number(std::uint16_t{5})
                           .bytes();
    byte_reader in("f", std::as_bytes(std::span(bytes)));
    BOOST_TEST((in.list<std::uint16_t>("a") == std::vector<std::uint16_t>{7, 9}));
    BOOST_TEST(in.list<double>("b").empty());
    BOOST_TEST(error_message([&] { (void)in.list<std::uint16_t>("c"); }) ==
               "f: c at byte 28: expected 18446744073709551615 more bytes, got 2 before the end of "
               "the file");
    BOOST_TEST(in.value<std::uint16_t>("d") == 5U);
    BOOST_TEST(error_message([&] { (void)in.value<std::uint32_t>("e"); }) ==
               "f: e at byte 30: expected 4 more bytes, got 0 before the end of the file");
}
