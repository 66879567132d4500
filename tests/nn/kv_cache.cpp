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
