// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE keep_sites
#include <boost/test/unit_test.hpp>

#include <xlens/trace/keep_sites.hpp>

#include "support/error_message.hpp"
#include "support/tiny_model.hpp"

#include <cstddef>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

const tiny_model<>& llama() {
    static const tiny_model<> m("llama/hf");
    return m;
}

struct leaves_at_first {
    static constexpr hook hooks = hook::after;
    static flow after(const site& where, rows<float>) {
        return where.layer == 0 ? flow::stop : flow::proceed;
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_kept_is_of_the_last_pass) {
    const transformer<>& m = llama().model;
    keep_sites keep({{hook::after, 0}, {hook::after, 1}});
    BOOST_TEST(keep.kept(1).count() == 0U);
    sequence_state state = m.start();
    m.forward(state, {1, 2, 3}, keep);
    BOOST_TEST(keep.kept(0).count() == 3U);
    BOOST_TEST(keep.kept(1).count() == 3U);
    for (std::size_t d = 0; d < m.config.width; ++d) {
        BOOST_TEST(keep.kept(1)[2][d] == state.residual(2, d));
    }
    leaves_at_first exit;
    m.forward(state, {4, 5}, keep, exit);
    BOOST_TEST(keep.kept(0).count() == 2U);
    BOOST_TEST(keep.kept(1).count() == 0U);  // not what the pass before had there
}

BOOST_AUTO_TEST_CASE(sites_that_cannot_be_kept_are_refused) {
    BOOST_TEST(error_message([] {
                   keep_sites({{hook::logits, 0}});
               }).starts_with("keep: expected a site of (T, D) or (T, H·d): "));
    keep_sites keep({{hook::after, 9}});
    sequence_state state = llama().model.start();
    BOOST_TEST(error_message([&] { llama().model.forward(state, {1}, keep); }) ==
               "keep: layer 9, the model has layers 0 to 1");
}
