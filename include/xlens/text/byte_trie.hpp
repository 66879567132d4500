// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// Byte strings with an id each, to be found as prefixes of a text. Built once; a node's children
/// lie side by side.
class byte_trie {
public:
    byte_trie() = default;
    /// Of equal strings the highest id counts; an empty one is never found. O(bytes · log strings).
    explicit byte_trie(std::vector<std::pair<std::string_view, token_id>> strings) {
        std::ranges::sort(strings);
        struct range {
            std::size_t begin, end;
        };
        std::vector<range> ranges{{0, strings.size()}};
        m_nodes.push_back({});
        std::vector<std::size_t> depths{0};
        for (std::size_t n = 0; n < m_nodes.size(); ++n) {
            auto [at, end] = ranges[n];
            const std::size_t depth = depths[n];
            for (; at < end && strings[at].first.size() == depth; ++at) {
                m_nodes[n].id = depth == 0 ? -1 : strings[at].second;
            }
            m_nodes[n].first = static_cast<std::uint32_t>(m_nodes.size());
            while (at < end) {
                const char byte = strings[at].first[depth];
                const std::size_t begin = at;
                while (at < end && strings[at].first[depth] == byte) { ++at; }
                m_nodes.push_back({0, 0, -1, byte});
                ranges.push_back({begin, at});
                depths.push_back(depth + 1);
                ++m_nodes[n].children;
            }
        }
    }

    [[nodiscard]] bool empty() const { return m_nodes.size() < 2; }

    /// visit(length, id) for every string that text[at...] begins with, shortest first. O(the
    /// longest that fits).
    template <class Visit>
    void each_prefix(std::string_view text, std::size_t at, Visit&& visit) const {
        const node* now = m_nodes.empty() ? nullptr : m_nodes.data();
        for (std::size_t i = at; now != nullptr && i < text.size(); ++i) {
            now = child(*now, text[i]);
            if (now != nullptr && now->id >= 0) { visit(i + 1 - at, now->id); }
        }
    }

    /// Bytes of the longest string that text[at...] begins with, 0 for none.
    [[nodiscard]] std::size_t longest(std::string_view text, std::size_t at) const {
        std::size_t out = 0;
        each_prefix(text, at, [&](std::size_t length, token_id) { out = length; });
        return out;
    }

private:
    struct node {
        std::uint32_t first = 0;
        std::uint16_t children = 0;
        token_id id = -1;
        char byte = 0;
    };

    [[nodiscard]] const node* child(const node& parent, char byte) const {
        const node* begin = m_nodes.data() + parent.first;
        if (parent.children <= 1) {  // most of them
            return parent.children == 1 && begin->byte == byte ? begin : nullptr;
        }
        const node* end = begin + parent.children;
        // Sorted as string_view sorts: by unsigned bytes.
        const auto value = [](char c) { return static_cast<unsigned char>(c); };
        const node* found = std::lower_bound(
            begin, end, byte, [&](const node& n, char c) { return value(n.byte) < value(c); });
        return found != end && found->byte == byte ? found : nullptr;
    }

    std::vector<node> m_nodes;
};

}  // namespace xlens
