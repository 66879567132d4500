// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/types.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// From bounds of all scores to the tokens that score highest and lowest, exactly. A score lies in
// [estimate - error, estimate + error]; a token whose upper bound is below the k-th largest lower
// bound cannot be among the k best: k others score higher. The rest is scored by the f32 product,
// with its bits, so that the result is that of the f32 scan, ties included.

namespace xlens::detail {

/// One end of one vector: which tokens may still belong to it, and the k best lower bounds.
class end_search {
public:
    explicit end_search(std::size_t k) : m_bounds(k) {}

    /// No token whose upper bound is below this one can belong to the end any more.
    [[nodiscard]] float bar() const { return m_bounds.bar(); }
    /// A token whose upper bound reaches the bar.
    void offer(token_id id, float estimate, float error) {
        m_bounds.offer(id, estimate - error);
        m_candidates.push_back({id, estimate + error});
    }
    /// Takes what another search over other tokens has found.
    void merge(const end_search& other) {
        m_bounds.merge(other.m_bounds);
        m_candidates.insert(m_candidates.end(), other.m_candidates.begin(),
                            other.m_candidates.end());
    }

    /// The k best, once all tokens were offered: by ⟨e, v⟩·sign, which an estimate has without
    /// `left_out`. Those with the k highest bounds are scored first: most others cannot reach the
    /// lowest of their scores.
    std::vector<scored> exact(const any_matrix& e, std::span<const float> v, float sign,
                              float left_out) {
        const float least = m_bounds.threshold();
        std::vector<scored>& all = m_candidates;
        std::erase_if(all, [least](const scored& s) { return s.score < least; });
        const std::size_t k = m_bounds.k();
        const auto first = all.begin() + static_cast<std::ptrdiff_t>(std::min(k, all.size()));
        if (first != all.end()) { std::nth_element(all.begin(), first, all.end(), ranks_before); }
        top_k best(k);
        score(e, {all.begin(), first}, v, sign, best);
        const float bar = best.threshold();
        const auto last = std::remove_if(
            first, all.end(), [=](const scored& s) { return s.score + sign * left_out < bar; });
        score(e, {first, last}, v, sign, best);
        std::vector<scored> out = best.sorted();
        for (scored& s : out) { s.score *= sign; }
        return out;
    }

private:
    static void score(const any_matrix& e, std::span<const scored> candidates,
                      std::span<const float> v, float sign, top_k& best) {
        std::vector<std::size_t> ids;
        for (const scored& s : candidates) { ids.push_back(static_cast<std::size_t>(s.id)); }
        std::vector<float> scores(ids.size());
        kernels::dot_some_rows(e, ids, v, scores);
        for (std::size_t i = 0; i < ids.size(); ++i) {
            best.offer(candidates[i].id, sign * scores[i]);
        }
    }

    top_k m_bounds;
    std::vector<scored> m_candidates;  ///< with their upper bounds
};

/// Both ends of one vector.
struct ends_search {
    explicit ends_search(std::size_t k) : high(k), low(k) {}

    end_search high;
    end_search low;  ///< of the negated scores

    end_search& end(bool of_high) { return of_high ? high : low; }

    /// Offers a batch of tokens, first to first + lanes - 1. One whose estimate is a NaN is none.
    [[gnu::always_inline]] void offer(std::size_t first, const batch& estimate,
                                      const batch& error) {
        const auto above = estimate + error >= batch(high.bar());
        const auto below = error - estimate >= batch(low.bar());
        if (xsimd::any(above | below)) {
            offer_lanes(kernels::lane_bits(above), kernels::lane_bits(below), first, estimate,
                        error);
        }
    }
    /// One end, once all tokens were offered.
    void finish(bool of_high, const any_matrix& e, std::span<const float> v, float left_out,
                token_ends& out) {
        (of_high ? out.promotes : out.suppresses) =
            end(of_high).exact(e, v, of_high ? 1.0F : -1.0F, left_out);
    }

private:
    /// Those tokens of a batch whose bits are set. Not inlined: it would crowd the registers of
    /// what happens to every batch.
    [[gnu::noinline]] void offer_lanes(std::uint32_t above, std::uint32_t below, std::size_t first,
                                       const batch& estimate, const batch& error) {
        std::array<float, lanes> estimates;
        std::array<float, lanes> errors;
        estimate.store_unaligned(estimates.data());
        error.store_unaligned(errors.data());
        for (; above != 0; above &= above - 1) {
            const auto i = static_cast<std::size_t>(std::countr_zero(above));
            high.offer(static_cast<token_id>(first + i), estimates[i], errors[i]);
        }
        for (; below != 0; below &= below - 1) {
            const auto i = static_cast<std::size_t>(std::countr_zero(below));
            low.offer(static_cast<token_id>(first + i), -estimates[i], errors[i]);
        }
    }
};

}  // namespace xlens::detail
