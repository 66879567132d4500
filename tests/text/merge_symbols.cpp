// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE merge_symbols
#include <boost/test/unit_test.hpp>

#include <xlens/text/merge_symbols.hpp>

#include <cstddef>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

using xlens::token_id;
using xlens::detail::symbol;
using candidate = xlens::detail::merge_candidate<unsigned>;
using rules = std::map<std::pair<token_id, token_id>, candidate>;

std::vector<symbol> characters(const std::string& text) {
    std::vector<symbol> out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        out.push_back({std::string_view(text).substr(i, 1), text[i] - 'a'});
    }
    return out;
}

std::vector<token_id> merged(const rules& known, const std::string& text) {
    std::vector<symbol> symbols = characters(text);
    xlens::detail::merge_symbols<unsigned>(symbols, [&](const symbol& left, const symbol& right) {
        const auto it = known.find({left.id, right.id});
        return it == known.end() ? candidate{} : it->second;
    });
    std::vector<token_id> out;
    for (const symbol& s : symbols) { out.push_back(s.id); }
    return out;
}

/// The definition, in quadratic time: look through all pairs for the best, merge it, begin again.
std::vector<token_id> merged_by_definition(const rules& known, const std::string& text) {
    std::vector<token_id> ids;
    for (const char c : text) { ids.push_back(c - 'a'); }
    while (true) {
        std::size_t best = ids.size();
        candidate chosen;
        for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
            const auto it = known.find({ids[i], ids[i + 1]});
            if (it != known.end() && (best == ids.size() || it->second.order < chosen.order)) {
                best = i;
                chosen = it->second;
            }
        }
        if (best == ids.size()) { return ids; }
        ids[best] = chosen.result;
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(equals_the_definition_on_random_rules) {
    std::mt19937 random(11);  // NOLINT: the same rules every time
    for (int round = 0; round < 3000; ++round) {
        rules known;
        token_id next = 3;
        for (unsigned order = 0; order < 12; ++order) {
            const auto any = [&] {
                return static_cast<token_id>(random() % static_cast<unsigned>(next));
            };
            if (known.try_emplace({any(), any()}, candidate{order, next, true}).second) { ++next; }
        }
        std::string text(random() % 30, 'a');
        for (char& c : text) { c = static_cast<char>('a' + random() % 3); }
        BOOST_TEST(merged(known, text) == merged_by_definition(known, text), text);
    }
}

BOOST_AUTO_TEST_CASE(equal_orders_go_left_to_right) {
    const rules known{{{0, 0}, {0, 9, true}}};
    BOOST_TEST((merged(known, "aaa") == std::vector<token_id>{9, 0}));
    BOOST_TEST(merged(known, "").empty());
    BOOST_TEST((merged(known, "b") == std::vector<token_id>{1}));
}
