// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE coded_ends
#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/lens/coded_ends.hpp>
#include <xlens/lens/coded_vocabulary.hpp>

#include "support/check_ends.hpp"
#include "support/rows_of_floats.hpp"

#include <cstddef>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

using token_formats = boost::mpl::list<f32, f16, q8_0, q4_1>;

std::vector<token_ends> coded(const any_matrix& e, rows<const float> v, std::size_t k) {
    return coded_ends(coded_vocabulary(e), v, k);
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(gives_what_a_full_scan_gives, Format, token_formats) {
    check_ends_of_all_sizes<Format>(coded);
}
BOOST_AUTO_TEST_CASE(widths_that_fill_no_cache_line) { check_ends_of_odd_widths(coded); }
BOOST_AUTO_TEST_CASE(rows_that_integers_cannot_tell_apart) { check_ends_of_hard_rows(coded); }

// More vectors than share a pass over the codes.
BOOST_AUTO_TEST_CASE(several_batches_of_vectors) {
    const stored_matrix<f32> e(500, 33, 3);
    check_ends(coded, e.view(), random_row(300 * 33, 5), 3);
}
