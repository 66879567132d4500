// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE core
#include <boost/test/unit_test.hpp>

#include <xlens/core/checked.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/lazy.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/version.hpp>

#include "support/error_message.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace xlens;
using namespace xlens::test;

BOOST_AUTO_TEST_CASE(text_from_outside_becomes_one_short_line) {
    BOOST_TEST(printable("plain") == "plain");
    BOOST_TEST(printable(std::string_view("a\nb\x00\xff", 5)) == "a\\x0ab\\x00\\xff");
    BOOST_TEST(printable(std::string(100, 'x')) == std::string(80, 'x') + "...");
    BOOST_TEST(printable("abcdef", 3) == "abc...");
}

BOOST_AUTO_TEST_CASE(lists_are_joined) {
    BOOST_TEST(joined(std::vector<std::size_t>{576, 1536}, " x ") == "576 x 1536");
    BOOST_TEST(joined(std::vector<std::string>{"", "a", ""}, ", ") == ", a, ");
    BOOST_TEST(joined(std::array<std::string_view, 1>{"llama"}, " or ") == "llama");
    BOOST_TEST(joined(std::vector<int>{}, ", ").empty());
}

BOOST_AUTO_TEST_CASE(checked_arithmetic_says_when_it_does_not_fit) {
    constexpr auto most = std::numeric_limits<std::uint64_t>::max();
    BOOST_TEST((checked_add<std::uint64_t>(most - 1, 1) == most));
    BOOST_TEST(!checked_add<std::uint64_t>(most, 1).has_value());
    BOOST_TEST((checked_multiply<std::uint64_t>(1ULL << 32U, 1ULL << 31U) == 1ULL << 63U));
    BOOST_TEST(!checked_multiply<std::uint64_t>(1ULL << 32U, 1ULL << 32U).has_value());
}

BOOST_AUTO_TEST_CASE(neurons_are_written_layer_colon_index) {
    BOOST_TEST((parse_neuron("12:1033", "x") == neuron{12, 1033}));
    BOOST_TEST(to_string(neuron{0, 7}) == "0:7");
    for (const char* bad : {"", ":", "1:", ":1", "1", "a:b", "1:2:3", "-1:2", "1: 2", "1:2 ",
                            "99999999999999999999:1", "0x1:2"}) {
        BOOST_TEST(error_message([&] { (void)parse_neuron(bad, "--set"); }) ==
                   std::string("--set: expected a neuron LAYER:INDEX such as 12:1033, got '") +
                       bad + "'");
    }
}

BOOST_AUTO_TEST_CASE(a_lazy_value_is_computed_once_for_all_threads) {
    const lazy<int> value;
    std::atomic<int> computed = 0;
    std::vector<std::thread> threads;
    std::atomic<int> sum = 0;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            sum += value.get([&] {
                ++computed;
                return 5;
            });
        });
    }
    for (std::thread& t : threads) { t.join(); }
    BOOST_TEST(computed == 1);
    BOOST_TEST(sum == 40);
    lazy<int> copy = value;
    BOOST_TEST(copy.get([] { return 6; }) == 5);
    copy = lazy<int>();
    BOOST_TEST(copy.get([] { return 7; }) == 7);
}

BOOST_AUTO_TEST_CASE(every_index_of_a_parallel_loop_runs_once) {
    for (const std::size_t threads : {1U, 2U, 5U}) {
        set_threads(threads);
        for (const std::size_t count : {0U, 1U, 2U, 1000U}) {
            std::vector<std::atomic<int>> seen(count);
            parallel_for(count, parallel_threshold, [&](std::size_t i) { ++seen[i]; });
            for (const auto& s : seen) { BOOST_REQUIRE_EQUAL(s.load(), 1); }
        }
    }
}

BOOST_AUTO_TEST_CASE(the_version_is_the_projects) {
    const char* of_project = std::getenv("XLENS_VERSION");
    BOOST_TEST_REQUIRE(of_project != nullptr);
    BOOST_TEST(version == of_project);
}
