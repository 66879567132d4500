// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

namespace xlens {

/// The order of every ranking: the higher score first, the lower id first among equals.
inline constexpr auto ranks_before = []<class Id>(const scored_id<Id>& a, const scored_id<Id>& b) {
    return a.score > b.score || (a.score == b.score && a.id < b.id);
};

/// The k best of a stream of scores of things numbered by `Id`: tokens (top_k, below), the neurons
/// of a model one after the other, whatever is ranked. What is kept does not depend on the order of
/// the offers, so that threads can each take a share of the vocabulary and merge. A NaN never
/// enters. k may be larger than the stream, or 0.
///
/// Offers that pass the bar are collected, and cut down to the k best when there are twice as many:
/// an offer costs O(1), where a heap would cost O(log k).
template <class Id>
class top_ids {
public:
    using scored = scored_id<Id>;

    explicit top_ids(std::size_t k) : m_k(k), m_bar(k == 0 ? infinity : -infinity) {}

    [[nodiscard]] std::size_t k() const { return m_k; }
    [[nodiscard]] std::size_t size() const { return std::min(m_kept.size(), m_k); }

    /// No score below this one can enter any more. Rises towards the threshold as scores come in.
    [[nodiscard]] float bar() const { return m_bar; }
    /// The lowest score among the k best, which the bar becomes: -inf until there are k, +inf if
    /// k = 0. O(k).
    float threshold() {
        if (m_k > 0 && m_kept.size() >= m_k) { cut(); }
        return m_bar;
    }

    void offer(Id id, float score) {
        // Also false for a NaN. Of equal scores the lower id is kept, and that can be the later
        // one.
        if (!(score >= m_bar) || m_k == 0) { return; }
        m_kept.push_back({id, score});
        if (m_kept.size() >= 2 * std::min(m_k, most_before_cut) + 32 && m_kept.size() >= m_k) {
            cut();
        }
    }

    /// Offers scores[i] as id first_id + i. A batch of scores is looked at one by one only if one
    /// of them reaches the bar, which after the first few thousand is rare.
    void offer_range(Id first_id, std::span<const float> scores) {
        std::size_t i = 0;
        for (; i + lanes <= scores.size(); i += lanes) {
            const batch reach = batch::load_unaligned(&scores[i]);
            if (xsimd::any(reach >= batch(m_bar))) { offer_each(first_id, scores, i, i + lanes); }
        }
        offer_each(first_id, scores, i, scores.size());
    }

    /// Offers what another one kept. With the same k in both, the k best of both streams.
    void merge(const top_ids& other) {
        for (const scored& s : other.m_kept) { offer(s.id, s.score); }
    }

    /// Best first.
    [[nodiscard]] std::vector<scored> sorted() const {
        std::vector<scored> out = m_kept;
        const auto end = out.begin() + static_cast<std::ptrdiff_t>(size());
        std::partial_sort(out.begin(), end, out.end(), ranks_before);
        out.erase(end, out.end());
        return out;
    }

private:
    static constexpr float infinity = std::numeric_limits<float>::infinity();
    static constexpr std::size_t most_before_cut = std::size_t{1} << 32U;  // 2·k must not overflow

    /// Keeps the k best of at least k.
    void cut() {
        const auto last = m_kept.begin() + static_cast<std::ptrdiff_t>(m_k - 1);
        std::nth_element(m_kept.begin(), last, m_kept.end(), ranks_before);
        m_bar = last->score;
        m_kept.resize(m_k);
    }

    void offer_each(Id first_id, std::span<const float> scores, std::size_t begin,
                    std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            offer(first_id + static_cast<Id>(i), scores[i]);
        }
    }

    std::size_t m_k;
    float m_bar;
    std::vector<scored> m_kept;  // the k best so far are among these
};

/// The k best tokens.
using top_k = top_ids<token_id>;

/// Offers scores[i] as id first_id + i to `high`, and negated to `low`: both ends in one pass.
template <class Id>
void offer_ends(top_ids<Id>& high, top_ids<Id>& low, std::type_identity_t<Id> first_id,
                std::span<const float> scores) {
    const auto offer_each = [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            high.offer(first_id + static_cast<Id>(i), scores[i]);
            low.offer(first_id + static_cast<Id>(i), -scores[i]);
        }
    };
    batch above(high.bar());
    batch below(-low.bar());
    std::size_t i = 0;
    for (; i + lanes <= scores.size(); i += lanes) {
        const batch reach = batch::load_unaligned(&scores[i]);
        if (xsimd::any((reach >= above) | (reach <= below))) {
            offer_each(i, i + lanes);
            above = batch(high.bar());
            below = batch(-low.bar());
        }
    }
    offer_each(i, scores.size());
}

}  // namespace xlens
