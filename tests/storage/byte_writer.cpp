// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE byte_writer
#include <boost/test/unit_test.hpp>

#include <xlens/storage/byte_reader.hpp>
#include <xlens/storage/byte_writer.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using namespace xlens;

BOOST_AUTO_TEST_CASE(bytes_are_little_endian_and_lengths_have_64_bits) {
    byte_buffer to;
    byte_writer out(to);
    out.value(std::uint32_t{0x01020304});
    out.string("ab");
    out.list(std::vector<std::uint16_t>{0x0506, 7});
    out.values(std::span("xy", 2));
    out.size(3);
    const std::string expected(
        "\4\3\2\1"
        "\2\0\0\0\0\0\0\0"
        "ab"
        "\2\0\0\0\0\0\0\0"
        "\6\5\7\0"
        "xy"
        "\3\0\0\0\0\0\0\0",
        36);
    BOOST_TEST(std::string(reinterpret_cast<const char*>(to.bytes.data()), to.bytes.size()) ==
               expected);
}

BOOST_AUTO_TEST_CASE(the_reader_gives_back_what_was_written) {
    byte_buffer to;
    byte_writer out(to);
    const std::array<std::uint64_t, 3> counts{1, 2, 1ULL << 63U};
    out.value(counts);
    out.list(std::vector<double>{0.5, -2.0});
    out.list(std::vector<float>{});
    out.string("");
    byte_reader in("f", to.bytes);
    BOOST_TEST((in.value<std::array<std::uint64_t, 3>>("counts") == counts));
    BOOST_TEST((in.list<double>("a") == std::vector<double>{0.5, -2.0}));
    BOOST_TEST(in.list<float>("b").empty());
    BOOST_TEST(in.string("c").empty());
    BOOST_TEST(in.remaining() == 0U);
}
