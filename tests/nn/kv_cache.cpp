// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE kv_cache
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/nn/kv_cache.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <vector>

using namespace xlens;
namespace data = boost::unit_test::data;

namespace {

constexpr std::size_t width = 32;
const std::vector<std::string> formats{"f32", "f16", "q8_0"};

/// `count` positions more, whose keys are this number and whose values its opposite: 127 times a
/// power of two, which every format has.
void write(kv_cache& cache, std::size_t count, float value) {
    aligned_tensor keys, values;
    const std::size_t first = cache.extend(count);
    const auto [k, v] = cache.write_at(first, keys, values);
    BOOST_TEST(k.count() == count);
    BOOST_TEST(v.count() == count);
    for (std::size_t t = 0; t < count; ++t) {
        for (float& x : k[t]) { x = value; }
        for (float& x : v[t]) { x = -value; }
    }
    cache.keep(first, k, v);
}
float element(const cache_rows& x, std::size_t t, std::size_t i) {
    std::array<float, width> row{};
    return x.decoded(t, row.data())[i];
}

}  // namespace

BOOST_DATA_TEST_CASE(positions_are_added_at_the_end_and_forgotten_from_there, data::make(formats),
                     name) {
    kv_cache cache(width, *format_from_name(name));
    BOOST_TEST(cache.positions() == 0U);
    BOOST_TEST(cache.width() == width);
    for (const float value : {127.0F, 254.0F, 508.0F}) { write(cache, 1, value); }
    cache.truncate(1);
    BOOST_TEST(cache.positions() == 1U);
    BOOST_TEST(cache.keys().count() == 1U);
    BOOST_TEST(cache.values().count() == 1U);

    write(cache, 2, 63.5F);
    BOOST_TEST(cache.positions() == 3U);
    for (const std::size_t t : {0U, 1U, 2U}) {
        const float expected = t == 0 ? 127.0F : 63.5F;
        BOOST_TEST(element(cache.keys(), t, 1) == expected);
        BOOST_TEST(element(cache.values(), t, 31) == -expected);
    }

    cache.truncate(5);  // it holds fewer
    BOOST_TEST(cache.positions() == 3U);
}

BOOST_DATA_TEST_CASE(a_fork_copies_what_follows_the_shared_positions, data::make(formats), name) {
    kv_cache shared(width, *format_from_name(name));
    write(shared, 3, 127.0F);
    kv_cache other(width, *format_from_name(name));
    write(other, 3, 254.0F);  // not copied: it counts as shared
    write(other, 4, 508.0F);
    write(shared, 2, 63.5F);
    other.copy_from(shared, 3);
    BOOST_TEST(other.positions() == 5U);
    BOOST_TEST(element(other.keys(), 0, 0) == 254.0F);
    BOOST_TEST(element(other.keys(), 4, 0) == 63.5F);
    BOOST_TEST(element(other.values(), 3, 0) == -63.5F);
    kv_cache part(width, *format_from_name(name));
    part.take_first(other, 4);
    BOOST_TEST(part.positions() == 4U);
    BOOST_TEST(element(part.values(), 3, 7) == -63.5F);
}
