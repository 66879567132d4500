// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/words.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/integer_scan.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/lens/unembedding_rows.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

// The two ends of E·v for many vectors v, exactly, in less time than E·v takes in f32: scores are
// first bounded in 8-bit integers, and only tokens that may be among the k best are scored in f32.
//
// What all rows e of E have in common, their mean ē, adds the same to every token's score and is
// left out: c = e - ē. (In SmolLM2 it is two thirds of a row's length; without it the bounds are
// half as wide again.) Write c = s·b + r and v = t·a + q, with codes b, a (small integers, of which
// kernels/integer_scan.hpp says what they may be), scales s, t and what rounding left, r and q.
// Then
//     ⟨c, v⟩ = s·t·⟨b, a⟩ + ⟨r, t·a⟩ + ⟨c, q⟩
// and by Cauchy and Schwarz |⟨c, v⟩ - s·t·⟨b, a⟩| <= ‖r‖·‖t·a‖ + ‖c‖·‖q‖. The sum ⟨b, a⟩ is exact
// in 32 bits. An f32 sum of D products, in any order, is off from ⟨e, v⟩ by at most g·‖e‖·‖v‖ with
// g = (D + 16)·2⁻²⁴. Four times that also covers what else is rounded: c itself, ⟨ē, v⟩, and the
// estimate (four operations, each below 2⁻²³·‖e‖·‖v‖); a relative 10⁻⁴ covers the norms. So with
//     error(e, v) = (‖r‖·‖t·a‖ + ‖c‖·‖q‖)·(1 + 10⁻⁴) + 4·g·max‖e‖·‖v‖
// the f32 score, less ⟨ē, v⟩, lies in [estimate - error, estimate + error]. A token whose upper
// bound is below the k-th largest lower bound cannot be among the k best: k others score higher.
// The rest is scored by the f32 product, with its bits, so that the result is that of the f32 scan,
// ties included.

namespace xlens {

namespace detail {

/// The largest |x_i|.
inline float largest_of(std::span<const float> x) {
    float out = 0.0F;
    for (const float v : x) { out = std::max(out, std::abs(v)); }
    return out;
}

/// A row as codes: x ≈ scale·codes, with ‖x‖, ‖scale·codes‖ and ‖x - scale·codes‖.
struct coded_row {
    float scale = 0.0F;
    float norm = 0.0F;
    float coded_norm = 0.0F;
    float rest_norm = 0.0F;
};
/// With a scale that makes codes of at most 127.
inline coded_row encode(std::span<const float> x, float scale, std::span<std::int8_t> codes) {
    coded_row out;
    out.scale = scale;
    constexpr float least = 1e-30F;  // below, the inverse would be infinite: all codes are 0
    const float inverse = out.scale > least ? 1.0F / out.scale : 0.0F;
    struct coded_values;
    struct rest_values;
    const std::span<float> coded(kernels::scratch<coded_values>(x.size()), x.size());
    const std::span<float> rest(kernels::scratch<rest_values>(x.size()), x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
        const float code = std::nearbyint(x[i] * inverse);
        codes[i] = std::abs(code) <= 127.0F ? static_cast<std::int8_t>(code) : std::int8_t{0};
        coded[i] = out.scale * static_cast<float>(codes[i]);
        rest[i] = x[i] - coded[i];
    }
    out.norm = kernels::norm2(x);
    out.coded_norm = kernels::norm2(coded);
    out.rest_norm = kernels::norm2(rest);
    return out;
}

}  // namespace detail

/// The rows of a matrix E (V, D) prepared for screening. Memory V·(D + 12) bytes beside E, which is
/// borrowed. Cost of making it: one pass over E.
class vocabulary_screen {
public:
    /// Whether this build has the instructions that make it worth while.
    static constexpr bool wins = kernels::fast_integer_scan;

    explicit vocabulary_screen(const any_matrix& e)
        : m_matrix(e),
          m_mean(mean_row(e)),
          m_codes(e.rows(), e.cols()),
          m_scales(padded(), NAN),  // no token: its bounds reach no bar
          m_norms(padded()),
          m_rests(padded()) {
        std::vector<float> longest(m_codes.tiles());
        parallel_for(m_codes.tiles(), 64 * kernels::packed_codes::tile_rows * e.cols(),
                     [&](std::size_t tile) { longest[tile] = prepare(tile); });
        m_longest = *std::ranges::max_element(longest);
    }

    /// Whether there are bounds: not if E has an infinity or a NaN.
    [[nodiscard]] bool bounded() const {
        return std::isfinite(m_longest) &&
               std::ranges::all_of(m_mean, [](float x) { return std::isfinite(x); });
    }

    /// The k tokens that score highest and lowest by E·v_n, for each row of v (N, D): what a scan
    /// of all scores gives, bit for bit, if bounded() and all of v is finite. Cost N·V·D
    /// multiply-adds of 8-bit integers and D in f32 for every candidate; memory O(candidates) a
    /// thread. Of a few vectors, which threads share the vocabulary for, the codes are read from
    /// memory once: a quarter of E in f32.
    [[nodiscard]] std::vector<token_ends> ends(rows<const float> v, std::size_t k) const {
        std::vector<token_ends> out(v.count());
        const std::size_t batches = (v.count() + batch_vectors - 1) / batch_vectors;
        if (batches < max_threads()) {
            for (std::size_t first = 0; first < v.count(); first += batch_vectors) {
                const std::size_t count = std::min(batch_vectors, v.count() - first);
                share(v.subrows(first, count), k, std::span(out).subspan(first, count));
            }
            return out;
        }
        parallel_for(batches, 2 * batch_vectors * m_matrix.rows() * v.width(), [&](std::size_t b) {
            const std::size_t first = b * batch_vectors;
            const std::size_t count = std::min(batch_vectors, v.count() - first);
            scan(v.subrows(first, count), k, std::span(out).subspan(first, count));
        });
        return out;
    }

private:
    /// Vectors that share a pass over the codes.
    static constexpr std::size_t batch_vectors = 8 * kernels::scan_vectors;

    /// One end of one vector: which tokens may still belong to it, and the k best lower bounds.
    struct end_search {
        explicit end_search(std::size_t k) : bounds(k) {}
        top_k bounds;
        std::vector<scored> candidates;  ///< with their upper bounds

        /// A token whose upper bound reaches the bar.
        void offer(token_id id, float estimate, float error) {
            bounds.offer(id, estimate - error);
            candidates.push_back({id, estimate + error});
        }
        /// Takes what another search over other tokens has found.
        void merge(const end_search& other) {
            bounds.merge(other.bounds);
            candidates.insert(candidates.end(), other.candidates.begin(), other.candidates.end());
        }
        /// What is left once all tokens were offered.
        void finish() {
            const float least = bounds.threshold();
            std::erase_if(candidates, [least](const scored& s) { return s.score < least; });
        }
    };
    struct search {
        search(std::size_t k, std::size_t width) : codes(width), high(k), low(k) {}
        std::vector<std::int8_t> codes;
        std::int32_t code_sum = 0;
        float scale = 0.0F;
        float rest_factor = 0.0F;  ///< error = rest_factor·‖r‖ + norm_factor·‖c‖ + rounding
        float norm_factor = 0.0F;
        float rounding = 0.0F;
        float shared = 0.0F;  ///< ⟨ē, v⟩
        end_search high;
        end_search low;  ///< of the negated scores

        end_search& end(bool of_high) { return of_high ? high : low; }
    };

    [[nodiscard]] std::size_t padded() const {
        return m_codes.tiles() * kernels::packed_codes::tile_rows;
    }

    /// Encodes the rows of a tile; returns the largest ‖e‖ of them.
    float prepare(std::size_t tile) {
        constexpr std::size_t tile_rows = kernels::packed_codes::tile_rows;
        std::vector<float> row(m_matrix.cols());
        std::vector<std::int8_t> codes(row.size());
        std::vector<std::uint8_t> shifted(row.size());
        float longest = 0.0F;
        const std::size_t end = std::min((tile + 1) * tile_rows, m_matrix.rows());
        for (std::size_t r = tile * tile_rows; r < end; ++r) {
            m_matrix.row(r, row);
            longest = std::max(longest, kernels::norm2(row));
            for (std::size_t d = 0; d < row.size(); ++d) { row[d] -= m_mean[d]; }
            constexpr auto most = static_cast<float>(kernels::largest_code);
            const detail::coded_row coded =
                detail::encode(row, detail::largest_of(row) / most, codes);
            // The instruction may want one side unsigned: with n = row_offset b + n, and n·Σ a is
            // taken off again.
            std::ranges::transform(codes, shifted.begin(), [](std::int8_t b) {
                return static_cast<std::uint8_t>(b + kernels::row_offset);
            });
            m_codes.put(r, shifted);
            m_scales[r] = coded.scale;
            m_norms[r] = coded.norm;
            m_rests[r] = coded.rest_norm;
        }
        return longest;
    }

    [[nodiscard]] search start(std::span<const float> v, std::size_t k) const {
        search out(k, m_codes.steps() * 4);
        const detail::coded_row coded = detail::encode(v, kernels::scan_scale(v), out.codes);
        out.scale = coded.scale;
        for (const std::int8_t a : out.codes) { out.code_sum += a; }
        constexpr float slack = 1.0001F;
        const float g = (static_cast<float>(v.size()) + 16.0F) * 0x1p-24F;
        out.rest_factor = coded.coded_norm * slack;
        out.norm_factor = coded.rest_norm * slack;
        out.shared = kernels::dot(m_mean, v);
        out.rounding = 4.0F * g * m_longest * coded.norm;
        return out;
    }

    [[nodiscard]] std::vector<search> start(rows<const float> v, std::size_t k) const {
        std::vector<search> out;
        for (std::size_t n = 0; n < v.count(); ++n) { out.push_back(start(v[n], k)); }
        return out;
    }

    void scan(rows<const float> v, std::size_t k, std::span<token_ends> out) const {
        std::vector<search> searches = start(v, k);
        look_at(0, m_codes.tiles(), searches);
        for (std::size_t n = 0; n < v.count(); ++n) {
            for (const bool high : {true, false}) { finish(searches[n], v[n], k, high, out[n]); }
        }
    }
    /// The same on all threads.
    void share(rows<const float> v, std::size_t k, std::span<token_ends> out) const {
        const std::size_t parts = std::min(4 * max_threads(), m_codes.tiles());
        std::vector<std::vector<search>> found(parts, start(v, k));
        const std::size_t work = 2 * v.count() * v.width() * m_matrix.rows() / parts;
        parallel_for(parts, work, [&](std::size_t i) {
            look_at(m_codes.tiles() * i / parts, m_codes.tiles() * (i + 1) / parts, found[i]);
        });
        constexpr std::size_t guess = 500;  // candidates
        parallel_for(2 * v.count(), 2 * guess * v.width(), [&](std::size_t i) {
            const std::size_t n = i / 2;
            const bool high = i % 2 == 0;
            search& all = found[0][n];
            for (std::size_t part = 1; part < parts; ++part) {
                all.end(high).merge(found[part][n].end(high));
            }
            finish(all, v[n], k, high, out[n]);
        });
    }
    void finish(search& s, std::span<const float> v, std::size_t k, bool high,
                token_ends& out) const {
        (high ? out.promotes : out.suppresses) =
            exact(s.end(high), s.shared, v, k, high ? 1.0F : -1.0F);
    }

    /// Offers the tokens of tiles [first, last).
    void look_at(std::size_t first, std::size_t last, std::span<search> all) const {
        for (std::size_t tile = first; tile < last; ++tile) {
            m_codes.prefetch(tile + 1);
            for (std::size_t n = 0; n < all.size(); n += kernels::scan_vectors) {
                const auto some = all.subspan(n, std::min(kernels::scan_vectors, all.size() - n));
                if (some.size() == 1) {
                    look_at_tile<1>(tile, some);
                } else {
                    look_at_tile<kernels::scan_vectors>(tile, some);
                }
            }
        }
    }
    template <std::size_t P>
    void look_at_tile(std::size_t tile, std::span<search> some) const {
        kernels::scan_codes<P> codes;
        for (std::size_t p = 0; p < P; ++p) {
            codes[p] = some[std::min(p, some.size() - 1)].codes.data();
        }
        kernels::scan_sums<P> sums;
        kernels::integer_scan<P>(m_codes.tile(tile), m_codes.steps(), codes, sums);
        for (std::size_t p = 0; p < some.size(); ++p) {
            for (std::size_t r = 0; r < sums[p].size(); r += lanes) {
                offer(some[p], tile * sums[p].size() + r, &sums[p][r]);
            }
        }
    }

    /// Offers a batch of tokens, first to first + lanes - 1.
    void offer(search& s, std::size_t first, const std::int32_t* sums) const {
        word_lanes raw;
        std::memcpy(&raw, sums, sizeof raw);
        const auto shift = static_cast<std::uint32_t>(kernels::row_offset * s.code_sum);
        const batch estimate =
            to_floats(raw - shift) * batch(s.scale) * batch::load_unaligned(&m_scales[first]);
        const batch own = multiply_add(batch(s.norm_factor), batch::load_unaligned(&m_norms[first]),
                                       batch(s.rounding));
        const batch error =
            multiply_add(batch(s.rest_factor), batch::load_unaligned(&m_rests[first]), own);
        const auto high = estimate + error >= batch(s.high.bounds.bar());
        const auto low = error - estimate >= batch(s.low.bounds.bar());
        if (xsimd::any(high | low)) {
            offer_lanes(s, kernels::lane_bits(high), kernels::lane_bits(low), first, estimate,
                        error);
        }
    }
    /// Those tokens of a batch whose bits are set. Not inlined: it would crowd the registers of
    /// what happens to every batch.
    [[gnu::noinline]] static void offer_lanes(search& s, std::uint32_t high, std::uint32_t low,
                                              std::size_t first, const batch& estimate,
                                              const batch& error) {
        std::array<float, lanes> estimates;
        std::array<float, lanes> errors;
        estimate.store_unaligned(estimates.data());
        error.store_unaligned(errors.data());
        for (; high != 0; high &= high - 1) {
            const auto i = static_cast<std::size_t>(std::countr_zero(high));
            s.high.offer(static_cast<token_id>(first + i), estimates[i], errors[i]);
        }
        for (; low != 0; low &= low - 1) {
            const auto i = static_cast<std::size_t>(std::countr_zero(low));
            s.low.offer(static_cast<token_id>(first + i), -estimates[i], errors[i]);
        }
    }

    /// The k best of the candidates, by their f32 scores times `sign`. Those with the k highest
    /// bounds are scored first: most others, `shared` added, cannot reach the lowest of their
    /// scores.
    std::vector<scored> exact(end_search& end, float shared, std::span<const float> v,
                              std::size_t k, float sign) const {
        end.finish();
        std::vector<scored>& all = end.candidates;
        const auto first = all.begin() + static_cast<std::ptrdiff_t>(std::min(k, all.size()));
        if (first != all.end()) { std::nth_element(all.begin(), first, all.end(), ranks_before); }
        top_k best(k);
        score({all.begin(), first}, v, sign, best);
        const float bar = best.threshold();
        const auto last = std::remove_if(
            first, all.end(), [=](const scored& s) { return s.score + sign * shared < bar; });
        score({first, last}, v, sign, best);
        std::vector<scored> out = best.sorted();
        for (scored& s : out) { s.score *= sign; }
        return out;
    }
    void score(std::span<const scored> candidates, std::span<const float> v, float sign,
               top_k& best) const {
        std::vector<std::size_t> ids;
        for (const scored& s : candidates) { ids.push_back(static_cast<std::size_t>(s.id)); }
        std::vector<float> scores(ids.size());
        kernels::dot_some_rows(m_matrix, ids, v, scores);
        for (std::size_t i = 0; i < ids.size(); ++i) {
            best.offer(candidates[i].id, sign * scores[i]);
        }
    }

    any_matrix m_matrix;
    std::vector<float> m_mean;  ///< ē
    kernels::packed_codes m_codes;
    std::vector<float> m_scales;  ///< s of every row
    std::vector<float> m_norms;   ///< ‖c‖
    std::vector<float> m_rests;   ///< ‖r‖
    float m_longest = 0.0F;       ///< max ‖e‖
};

}  // namespace xlens
