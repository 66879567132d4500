// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE would_exit
#include <boost/test/unit_test.hpp>

#include <xlens/early_exit/any_rule.hpp>
#include <xlens/early_exit/exit_policy.hpp>
#include <xlens/early_exit/would_exit.hpp>
#include <xlens/trace/trace.hpp>

#include "support/rows_of_floats.hpp"
#include "support/tiny_model.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

using namespace xlens;
using namespace xlens::early_exit;
using namespace xlens::test;

namespace {

const tiny_model<>& llama() {
    static const tiny_model<> m("llama/hf");
    return m;
}

/// Leaves layer 0 at some positions, by what the FFN added.
any_rule some_leave() {
    classifier rule(classifier_input::update);
    rule.set(0, {random_row(llama().model.config.width, 51), 0.0F});
    return {std::move(rule)};
}

/// The layers at which decoding leaves, token by token.
std::vector<std::size_t> decoded() {
    std::vector<std::size_t> out;
    exit_policy exit(some_leave(), 0.5F);
    sequence_state state = llama().model.start();
    for (const token_id& id : llama().ids) {
        llama().model.forward(state, std::span(&id, 1), exit);
        out.push_back(state.exit_layer);
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_names_the_layers_at_which_decoding_leaves) {
    const std::vector<std::size_t> expected = decoded();
    const std::span<const token_id> ids = llama().ids;
    const auto left = std::ranges::count(expected, 0U);
    BOOST_TEST(left > 0);
    BOOST_TEST(left < static_cast<std::ptrdiff_t>(ids.size()));
    for (const std::size_t pass : {ids.size(), std::size_t{3}, std::size_t{1}}) {
        would_exit policy(some_leave(), 0.5F);
        sequence_state state = llama().model.start();
        for (std::size_t first = 0; first < ids.size(); first += pass) {
            const auto part = ids.subspan(first, std::min(pass, ids.size() - first));
            llama().model.forward(state, part, policy);
            BOOST_TEST(state.exit_layer == llama().model.config.layers - 1);  // it stops nothing
        }
        BOOST_TEST(policy.layers() == expected, boost::test_tools::per_element());
        // Positions that are forgotten and read again.
        state.truncate(4);
        llama().model.forward(state, ids.subspan(4), policy);
        BOOST_TEST(policy.layers() == expected, boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(a_trace_with_it_is_the_trace_without) {
    would_exit policy(some_leave(), 0.5F);
    const std::span<const token_id> ids = llama().ids;
    const trace_options options{3, 2, observe::positions::all};
    const auto with = trace(llama().model, ids, options, policy);
    const auto without = trace(llama().model, ids, options);
    BOOST_REQUIRE(policy.layers().size() == ids.size());
    for (std::size_t p = 0; p < with.size(); ++p) {
        BOOST_TEST(!without[p].exit_layer.has_value());
        BOOST_TEST(with[p].prediction().top[0].score == without[p].prediction().top[0].score);
    }
}
