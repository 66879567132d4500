// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/lens/reading.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/trace/trace.hpp>

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

// Rankings of real models beside a golden's, in which neighbours may be closer than rounding.

namespace xlens::test {

/// Equal lists, but tokens whose probabilities are closer than 1e-4 may stand in either order.
inline void check_ranking(const nlohmann::json& expected, const reading& found, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const double probability = expected[i]["probability"];
        BOOST_TEST(std::abs(found.probability(found.top[i]) - probability) < 1e-4);
        if (found.top[i].id == expected[i]["id"].get<token_id>()) { continue; }
        bool tied = false;
        for (const nlohmann::json& other : expected) {
            tied = tied || (other["id"].get<token_id>() == found.top[i].id &&
                            std::abs(other["probability"].get<double>() - probability) < 1e-4);
        }
        BOOST_TEST(tied, "rank " << i << ": token " << found.top[i].id << ", expected "
                                 << expected[i]["id"]);
    }
}

inline void check_ends(const nlohmann::json& expected, const std::vector<scored>& found) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double score = expected[i]["score"];
        BOOST_TEST(std::abs(double{found[i].score} - score) <
                   1e-3 * std::max(1.0, std::abs(score)));
        bool tied = found[i].id == expected[i]["id"].get<token_id>();
        for (const nlohmann::json& other : expected) {
            tied = tied || (other["id"].get<token_id>() == found[i].id &&
                            std::abs(other["score"].get<double>() - score) < 1e-4);
        }
        const bool at_the_end = i + 1 == expected.size();
        BOOST_TEST((tied || at_the_end), "rank " << i << ": token " << found[i].id);
    }
}

/// The layers of a traced position: both readings, and the dominant sub-updates with their concepts
/// where the golden has them.
inline void check_layers(const nlohmann::json& expected, const traced_position& found) {
    BOOST_TEST_REQUIRE(found.layers.size() == expected.size());
    for (std::size_t l = 0; l < expected.size(); ++l) {
        BOOST_TEST_CONTEXT("layer " << l) {
            check_ranking(expected[l]["before"], found.layers[l].before, 5);
            check_ranking(expected[l]["after"], found.layers[l].after, 5);
            for (std::size_t i = 0; i < 10; ++i) {
                const nlohmann::json& e = expected[l]["sub_updates"][i];
                const traced_sub_update& f = found.layers[l].sub_updates[i];
                const auto near = boost::test_tools::tolerance(1e-3F);
                BOOST_TEST(f.where.index == e["neuron"].get<std::size_t>());
                BOOST_TEST(f.coefficient == e["coefficient"].get<float>(), near);
                BOOST_TEST(f.norm == e["norm"].get<float>(), near);
                const float dominance = e.contains("dominance") ? e["dominance"].get<float>()
                                                                : std::abs(f.coefficient) * f.norm;
                BOOST_TEST(f.dominance == dominance, near);
                if (e.contains("promotes")) {
                    check_ends(e["promotes"], f.concept_of_value->promotes);
                    check_ends(e["suppresses"], f.concept_of_value->suppresses);
                }
            }
        }
    }
}

}  // namespace xlens::test
