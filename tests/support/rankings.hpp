// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/lens/reading.hpp>
#include <xlens/lens/token_ends.hpp>

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

}  // namespace xlens::test
