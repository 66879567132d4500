// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE guarded
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>

#include <xlens/storage/guarded.hpp>

#include <new>
#include <stdexcept>
#include <string>

using xlens::guarded;
using xlens::test::error_message;

BOOST_AUTO_TEST_CASE(the_result_passes_through) {
    const int seven = guarded("f", [] { return 7; });
    BOOST_TEST(seven == 7);
    int value = 1;
    int& same = guarded("f", [&]() -> int& { return value; });
    BOOST_TEST(&same == &value);
}

BOOST_AUTO_TEST_CASE(exceptions_become_errors_about_the_file) {
    BOOST_TEST(error_message([] { guarded("f", [] { xlens::fail("g: bad"); }); }) == "g: bad");
    BOOST_TEST(error_message([] { guarded("f", [] { throw std::bad_alloc(); }); }) ==
               "f: there is not enough memory to read it");
    BOOST_TEST(error_message([] { guarded("f", [] { throw std::length_error("a\nb"); }); }) ==
               "f: cannot be read: a\\x0ab");
}
