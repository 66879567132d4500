// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE exit_splits
#include <boost/test/unit_test.hpp>

#include <xlens/early_exit/exit_splits.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <span>
#include <vector>

using namespace xlens;
using namespace xlens::early_exit;

BOOST_AUTO_TEST_CASE(the_threshold_is_the_lowest_that_is_precise) {
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        std::vector<float> scores;
        std::vector<float> answers;
        for (int i = 0; i < 12; ++i) {
            scores.push_back(static_cast<float>(random() % 8) / 8.0F);  // with ties
            answers.push_back(random() % 3 != 0 ? 1.0F : 0.0F);
        }
        float expected = std::numeric_limits<float>::infinity();
        for (const float t : std::set<float>(scores.begin(), scores.end())) {
            double above = 0.0;
            double right = 0.0;
            for (std::size_t i = 0; i < scores.size(); ++i) {
                if (scores[i] < t) { continue; }
                above += 1.0;
                right += answers[i];
            }
            if (right >= 0.75 * above) {
                expected = t;
                break;
            }
        }
        BOOST_TEST(precise_threshold(scores, answers, 0.75) == expected);
    }
}

BOOST_AUTO_TEST_CASE(a_split_is_an_order_of_all_that_its_seed_decides) {
    const auto one = early_exit::detail::shuffled(50, 38);
    BOOST_TEST(std::set<std::size_t>(one.begin(), one.end()).size() == 50U);
    BOOST_TEST(one == early_exit::detail::shuffled(50, 38), boost::test_tools::per_element());
    BOOST_TEST((one != early_exit::detail::shuffled(50, 39)));
}

namespace {

constexpr std::size_t layers = 5;
constexpr token_id answer = 7;

/// Items of which all is known: item n settles at a layer of its own, coordinate 0 of its residual
/// is 1 from there on and -1 before, and its clusters there are those of all that settle there.
/// Updates say the same from layer 2 on and nothing before.
struct known_items {
    std::vector<std::size_t> settles;
    std::vector<cluster_item> items;
    exit_examples examples;

    explicit known_items(std::size_t count) {
        std::mt19937 random(3);
        for (std::size_t l = 0; l + 1 < layers; ++l) {
            examples.residuals[l] = xt::zeros<float>({count, std::size_t{3}});
            examples.updates[l] = xt::zeros<float>({count, std::size_t{3}});
        }
        for (std::size_t n = 0; n < count; ++n) {
            const std::size_t at = random() % layers;
            settles.push_back(at);
            cluster_item item;
            for (std::size_t l = 0; l < layers; ++l) {
                item.tops.push_back(l < at ? static_cast<token_id>(100 + l) : answer);
                cluster_ids ids;
                ids.fill(static_cast<std::uint16_t>(l == at ? l : 50 + l));
                item.lists.push_back(ids);
                if (l + 1 == layers) { continue; }
                const float sign = l < at ? -1.0F : 1.0F;
                examples.residuals[l](n, 0) = sign;
                if (l >= 2) { examples.updates[l](n, 0) = sign; }
            }
            items.push_back(item);
        }
    }

    struct figures {
        double agreement = 0.0;
        double saved = 0.0;
    };
    /// What a split gives if exactly the items with leaves(n, layer) leave, by plain loops.
    template <class Leaves>
    figures expected(std::span<const std::size_t> test, Leaves leaves) const {
        figures out;
        for (const std::size_t n : test) {
            std::size_t l = 0;
            while (l + 1 < layers && !leaves(n, l)) { ++l; }
            const double share = 1.0 / static_cast<double>(test.size());
            out.agreement += l >= settles[n] ? share : 0.0;
            out.saved += static_cast<double>(layers - 1 - l) * share;
        }
        return out;
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_table_of_items_of_which_all_is_known) {
    const known_items known(400);
    const std::vector<std::uint64_t> seeds{38, 39, 40};
    std::vector<std::vector<std::uint16_t>> clusters(layers, {0});
    const cluster_match empty(clusters, std::vector<std::vector<float>>(layers, {1.0F}));
    std::size_t last = 0;
    const auto table = exit_splits(known.examples, known.items, empty, seeds,
                                   [&](std::size_t done, std::size_t) { last = done; });
    BOOST_TEST(last == 12U);
    BOOST_TEST_REQUIRE(table.size() == 4U);
    bool some_disagree = false;
    for (std::size_t s = 0; s < seeds.size(); ++s) {
        const std::vector<std::size_t> order = early_exit::detail::shuffled(400, seeds[s]);
        const auto test = std::span(order).last(40);
        const auto validation = std::span(order).subspan(320, 40);
        // All leave where three of four validation items have settled, however they look.
        const auto most_settled = [&](std::size_t l) {
            return 4 * std::ranges::count_if(validation,
                                             [&](auto n) { return known.settles[n] <= l; }) >=
                   3 * 40;
        };
        const auto from = [&](std::size_t first) {
            return known.expected(test, [&, first](std::size_t n, std::size_t l) {
                return most_settled(l) || (l >= first && known.settles[n] <= l);
            });
        };
        const auto settled = known.expected(
            test, [&](std::size_t n, std::size_t l) { return known.settles[n] == l; });
        const known_items::figures expected[] = {from(0), from(2), from(0), settled};
        for (std::size_t r = 0; r < 4; ++r) {
            BOOST_TEST_CONTEXT("rule " << table[r].rule << ", seed " << seeds[s]) {
                BOOST_TEST(std::abs(table[r].splits[s].agreement() - expected[r].agreement) < 1e-9);
                BOOST_TEST(std::abs(table[r].splits[s].saved_layers() - expected[r].saved) < 1e-9);
            }
        }
        some_disagree |= expected[0].agreement < 1.0;
    }
    BOOST_TEST(some_disagree);
}
