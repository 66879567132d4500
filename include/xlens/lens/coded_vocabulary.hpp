// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/core/words.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/finite.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/kernels/short_dots.hpp>
#include <xlens/lens/unembedding_rows.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

// Scores E·v of many vectors v, estimated from 16-bit integers, with a bound of the error: what
// lens/reading_screen.hpp and lens/coded_ends.hpp look over a vocabulary with.
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
// Without the product's rounding ε' = ‖c‖·(ρ·‖a/t‖ + ‖q‖) + g'·max‖e‖·‖v‖ is enough, with
// g' = (D/16 + 48)·2⁻²⁴: ⟨ē, v⟩ is added up in 16 lanes or more, and eight roundings of the rest
// are below 2⁻²³·‖c‖·‖v‖ each, ‖c‖ <= 2·max‖e‖.

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
    const float largest = kernels::largest_magnitude(x);
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

/// The rows of a matrix E (V, D) as 16-bit codes. Memory V·(2·D + 8) bytes beside E, which is
/// borrowed. Cost of making it: two passes over E.
class coded_vocabulary {
public:
    /// Whether this build has the instructions that make it worth while.
    static constexpr bool wins = XLENS_SHORT_DOTS != 0;
    /// Its codes are not to take more than this.
    static constexpr std::size_t most_bytes = std::size_t{512} << 20U;
    /// Of a longer row, and of a longer vector, there are no bounds.
    static constexpr float largest_norm = 1e15F;

    explicit coded_vocabulary(const any_matrix& e)
        : m_matrix(e.in_f32()),
          m_mean(mean_row(e)),
          m_codes(tiles(e.rows()) * tile_rows, e.cols()),
          m_inverse(m_codes.count(), NAN),  // no token: its bounds reach no bar
          m_norms(m_codes.count(), 0.0F) {
        std::vector<extremes> found(tiles(e.rows()));
        parallel_for(found.size(), 16 * tile_rows * e.cols(),
                     [&](std::size_t tile) { found[tile] = prepare(tile); });
        for (const extremes& some : found) {
            m_longest = std::max(m_longest, some.longest);
            m_rounded = std::max(m_rounded, some.rounded);
        }
    }

    /// Whether codes of E fit into most_bytes.
    static bool fits(const any_matrix& e) {
        return e.rows() <= most_bytes / sizeof(std::int16_t) / std::max<std::size_t>(e.cols(), 1);
    }
    /// Whether there are bounds: not if E has an infinity or a NaN, or numbers near those limits.
    [[nodiscard]] bool bounded() const {
        return m_longest < largest_norm && kernels::first_not_finite(m_mean) == m_mean.size();
    }

    [[nodiscard]] const any_matrix& matrix() const { return m_matrix; }
    [[nodiscard]] std::size_t size() const { return m_matrix.rows(); }

    /// What the bounds of a vector's scores are made of: ε_w = factor·‖c‖ + rounding, and
    /// ε'_w = factor·‖c‖ + own_rounding.
    struct vector_terms {
        float inverse = 0.0F;  ///< 1/t
        float shared = 0.0F;   ///< ⟨ē, v⟩
        float factor = 0.0F;
        float rounding = 0.0F;
        float own_rounding = 0.0F;
        bool bounded = false;
    };
    /// Writes the codes of a vector.
    vector_terms encode(std::span<const float> v, std::int16_t* codes) const {
        vector_terms out;
        const detail::short_code code = detail::encode_shorts(v, codes);
        constexpr float slack = 1.0001F;
        const float g = (static_cast<float>(v.size()) + 16.0F) * 0x1p-24F;
        out.inverse = 1.0F / code.scale;
        out.shared = kernels::dot(m_mean, v);
        out.factor = (m_rounded * (code.norm + code.rest_norm) + code.rest_norm) * slack;
        out.rounding = 4.0F * g * m_longest * code.norm;
        const float own = (static_cast<float>(v.size()) / 16.0F + 48.0F) * 0x1p-24F;
        out.own_rounding = own * m_longest * code.norm;
        out.bounded = code.norm < largest_norm;
        return out;
    }

    /// Some vectors as codes.
    struct coded_vectors {
        kernels::short_rows codes;  ///< filled up with zeros to whole blocks
        std::vector<vector_terms> terms;
    };
    [[nodiscard]] coded_vectors encode(rows<const float> v) const {
        constexpr std::size_t P = kernels::short_block_vectors;
        coded_vectors out{{(v.count() + P - 1) / P * P, v.width()}, {}};
        for (std::size_t n = 0; n < v.count(); ++n) {
            out.terms.push_back(encode(v[n], out.codes.row(n)));
        }
        return out;
    }

    /// Calls read(first, rows of v from `first` on) for batches of vectors that share a pass over
    /// the codes, on all threads.
    template <class Read>
    void each_batch(rows<const float> v, Read read) const {
        const std::size_t share = (v.count() + max_threads() - 1) / max_threads();
        const std::size_t each = std::clamp(share, std::size_t{1}, batch_vectors);
        parallel_for((v.count() + each - 1) / each, 2 * each * size() * v.width(),
                     [&](std::size_t b) {
                         const std::size_t first = b * each;
                         read(first, v.subrows(first, std::min(each, v.count() - first)));
                     });
    }

    /// Calls look(first, ⟨b_w, a_n⟩ (N, tile_rows)) for the tokens w from `first` on, tile after
    /// tile, until it says false. Tokens past the last one have estimates that are NaN.
    template <class Look>
    void each_tile(const coded_vectors& v, Look look) const {
        const std::size_t count = v.codes.count();
        const rows<float> products(kernels::scratch<product_buffer>(count * tile_rows), count,
                                   tile_rows);
        bool more = true;
        for (std::size_t first = 0; more && first < m_codes.count(); first += tile_rows) {
            kernels::short_products(m_codes, first, v.codes, products,
                                    m_codes.coming(first + tile_rows, tile_rows));
            more = look(first, products);
        }
    }

    /// est_w and ε_w of a batch of tokens.
    struct estimates {
        batch value;
        batch error;
    };
    /// Makes them of products with one vector.
    class estimator {
    public:
        estimator(const coded_vocabulary& e, const vector_terms& v)
            : m_scales(e.m_inverse.data()),
              m_norms(e.m_norms.data()),
              m_inverse(v.inverse),
              m_shared(v.shared),
              m_factor(v.factor),
              m_rounding(v.rounding) {}

        [[gnu::always_inline]] estimates operator()(std::size_t token, const float* product) const {
            const batch scale = m_inverse * batch::load_unaligned(m_scales + token);
            return {
                multiply_add(batch::load_unaligned(product), scale, m_shared),
                multiply_add(m_factor, batch::load_unaligned(m_norms + token), m_rounding),
            };
        }

    private:
        const float* m_scales;
        const float* m_norms;
        batch m_inverse;
        batch m_shared;
        batch m_factor;
        batch m_rounding;
    };

    /// ‖c_w‖.
    [[nodiscard]] float norm(std::size_t token) const { return m_norms[token]; }

private:
    static constexpr std::size_t batch_vectors = 128;  ///< that share a pass over the codes
    static constexpr std::size_t tile_rows = 96;  ///< tokens whose products are there at a time
    struct product_buffer;

    static std::size_t tiles(std::size_t rows) { return (rows + tile_rows - 1) / tile_rows; }

    struct extremes {
        float longest = 0.0F;  ///< max ‖e‖
        float rounded = 0.0F;  ///< ρ
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

    any_matrix m_matrix;
    std::vector<float> m_mean;  ///< ē
    kernels::short_rows m_codes;
    std::vector<float> m_inverse;  ///< 1/s of every row
    std::vector<float> m_norms;    ///< ‖c‖
    float m_longest = 0.0F;        ///< max ‖e‖
    float m_rounded = 0.0F;        ///< ρ
};

}  // namespace xlens
