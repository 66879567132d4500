// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace xlens {

/// A token and what it scores: a logit, a probability or a projection.
struct scored {
    token_id id = 0;
    float score = 0.0F;
    bool operator==(const scored&) const = default;
};

/// The order of every ranking: the higher score first, the lower id first among equals.
[[nodiscard]] inline bool ranks_before(const scored& a, const scored& b) {
    return a.score > b.score || (a.score == b.score && a.id < b.id);
}

/// The k best of a stream of scores. What is kept does not depend on the order of the offers, so
/// that threads can each take a share of the vocabulary and merge. A NaN never enters. k may be
/// larger than the stream, or 0.
class top_k {
public:
    explicit top_k(std::size_t k) : m_k(k) {}

    [[nodiscard]] std::size_t k() const { return m_k; }
    [[nodiscard]] std::size_t size() const { return m_heap.size(); }

    /// No score below this one can enter any more: the lowest score kept, -inf until k are kept,
    /// +inf if k = 0.
    [[nodiscard]] float threshold() const {
        constexpr float infinity = std::numeric_limits<float>::infinity();
        if (m_k == 0) { return infinity; }
        return full() ? m_heap.front().score : -infinity;
    }

    /// O(log k), O(1) when the score does not enter.
    void offer(token_id id, float score) {
        if (std::isnan(score)) { return; }
        const scored candidate{id, score};
        if (!full()) {
            m_heap.push_back(candidate);
            std::push_heap(m_heap.begin(), m_heap.end(), ranks_before);
        } else if (m_k > 0 && ranks_before(candidate, m_heap.front())) {
            std::pop_heap(m_heap.begin(), m_heap.end(), ranks_before);
            m_heap.back() = candidate;
            std::push_heap(m_heap.begin(), m_heap.end(), ranks_before);
        }
    }

    /// Offers scores[i] as id first_id + i. A batch of scores is looked at one by one only if one
    /// of them reaches the threshold, which after the first few thousand is rare.
    void offer_range(token_id first_id, std::span<const float> scores) {
        std::size_t i = 0;
        for (; i + lanes <= scores.size(); i += lanes) {
            const batch reach = batch::load_unaligned(&scores[i]);
            // Not `>`: of equal scores the lower id is kept, and that can be the later offer.
            if (xsimd::any(reach >= batch(threshold()))) {
                offer_each(first_id, scores, i, i + lanes);
            }
        }
        offer_each(first_id, scores, i, scores.size());
    }

    /// Offers what another one kept. With the same k in both, the k best of both streams.
    void merge(const top_k& other) {
        for (const scored& s : other.m_heap) { offer(s.id, s.score); }
    }

    /// Best first.
    [[nodiscard]] std::vector<scored> sorted() const {
        std::vector<scored> out = m_heap;
        std::sort(out.begin(), out.end(), ranks_before);
        return out;
    }

private:
    [[nodiscard]] bool full() const { return m_heap.size() >= m_k; }

    void offer_each(token_id first_id, std::span<const float> scores, std::size_t begin,
                    std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            offer(first_id + static_cast<token_id>(i), scores[i]);
        }
    }

    std::size_t m_k;
    std::vector<scored> m_heap;  // a heap whose front ranks last
};

}  // namespace xlens
