// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE kv_cache
#include <boost/test/unit_test.hpp>

#include <xlens/nn/kv_cache.hpp>

using namespace xlens;

BOOST_AUTO_TEST_CASE(positions_are_added_at_the_end_and_forgotten_from_there) {
    kv_cache cache(2);
    BOOST_TEST(cache.positions() == 0U);
    BOOST_TEST(cache.extend(3) == 0U);
    for (std::size_t t = 0; t < 3; ++t) {
        cache.keys()[t][1] = static_cast<float>(t);
        cache.values()[t][1] = static_cast<float>(10 + t);
    }
    cache.truncate(1);
    BOOST_TEST(cache.positions() == 1U);
    BOOST_TEST(cache.keys().count() == 1U);
    BOOST_TEST(cache.values().count() == 1U);

    BOOST_TEST(cache.extend(2) == 1U);
    BOOST_TEST(cache.positions() == 3U);
    BOOST_TEST(cache.keys_from(1).count() == 2U);
    BOOST_TEST(cache.values_from(1).count() == 2U);
    cache.keys_from(1)[0][1] = 7.0F;
    cache.values_from(1)[0][1] = 8.0F;
    BOOST_TEST(cache.keys()[0][1] == 0.0F);
    BOOST_TEST(cache.values()[0][1] == 10.0F);
    BOOST_TEST(cache.keys()[1][1] == 7.0F);
    BOOST_TEST(cache.values()[1][1] == 8.0F);

    cache.truncate(5);  // it holds fewer
    BOOST_TEST(cache.positions() == 3U);
}

BOOST_AUTO_TEST_CASE(a_fork_copies_what_follows_the_shared_positions) {
    const auto write = [](kv_cache& cache, std::size_t count, float value) {
        const std::size_t first = cache.extend(count);
        for (std::size_t t = first; t < first + count; ++t) {
            cache.keys()[t][0] = value;
            cache.values()[t][0] = -value;
        }
    };
    kv_cache shared(2);
    write(shared, 3, 1.0F);
    kv_cache other = shared;
    write(shared, 2, 5.0F);
    write(other, 4, 7.0F);
    other.keys()[0][0] = 9.0F;  // not copied: it counts as shared
    other.copy_from(shared, 3);
    BOOST_TEST(other.positions() == 5U);
    BOOST_TEST(other.keys()[0][0] == 9.0F);
    BOOST_TEST(other.keys()[4][0] == 5.0F);
    BOOST_TEST(other.values()[3][0] == -5.0F);
}
