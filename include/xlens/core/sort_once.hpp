// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/function_ref.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace xlens {

/// 0 .. count - 1, sorted by `before` of two numbers; what is equal stays in its order.
[[gnu::noinline]] inline std::vector<std::size_t> sorted_order(
    std::size_t count, function_ref<bool(std::size_t, std::size_t)> before) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return before(a, b) || (a < b && !before(b, a));
    });
    return order;
}

/// Sorts what is sorted once, when a file is read: for all kinds of items one sort is compiled, of
/// numbers. What is equal stays in its order.
template <class Item, class Before>
void sort_once(std::vector<Item>& items, Before before) {
    std::vector<Item> sorted;
    sorted.reserve(items.size());
    for (const std::size_t i : sorted_order(items.size(), [&](std::size_t a, std::size_t b) {
             return before(items[a], items[b]);
         })) {
        sorted.push_back(std::move(items[i]));
    }
    items = std::move(sorted);
}

}  // namespace xlens
