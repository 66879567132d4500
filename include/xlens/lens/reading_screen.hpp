// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/words.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/finite.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/kernels/short_dots.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/lens/reading.hpp>
#include <xlens/lens/unembedding_rows.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

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
// As in lens/screen.hpp, c = e - ē is a row of E less what all rows have in common. With codes
// b, a (16-bit integers) and scales s, t, c = b/s + r and v = a/t + q, so
//     ⟨e, v⟩ = ⟨ē, v⟩ + ⟨b, a⟩/(s·t) + ⟨r, a/t⟩ + ⟨c, q⟩,
// and by Cauchy and Schwarz the last two are at most ‖r‖·‖a/t‖ + ‖c‖·‖q‖ <= ‖c‖·(ρ·‖a/t‖ + ‖q‖),
// ρ the largest ‖r‖/‖c‖. Scales make ‖b‖, ‖a‖ less than 2^15.5, so that no sum of products leaves
// 32 bits. What an f32 product, the estimate's own arithmetic and ⟨ē, v⟩ round is covered by
// 4·g·max‖e‖·‖v‖, g = (D + 16)·2⁻²⁴ (screen.hpp). Call the whole ε_w: the f32 score z_w lies in
// [est_w - ε_w, est_w + ε_w].
//
// The k best: a token whose upper bound is below the k-th largest lower bound is none of them; the
// others are scored by the f32 product, with its bits, so that the list is that of the f32 scan.
//
// The denominator Z: three kinds of tokens.
//   - far below the largest lower bound m: est + ε < m - log(V/δ). Each adds less than δ/V·exp m,
//     so all of them less than δ·Z; they are left out.
//   - of the others, the least probable, while Σ exp(est)·(exp ε' - 1) <= δ·Z: they add exp(est).
//     Here the product's rounding has no part, so ε' = ‖c‖·(ρ·‖a/t‖ + ‖q‖) + g'·max‖e‖·‖v‖ is
//     enough, with g' = (D/16 + 48)·2⁻²⁴: ⟨ē, v⟩ is added up in 16 lanes or more, and eight
//     roundings of the rest are below 2⁻²³·‖c‖·‖v‖ each, ‖c‖ <= 2·max‖e‖.
//   - the rest, which are scored in f32.
// With δ = 2⁻²² Z is off by less than 2⁻²⁰ of itself, and log Z by as much: less than what rounding
// does to z_w. Where that leaves too many tokens to score one by one, for predictions that are
// nearly flat, the vector is read by an f32 scan.

namespace xlens {

namespace detail {

/// The scale of a row that became codes, ‖x‖ and ‖x - codes/scale‖.
struct short_code {
    float scale = 1.0F;
    float norm = 0.0F;
    float rest_norm = 0.0F;
};

/// The largest scale with which ‖codes‖ < 2^15.5 and |code| < 2^15.
inline short_code encode_shorts(std::span<const float> x, std::int16_t* codes) {
    constexpr float most_norm = 46000.0F;
    constexpr float most = 32767.0F;
    short_code out;
    out.norm = kernels::norm2(x);
    float largest = 0.0F;
    for (const float v : x) { largest = std::max(largest, std::abs(v)); }
    constexpr float least = 1e-30F;  // below, all codes are 0
    if (out.norm > least) { out.scale = std::min(most_norm / out.norm, most / largest); }
    const batch inverse(1.0F / out.scale);
    batch rest(0.0F);
    const auto encode = [&](const batch& values, std::int16_t* to, std::size_t count) {
        const batch code = xsimd::nearbyint(values * batch(out.scale));
        std::array<std::int32_t, lanes> whole;
        to_integers(code, whole.data());
        for (std::size_t l = 0; l < count; ++l) { to[l] = static_cast<std::int16_t>(whole[l]); }
        const batch left = subtract_product(code, inverse, values);
        rest = multiply_add(left, left, rest);
    };
    std::size_t i = 0;
    for (; i + lanes <= x.size(); i += lanes) {
        encode(batch::load_unaligned(&x[i]), codes + i, lanes);
    }
    if (i < x.size()) {
        encode(kernels::load_partial(&x[i], x.size() - i, 0.0F), codes + i, x.size() - i);
    }
    out.rest_norm = std::sqrt(kernels::sum_lanes(rest));
    return out;
}

}  // namespace detail

/// The rows of a matrix E (V, D) prepared for screened readings. Memory V·(2·D + 8) bytes beside E,
/// which is borrowed. Cost of making it: two passes over E.
class reading_screen {
public:
    /// Whether this build has the instructions that make it worth while.
    static constexpr bool wins = XLENS_SHORT_DOTS != 0;
    /// Its codes are not to take more than this.
    static constexpr std::size_t most_bytes = std::size_t{512} << 20U;

    explicit reading_screen(const any_matrix& e)
        : m_matrix(e.in_f32()),
          m_mean(mean_row(e)),
          m_codes(tiles(e.rows()) * tile_rows, e.cols()),
          m_inverse(m_codes.count(), NAN),  // no token: its bounds reach no bar
          m_norms(m_codes.count(), 0.0F),
          m_depth(static_cast<float>(std::log(static_cast<double>(e.rows()) / left_out))) {
        std::vector<extremes> found(tiles(e.rows()));
        parallel_for(found.size(), 16 * tile_rows * e.cols(),
                     [&](std::size_t tile) { found[tile] = prepare(tile); });
        for (const extremes& some : found) {
            m_longest = std::max(m_longest, some.longest);
            m_rounded = std::max(m_rounded, some.rounded);
        }
    }

    /// Whether there are bounds: not if E has an infinity or a NaN, or numbers near those limits.
    [[nodiscard]] bool bounded() const {
        return m_longest < largest_norm && kernels::first_not_finite(m_mean) == m_mean.size();
    }

    /// out[n] = the reading of row n of v (N, D), if bounded() and all of v is finite, with the
    /// log-probability of targets[n] where there are targets; no tokens where it is left to a scan.
    /// Cost N·V·D multiply-adds of 16-bit integers. Needs 0 < k < V.
    void read(rows<const float> v, std::size_t k, std::span<const token_id> targets,
              std::span<reading> out) const {
        const std::size_t each =
            std::min(batch_vectors,
                     std::max<std::size_t>(1, (v.count() + max_threads() - 1) / max_threads()));
        const std::size_t batches = (v.count() + each - 1) / each;
        parallel_for(batches, 2 * each * m_matrix.rows() * v.width(), [&](std::size_t b) {
            const std::size_t first = b * each;
            const std::size_t count = std::min(each, v.count() - first);
            read_batch(v.subrows(first, count), k,
                       targets.empty() ? targets : targets.subspan(first, count),
                       out.subspan(first, count));
        });
    }

private:
    static constexpr std::size_t batch_vectors = 128;  ///< that share a pass over the codes
    static constexpr std::size_t tile_rows = 96;  ///< tokens whose estimates are there at a time
    static constexpr float largest_norm = 1e15F;
    static constexpr double left_out = 0x1p-22;  ///< δ
    /// Shares of the vocabulary: with more candidates, or more to score, a scan is faster.
    static constexpr std::size_t candidate_share = 2;
    static constexpr std::size_t scored_share = 10;

    static std::size_t tiles(std::size_t rows) { return (rows + tile_rows - 1) / tile_rows; }

    struct extremes {
        float longest = 0.0F;  ///< max ‖e‖
        float rounded = 0.0F;  ///< ρ
    };

    /// One vector's search.
    struct search {
        explicit search(std::size_t k) : lower(k) {}

        float inverse = 0.0F;  ///< 1/t
        float shared = 0.0F;   ///< ⟨ē, v⟩
        float factor = 0.0F;   ///< ε = factor·‖c‖ + rounding
        float rounding = 0.0F;
        float own_rounding = 0.0F;  ///< of that, what the estimate's own arithmetic rounds
        float best = -std::numeric_limits<float>::infinity();  ///< the largest lower bound
        top_k lower;                                           ///< the largest lower bounds
        std::vector<std::uint32_t> ids;                        ///< candidates
        std::vector<float> estimates;                          ///< theirs
        bool flat = false;                                     ///< left to a scan

        [[nodiscard]] float error(float norm) const { return factor * norm + rounding; }
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

    extremes prepare(std::size_t tile) {
        std::vector<float> row(m_matrix.cols());
        extremes out;
        const std::size_t end = std::min((tile + 1) * tile_rows, m_matrix.rows());
        for (std::size_t r = tile * tile_rows; r < end; ++r) {
            m_matrix.row(r, row);
            const float length = kernels::norm2(row);
            // std::max would lose a NaN.
            out.longest = length <= out.longest ? out.longest : length;
            if (!(length < largest_norm)) { return {std::numeric_limits<float>::infinity(), 0.0F}; }
            for (std::size_t d = 0; d < row.size(); ++d) { row[d] -= m_mean[d]; }
            const detail::short_code code = detail::encode_shorts(row, m_codes.row(r));
            m_inverse[r] = 1.0F / code.scale;
            m_norms[r] = code.norm;
            if (code.norm > 0.0F) {
                out.rounded = std::max(out.rounded, code.rest_norm / code.norm);
            }
        }
        return out;
    }

    [[nodiscard]] search start(std::span<const float> v, std::size_t k, std::int16_t* codes) const {
        search out(k);
        const detail::short_code code = detail::encode_shorts(v, codes);
        constexpr float slack = 1.0001F;
        const float g = (static_cast<float>(v.size()) + 16.0F) * 0x1p-24F;
        out.inverse = 1.0F / code.scale;
        out.shared = kernels::dot(m_mean, v);
        out.factor = (m_rounded * (code.norm + code.rest_norm) + code.rest_norm) * slack;
        out.rounding = 4.0F * g * m_longest * code.norm;
        const float own = (static_cast<float>(v.size()) / 16.0F + 48.0F) * 0x1p-24F;
        out.own_rounding = own * m_longest * code.norm;
        out.flat = !(code.norm < largest_norm);
        return out;
    }

    struct estimate_buffer;

    void read_batch(rows<const float> v, std::size_t k, std::span<const token_id> targets,
                    std::span<reading> out) const {
        constexpr std::size_t P = kernels::short_block_vectors;
        kernels::short_rows codes((v.count() + P - 1) / P * P, v.width());
        std::vector<search> searches;
        for (std::size_t n = 0; n < v.count(); ++n) {
            searches.push_back(start(v[n], k, codes.row(n)));
        }
        const rows<float> raw(kernels::scratch<estimate_buffer>(codes.count() * tile_rows),
                              codes.count(), tile_rows);
        bool some = true;
        for (std::size_t tile = 0; some && tile < tiles(m_matrix.rows()); ++tile) {
            kernels::short_products(m_codes, tile * tile_rows, codes, raw,
                                    m_codes.coming((tile + 1) * tile_rows, tile_rows));
            some = false;
            for (std::size_t n = 0; n < searches.size(); ++n) {
                if (searches[n].flat) { continue; }
                look_at(searches[n], tile * tile_rows, raw[n]);
                some = some || !searches[n].flat;
            }
        }
        for (std::size_t n = 0; n < searches.size(); ++n) {
            finish(searches[n], v[n], k, targets.empty() ? -1 : targets[n], out[n]);
        }
    }

    /// Collects the candidates of a tile.
    void look_at(search& s, std::size_t first, std::span<const float> raw) const {
        const batch inverse(s.inverse);
        const batch shared(s.shared);
        const batch factor(s.factor);
        const batch rounding(s.rounding);
        batch bar(std::min(s.best - m_depth, s.lower.bar()));
        for (std::size_t r = 0; r < raw.size(); r += lanes) {
            const batch scale = inverse * batch::load_unaligned(&m_inverse[first + r]);
            const batch estimate = multiply_add(batch::load_unaligned(&raw[r]), scale, shared);
            const batch error =
                multiply_add(factor, batch::load_unaligned(&m_norms[first + r]), rounding);
            const std::uint32_t reach = kernels::lane_bits(estimate + error >= bar);
            if (reach == 0) { continue; }
            offer_lanes(s, reach, first + r, estimate, error);
            bar = batch(std::min(s.best - m_depth, s.lower.bar()));
        }
        if (s.ids.size() > m_matrix.rows() / candidate_share) { s.give_up(); }
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
    void finish(search& s, std::span<const float> v, std::size_t k, token_id target,
                reading& out) const {
        if (s.flat) { return; }
        double rest = 0.0;  // Σ exp(est - best) of those that are not scored
        std::vector<std::size_t> scored_ids = to_score(s, rest);
        if (scored_ids.size() > m_matrix.rows() / scored_share) { return; }
        const bool asked = target >= 0;
        if (asked) { scored_ids.push_back(static_cast<std::size_t>(target)); }
        std::vector<float> scores(scored_ids.size());
        kernels::dot_some_rows(m_matrix, scored_ids, v, scores);
        const std::size_t count = scores.size() - (asked ? 1 : 0);
        top_k best(k);
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
    [[nodiscard]] std::vector<std::size_t> to_score(search& s, double& rest) const {
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
            const double own = double{s.factor * m_norms[s.ids[i]] + s.own_rounding};
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
            const float own = s.error(m_norms[s.ids[i]]);
            if (bin_of(s.estimates[i]) < end || s.estimates[i] + own >= threshold) {
                out.push_back(s.ids[i]);
            } else {
                rest += double{weights[i]};
            }
        }
        return out;
    }

    any_matrix m_matrix;
    std::vector<float> m_mean;  ///< ē
    kernels::short_rows m_codes;
    std::vector<float> m_inverse;  ///< 1/s of every row
    std::vector<float> m_norms;    ///< ‖c‖
    float m_depth;                 ///< log(V/δ)
    float m_longest = 0.0F;        ///< max ‖e‖
    float m_rounded = 0.0F;        ///< ρ
};

}  // namespace xlens
