// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE io_fingerprint
#include <boost/test/unit_test.hpp>

#include <xlens/storage/fingerprint.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace {

std::uint64_t hash_of(std::string_view text) {
    xlens::fnv1a hash;
    hash.add(std::as_bytes(std::span(text)));
    return hash.value();
}

/// One tensor "w" of 64 x 64 floats over these bytes.
xlens::tensor_map map_of(const std::vector<std::byte>& data) {
    xlens::tensor_map out;
    out["w"] = {"w", xlens::format_id::f32, {64, 64}, data.data(), data.size(), "a file"};
    return out;
}

std::vector<std::byte> zeros() { return std::vector<std::byte>(64 * 64 * 4); }

}  // namespace

BOOST_AUTO_TEST_CASE(the_hash_is_fnv_1a) {
    // From the test suite of the draft by Fowler, Noll, Vo and Eastlake.
    BOOST_TEST(hash_of("") == 0xcbf29ce484222325U);
    BOOST_TEST(hash_of("a") == 0xaf63dc4c8601ec8cU);
    BOOST_TEST(hash_of("foobar") == 0x85944171f73967e8U);
}

BOOST_AUTO_TEST_CASE(a_number_is_eight_bytes_lowest_first) {
    xlens::fnv1a hash;
    hash.add(std::uint64_t{0x0807060504030201U});
    BOOST_TEST(hash.value() == hash_of("\1\2\3\4\5\6\7\10"));
}

BOOST_AUTO_TEST_CASE(where_the_file_lies_does_not_matter) {
    const auto data = zeros();
    const auto copy = data;
    auto moved = map_of(copy);
    moved["w"].file = "another file";
    BOOST_TEST(xlens::fingerprint(map_of(data)) == xlens::fingerprint(moved));
}

BOOST_AUTO_TEST_CASE(every_part_of_a_tensor_counts) {
    const auto data = zeros();
    const std::uint64_t original = xlens::fingerprint(map_of(data));

    auto shape = map_of(data);
    shape["w"].shape = {32, 128};
    BOOST_TEST(xlens::fingerprint(shape) != original);

    auto format = map_of(data);
    format["w"].format = xlens::format_id::f16;
    BOOST_TEST(xlens::fingerprint(format) != original);

    xlens::tensor_map name;
    name["x"] = map_of(data).at("w");
    BOOST_TEST(xlens::fingerprint(name) != original);

    auto more = map_of(data);
    more["x"] = more["w"];
    BOOST_TEST(xlens::fingerprint(more) != original);

    for (const std::size_t at : {std::size_t{0}, std::size_t{4095}}) {
        auto changed = zeros();
        changed[at] = std::byte{1};
        BOOST_TEST(xlens::fingerprint(map_of(changed)) != original);
    }
}

BOOST_AUTO_TEST_CASE(only_the_first_4_kib_of_a_tensor_are_read) {
    const auto data = zeros();
    auto changed = zeros();
    changed[4096] = std::byte{1};
    BOOST_TEST(xlens::fingerprint(map_of(changed)) == xlens::fingerprint(map_of(data)));
}

BOOST_AUTO_TEST_CASE(a_model_without_tensors_has_a_fingerprint) {
    BOOST_TEST(xlens::fingerprint({}) == hash_of(std::string_view("\0\0\0\0\0\0\0\0", 8)));
}
