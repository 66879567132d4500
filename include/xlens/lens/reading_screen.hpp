// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/types.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/lens/coded_vocabulary.hpp>
#include <xlens/lens/reading.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

// The k best tokens of E·v and the log of the softmax's denominator, log Σ_w exp⟨e_w, v⟩, for many
// vectors v, in less time than E·v takes in f32: scores are first estimated from 16-bit integers,
// with a bound of the error, and only tokens that matter are scored in f32.
//
// coded_vocabulary gives of each token w an estimate est_w and ε_w, such that the f32 score lies in
// [est_w - ε_w, est_w + ε_w], and the ε'_w of the exact one (lens/coded_vocabulary.hpp).
//
// The k best: a token whose upper bound is below the k-th largest lower bound is none of them; the
// others are scored by the f32 product, with its bits, so that the list is that of the f32 scan.
//
// The denominator Z: three kinds of tokens.
//   - far below the largest lower bound m: est + ε < m - log(V/δ). Each adds less than δ/V·exp m,
//     so all of them less than δ·Z; they are left out.
//   - of the others, the least probable, while Σ exp(est)·(exp ε' - 1) <= δ·Z: they add exp(est).
//     Here the product's rounding has no part, so ε' is enough.
//   - the rest, which are scored in f32.
// With δ = 2⁻²² Z is off by less than 2⁻²⁰ of itself, and log Z by as much: less than what rounding
// does to z_w. Where that leaves too many tokens to score one by one, for predictions that are
// nearly flat, the vector is read by an f32 scan.

namespace xlens {

/// Readings of a vocabulary as codes, which is borrowed.
class reading_screen {
public:
    explicit reading_screen(const coded_vocabulary& e)
        : m_codes(&e),
          m_depth(static_cast<float>(std::log(static_cast<double>(e.size()) / left_out))) {}

    /// out[n] = the reading of row n of v (N, D), if e.bounded() and all of v is finite, with the
    /// log-probability of targets[n] where there are targets; no tokens where it is left to a scan.
    /// Cost N·V·D multiply-adds of 16-bit integers. Needs 0 < k < V.
    void read(rows<const float> v, std::size_t k, std::span<const token_id> targets,
              std::span<reading> out) const {
        m_codes->each_batch(v, [&](std::size_t first, rows<const float> some) {
            read_batch(some, k, targets.empty() ? targets : targets.subspan(first, some.count()),
                       out.subspan(first, some.count()));
        });
    }

private:
    using coded_vectors = coded_vocabulary::coded_vectors;
    using vector_terms = coded_vocabulary::vector_terms;

    static constexpr double left_out = 0x1p-22;  ///< δ
    /// Shares of the vocabulary: with more candidates, or more to score, a scan is faster.
    static constexpr std::size_t candidate_share = 2;
    static constexpr std::size_t scored_share = 10;

    /// One vector's search.
    struct search {
        explicit search(std::size_t k) : lower(k) {}

        float best = -std::numeric_limits<float>::infinity();  ///< the largest lower bound
        top_k lower;                                           ///< the largest lower bounds
        std::vector<std::uint32_t> ids;                        ///< candidates
        std::vector<float> estimates;                          ///< theirs
        bool flat = false;                                     ///< left to a scan

        void offer(std::size_t token, float estimate, float own_error) {
            ids.push_back(static_cast<std::uint32_t>(token));
            estimates.push_back(estimate);
            best = std::max(best, estimate - own_error);
            lower.offer(static_cast<token_id>(token), estimate - own_error);
        }
        void give_up() {
            flat = true;
            ids.clear();
            estimates.clear();
        }
    };

    void read_batch(rows<const float> v, std::size_t k, std::span<const token_id> targets,
                    std::span<reading> out) const {
        const coded_vectors coded = m_codes->encode(v);
        std::vector<search> searches(v.count(), search(k));
        for (std::size_t n = 0; n < v.count(); ++n) { searches[n].flat = !coded.terms[n].bounded; }
        m_codes->each_tile(coded, [&](std::size_t first, rows<const float> products) {
            bool some = false;
            for (std::size_t n = 0; n < searches.size(); ++n) {
                if (searches[n].flat) { continue; }
                look_at(searches[n], {*m_codes, coded.terms[n]}, first, products[n]);
                some = some || !searches[n].flat;
            }
            return some;
        });
        for (std::size_t n = 0; n < searches.size(); ++n) {
            finish(searches[n], coded.terms[n], v[n], targets.empty() ? -1 : targets[n], out[n]);
        }
    }

    /// Collects the candidates of a tile.
    void look_at(search& s, const coded_vocabulary::estimator& estimate, std::size_t first,
                 std::span<const float> products) const {
        batch bar(std::min(s.best - m_depth, s.lower.bar()));
        for (std::size_t r = 0; r < products.size(); r += lanes) {
            const auto found = estimate(first + r, &products[r]);
            const std::uint32_t reach = kernels::lane_bits(found.value + found.error >= bar);
            if (reach == 0) { continue; }
            offer_lanes(s, reach, first + r, found.value, found.error);
            bar = batch(std::min(s.best - m_depth, s.lower.bar()));
        }
        if (s.ids.size() > m_codes->size() / candidate_share) { s.give_up(); }
    }
    [[gnu::noinline]] static void offer_lanes(search& s, std::uint32_t reach, std::size_t first,
                                              const batch& estimate, const batch& error) {
        std::array<float, lanes> estimates;
        std::array<float, lanes> errors;
        estimate.store_unaligned(estimates.data());
        error.store_unaligned(errors.data());
        for (; reach != 0; reach &= reach - 1) {
            const auto i = static_cast<std::size_t>(std::countr_zero(reach));
            s.offer(first + i, estimates[i], errors[i]);
        }
    }

    /// What is left once all candidates are there.
    void finish(search& s, const vector_terms& terms, std::span<const float> v, token_id target,
                reading& out) const {
        if (s.flat) { return; }
        double rest = 0.0;  // Σ exp(est - best) of those that are not scored
        std::vector<std::size_t> scored_ids = to_score(s, terms, rest);
        if (scored_ids.size() > m_codes->size() / scored_share) { return; }
        const bool asked = target >= 0;
        if (asked) { scored_ids.push_back(static_cast<std::size_t>(target)); }
        std::vector<float> scores(scored_ids.size());
        kernels::dot_some_rows(m_codes->matrix(), scored_ids, v, scores);
        const std::size_t count = scores.size() - (asked ? 1 : 0);
        top_k best(s.lower.k());
        double sum = rest;
        for (std::size_t i = 0; i < count; ++i) {
            best.offer(static_cast<token_id>(scored_ids[i]), scores[i]);
            sum += std::exp(double{scores[i]} - double{s.best});
        }
        out.log_normaliser = static_cast<float>(double{s.best} + std::log(sum));
        out.top = best.sorted();
        if (asked) { out.target = scores.back() - out.log_normaliser; }
    }

    /// The candidates that are to be scored, in the order of their ids; the others add to `rest`.
    [[nodiscard]] std::vector<std::size_t> to_score(search& s, const vector_terms& terms,
                                                    double& rest) const {
        // Candidates by how far below the best lower bound they are, an eighth of a nat a bin.
        constexpr float bins_a_nat = 8.0F;
        constexpr double infinity = std::numeric_limits<double>::infinity();
        const auto bins = static_cast<std::size_t>(bins_a_nat * m_depth) + 2;
        const auto bin_of = [&](float estimate) {
            const float at = std::max(0.0F, bins_a_nat * (s.best - estimate));
            return static_cast<std::size_t>(std::min(at, static_cast<float>(bins - 1)));
        };
        std::vector<float> weights = s.estimates;
        kernels::transform(
            weights, [shift = batch(s.best)](const batch& x) { return xsimd::exp(x - shift); });
        std::vector<double> doubt(bins, 0.0);  // by how much they may be off
        double total = 0.0;
        for (std::size_t i = 0; i < s.ids.size(); ++i) {
            const double own = double{terms.factor * m_codes->norm(s.ids[i]) + terms.own_rounding};
            // exp ε - 1 <= ε + ε² up to 1.79.
            const double most = own < 1.5 ? own + own * own : infinity;
            doubt[bin_of(s.estimates[i])] += double{weights[i]} * most;
            total += double{weights[i]};
        }
        std::size_t end = bins;  // bins from here on are not scored
        double doubts = 0.0;
        while (end > 0 && doubts + doubt[end - 1] <= left_out * total) { doubts += doubt[--end]; }
        const float threshold = s.lower.threshold();
        std::vector<std::size_t> out;
        for (std::size_t i = 0; i < s.ids.size(); ++i) {
            const float own = terms.factor * m_codes->norm(s.ids[i]) + terms.rounding;
            if (bin_of(s.estimates[i]) < end || s.estimates[i] + own >= threshold) {
                out.push_back(s.ids[i]);
            } else {
                rest += double{weights[i]};
            }
        }
        return out;
    }

    const coded_vocabulary* m_codes;
    float m_depth;  ///< log(V/δ)
};

}  // namespace xlens
