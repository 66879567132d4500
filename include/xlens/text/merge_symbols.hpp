// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>

#include <cstddef>
#include <cstdint>
#include <queue>
#include <string_view>
#include <vector>

namespace xlens::detail {

/// A part of a word that is already one token, or one character that is none (`id` < 0).
struct symbol {
    std::string_view text;
    token_id id = -1;
    bool frozen = false;  // merges with nothing
};

/// A merge that the vocabulary allows: the smallest `order` goes first, and the leftmost of equals.
template <class Order>
struct merge_candidate {
    Order order{};
    token_id result = -1;
    bool allowed = false;
};

/// Merges neighbouring symbols of one word, best first, until nothing can be merged; `symbols` is
/// replaced by what is left. `candidate(left, right)` gives a merge_candidate<Order>; the texts of
/// the two adjoin wherever those of the given symbols do. O(n log n) for n symbols.
template <class Order, class Candidate>
void merge_symbols(std::vector<symbol>& symbols, Candidate&& candidate) {
    struct entry {
        Order order;
        std::size_t left;
        std::size_t right;
        std::size_t bytes;
        token_id result;
        bool operator<(const entry& other) const {  // std::priority_queue pops the largest
            return order != other.order ? order > other.order : left > other.left;
        }
    };
    const std::size_t count = symbols.size();
    std::vector<std::size_t> previous(count);
    std::vector<std::size_t> next(count);
    std::priority_queue<entry> queue;
    const auto offer = [&](std::size_t left, std::size_t right) {
        if (symbols[left].frozen || symbols[right].frozen) { return; }
        const merge_candidate<Order> merge = candidate(symbols[left], symbols[right]);
        if (!merge.allowed) { return; }
        const std::size_t bytes = symbols[left].text.size() + symbols[right].text.size();
        queue.push({merge.order, left, right, bytes, merge.result});
    };
    for (std::size_t i = 0; i < count; ++i) {
        previous[i] = i - 1;  // wraps for the first; never followed
        next[i] = i + 1;
        if (i > 0) { offer(i - 1, i); }
    }
    while (!queue.empty()) {
        const entry best = queue.top();
        queue.pop();
        symbol& left = symbols[best.left];
        symbol& right = symbols[best.right];
        // Symbols only grow (a merged-away one is empty), so equal sizes mean an untouched pair.
        if (left.text.empty() || right.text.empty() ||
            left.text.size() + right.text.size() != best.bytes) {
            continue;
        }
        left = {{left.text.data(), best.bytes}, best.result};
        right.text = {};
        next[best.left] = next[best.right];
        if (next[best.left] < count) { previous[next[best.left]] = best.left; }
        if (best.left > 0) { offer(previous[best.left], best.left); }
        if (next[best.left] < count) { offer(best.left, next[best.left]); }
    }
    std::erase_if(symbols, [](const symbol& s) { return s.text.empty(); });
}

}  // namespace xlens::detail
