// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE core
#include <boost/test/unit_test.hpp>

#include <xlens/core/checked.hpp>
#include <xlens/core/comma_separated.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/lazy.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/core/version.hpp>

#include "support/error_message.hpp"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
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

BOOST_AUTO_TEST_CASE(lists_are_cut_at_commas) {
    using parts = std::vector<std::string_view>;
    BOOST_TEST((comma_separated("a,bc") == parts{"a", "bc"}));
    BOOST_TEST((comma_separated("a") == parts{"a"}));
    BOOST_TEST((comma_separated(" a ,, b,") == parts{" a ", "", " b", ""}));
    BOOST_TEST((comma_separated("") == parts{""}));
}

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

BOOST_AUTO_TEST_CASE(a_value_that_comes_in_time_is_computed_for_the_nth_who_asks) {
    const lazy_in_time<int> value;
    const auto five = [] { return 5; };
    BOOST_TEST(value.get(3, five) == nullptr);
    lazy_in_time<int> copy = value;  // has been asked once, too
    BOOST_TEST(value.get(3, five) == nullptr);
    BOOST_TEST(*value.get(3, five) == 5);
    BOOST_TEST(*value.get(9, [] { return 6; }) == 5);
    BOOST_TEST(copy.get(3, five) == nullptr);
    BOOST_TEST(*copy.get(3, [] { return 7; }) == 7);
    copy = value;
    BOOST_TEST(*copy.get(1, [] { return 8; }) == 5);
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

BOOST_AUTO_TEST_CASE(loops_one_after_the_other_take_nothing_of_each_other) {
    set_threads(3);
    std::vector<std::size_t> sums(7, 0);
    for (std::size_t round = 1; round <= 20'000; ++round) {
        const std::size_t count = 2 + round % 6;
        parallel_for(count, parallel_threshold, [&](std::size_t i) { sums[i] += round; });
    }
    for (std::size_t i = 0; i < sums.size(); ++i) {
        std::size_t expected = 0;
        for (std::size_t round = 1; round <= 20'000; ++round) {
            expected += i < 2 + round % 6 ? round : 0;
        }
        BOOST_TEST(sums[i] == expected);
    }
}

BOOST_AUTO_TEST_CASE(loops_of_several_threads_and_loops_in_loops_run_whole) {
    set_threads(4);
    std::vector<std::thread> threads;
    std::atomic<std::size_t> sum = 0;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            set_threads(4);
            for (int round = 0; round < 500; ++round) {
                parallel_for(5, parallel_threshold, [&](std::size_t i) {
                    parallel_for(3, parallel_threshold, [&](std::size_t j) { sum += i * j; });
                });
            }
        });
    }
    for (std::thread& t : threads) { t.join(); }
    BOOST_TEST(sum == 4U * 500U * 30U);
}

BOOST_AUTO_TEST_CASE(a_child_process_computes_without_the_parents_threads) {
    set_threads(3);
    std::atomic<std::size_t> sum = 0;
    const auto add = [&](std::size_t i) { sum += i; };
    parallel_for(100, parallel_threshold, add);
    const pid_t child = fork();
    BOOST_TEST_REQUIRE(child >= 0);
    if (child == 0) {
        parallel_for(100, parallel_threshold, add);
        _exit(sum == 2 * 4950U ? 0 : 1);
    }
    int status = 1;
    BOOST_TEST_REQUIRE(waitpid(child, &status, 0) == child);
    BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(threads_that_wait_sleep) {
    set_threads(3);
    const auto busy = [] {
        timespec now{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
    };
    std::atomic<int> sum = 0;
    parallel_for(100, parallel_threshold, [&](std::size_t) { ++sum; });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const double before = busy();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    // Of processor time, so that other programs change nothing.
    BOOST_TEST(busy() - before < 0.02);
}

BOOST_AUTO_TEST_CASE(the_version_is_the_projects) {
    const char* of_project = std::getenv("XLENS_VERSION");
    BOOST_TEST_REQUIRE(of_project != nullptr);
    BOOST_TEST(version == of_project);
}

#ifdef __FMA__
// Whatever a compiler makes of a product and a sum: 2^-24 would be lost between them.
BOOST_AUTO_TEST_CASE(multiply_add_rounds_once) {
    const batch x(1.0F + std::ldexp(1.0F, -12));
    const batch one_and_more(1.0F + std::ldexp(1.0F, -11));
    BOOST_TEST(multiply_subtract(x, x, one_and_more).get(0) == std::ldexp(1.0F, -24));
    BOOST_TEST(multiply_add(x, x, -one_and_more).get(0) == std::ldexp(1.0F, -24));
    BOOST_TEST(subtract_product(x, x, one_and_more).get(0) == -std::ldexp(1.0F, -24));
}
#endif
