// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/words.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/integer_scan.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/lens/ends_search.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/lens/unembedding_rows.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
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
// the f32 score, less ⟨ē, v⟩, lies in [estimate - error, estimate + error]: what an ends_search
// needs (lens/ends_search.hpp).

namespace xlens {

namespace detail {

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
        : m_matrix(e.in_f32()),
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

    struct search {
        search(std::size_t k, std::size_t width) : codes(width), ends(k) {}
        std::vector<std::int8_t> codes;
        std::int32_t code_sum = 0;
        float scale = 0.0F;
        float rest_factor = 0.0F;  ///< error = rest_factor·‖r‖ + norm_factor·‖c‖ + rounding
        float norm_factor = 0.0F;
        float rounding = 0.0F;
        float shared = 0.0F;  ///< ⟨ē, v⟩
        detail::ends_search ends;
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
                detail::encode(row, kernels::largest_magnitude(row) / most, codes);
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
            for (const bool high : {true, false}) { finish(searches[n], v[n], high, out[n]); }
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
                all.ends.end(high).merge(found[part][n].ends.end(high));
            }
            finish(all, v[n], high, out[n]);
        });
    }
    void finish(search& s, std::span<const float> v, bool high, token_ends& out) const {
        s.ends.finish(high, m_matrix, v, s.shared, out);
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
        s.ends.offer(first, estimate, error);
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
