// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE token_map
#include <boost/test/unit_test.hpp>

#include <xlens/text/token_map.hpp>

#include <string_view>

BOOST_AUTO_TEST_CASE(found_by_view) {
    const xlens::token_map map{{"ab", 3}, {"", 4}};
    BOOST_TEST(xlens::find_token(map, std::string_view("xaby").substr(1, 2)).value() == 3);
    BOOST_TEST(xlens::find_token(map, "").value() == 4);
    BOOST_TEST(!xlens::find_token(map, "a").has_value());
}
