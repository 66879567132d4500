// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/storage/any_matrix.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#if XLENS_DEFINES(kernels)
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/storage/rounded_matrix.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#endif

namespace xlens {
class rounded_matrix;  // storage/rounded_matrix.hpp
}

namespace xlens::kernels {

/// Finds the row of W (V, D) that scores highest by ⟨w_r, x⟩ in f32 without most of that product:
/// all scores are bounded by products of 8-bit integers, and only rows that may be the best are
/// scored.
///
/// Rows in integers of at most 8 bits (q8_0, q6_k) are met as they are, ŵ_r = w_r. Of rows of
/// floats copies in q8_0 are, less what rows have in common, c, which adds the same to every score:
/// w_r - c = ŵ_r + e_r. x is rounded twice, x = x̂ + x̂' + q, x̂' what the first rounding left
/// (quantised_rows.hpp). By Cauchy and Schwarz
///     |⟨w_r - c, x⟩ - ⟨ŵ_r, x̂ + x̂'⟩| <= ‖e_r‖·‖x̂ + x̂'‖ + ‖w_r - c‖·‖q‖.
/// What floats round is at most 8·g·(max ‖w_r‖ + ‖c‖)·‖x‖, g = (D + 16)·2⁻²⁴: that of a sum of D
/// products, of which there are three, W's, x̂'s and x̂''s (the last two are exact within a block);
/// and a relative 10⁻⁴ of norms. A row whose upper bound is below another's lower one is not the
/// best.
class best_row {
public:
    /// Of a W that pays. Cost: one pass over W. Memory: of floats 1.06·V·D + 4·V bytes.
    explicit best_row(const any_matrix& w);

    /// Whether this build has the integer products that make it worth while, and W is of a format
    /// and a precision that have not those products themselves.
    [[nodiscard]] static bool pays(const any_matrix& w);

    /// The first of the largest numbers of matvec(w, x), to the last bit, for finite x; w is what
    /// this was made of. None where there are no bounds (W has a number that is none, x or W is
    /// beyond all measure, or w is another matrix) or where an eighth of the rows may be the best.
    /// Cost: 2·V·D multiply-adds of integers, V·D bytes read, and D in f32 for each row that may be
    /// the best. Memory: 8·V bytes.
    [[nodiscard]] std::optional<std::size_t> operator()(const any_matrix& w,
                                                        std::span<const float> x) const;

private:
    struct bounds {
        float factor = 0.0F;  ///< a score is off by factor·‖e_r‖ + rest at most
        float rest = 0.0F;
    };
    /// x, and below it what rounding it leaves.
    struct inputs {
        std::vector<float> both;
        bounds allowed;
    };
    void copy_rows(const any_matrix& w);
    [[nodiscard]] inputs inputs_of(std::span<const float> x) const;
    [[nodiscard]] std::vector<std::size_t> candidates(const any_matrix& w, const inputs& x) const;

    const std::byte* m_made_of;                      // W's first row
    std::shared_ptr<const rounded_matrix> m_copies;  // ŵ; none where rows are met as they are
    std::vector<float> m_rests;                      // ‖e_r‖
    float m_longest = 0.0F;  // max ‖w_r‖ + ‖c‖; an infinity where a row is no vector
};

#if XLENS_DEFINES(kernels)

namespace detail {

struct best_row_scores;

/// A row that is about what rows of w have in common: the mean of every sixteenth. Any would do.
inline std::vector<float> common_row(const any_matrix& w) {
    constexpr std::size_t every = 16;
    std::vector<float> sum(w.cols());
    std::vector<float> row(w.cols());
    std::size_t count = 0;
    for (std::size_t r = 0; r < w.rows(); r += every, ++count) {
        w.row(r, row);
        for (std::size_t d = 0; d < row.size(); ++d) { sum[d] += row[d]; }
    }
    for (float& s : sum) { s /= static_cast<float>(count); }
    return sum;
}

/// The largest of longest(r) for rows r of w, on all threads.
template <class Length>
float longest_row(const any_matrix& w, Length length) {
    constexpr std::size_t together = 64;
    std::vector<float> longest((w.rows() + together - 1) / together);
    parallel_for(longest.size(), 16 * together * w.cols(), [&](std::size_t i) {
        const std::size_t end = std::min(w.rows(), (i + 1) * together);
        for (std::size_t r = i * together; r < end; ++r) {
            longest[i] = std::max(longest[i], length(r));
        }
    });
    return *std::ranges::max_element(longest);
}

/// ‖x‖, an infinity if x has a number that is none.
inline float length_of(std::span<const float> x) {
    const float length = norm2(x);
    return std::isfinite(length) ? length : std::numeric_limits<float>::infinity();
}

/// ‖q‖ at most, q what rounding x to 8 bits leaves: of 32 numbers max|x|/254 each.
inline float most_left(std::span<const float> x) {
    float squares = 0.0F;
    for (std::size_t i = 0; i < x.size(); i += quantised_rows::block) {
        const float largest = largest_magnitude(x.subspan(i, quantised_rows::block));
        squares += 32.0F * (largest / 254.0F) * (largest / 254.0F);
    }
    return std::sqrt(squares);
}

/// The largest of x[i] + factor·rest[i]; of x[i] where there is no rest.
inline float largest_bound(std::span<const float> x, std::span<const float> rest, float factor) {
    batch out(-std::numeric_limits<float>::infinity());
    std::size_t i = 0;
    for (; i + lanes <= x.size(); i += lanes) {
        batch bound = batch::load_unaligned(&x[i]);
        if (!rest.empty()) {
            bound = multiply_add(batch(factor), batch::load_unaligned(&rest[i]), bound);
        }
        out = xsimd::max(out, bound);
    }
    float most = maximum_lane(out);
    for (; i < x.size(); ++i) {
        most = std::max(most, rest.empty() ? x[i] : std::fma(factor, rest[i], x[i]));
    }
    return most;
}

inline bool is_of_floats(const any_matrix& w) {
    return w.format() == format_id::f32 || w.format() == format_id::f16 ||
           w.format() == format_id::bf16;
}

}  // namespace detail

XLENS_API bool best_row::pays(const any_matrix& w) {
    const bool own = w.format() == format_id::q8_0 || w.format() == format_id::q6_k;
    return !w.transposed() && w.cols() % quantised_rows::block == 0 &&
           (own || detail::is_of_floats(w)) && !detail::dot_kernel_of(w).integer &&
           detail::dot_kernel_of(format_id::q8_0, precision::native).integer;
}

XLENS_API best_row::best_row(const any_matrix& w) : m_made_of(w.stored_row(0)) {
    if (detail::is_of_floats(w)) {
        copy_rows(w);
        return;
    }
    m_longest = detail::longest_row(w, [&](std::size_t r) {
        std::vector<float> row(w.cols());
        w.row(r, row);
        return detail::length_of(row);
    });
}

XLENS_API void best_row::copy_rows(const any_matrix& w) {
    const std::vector<float> common = detail::common_row(w);
    const auto copies = std::make_shared<rounded_matrix>(w.rows(), w.cols());
    m_rests.resize(w.rows());
    const float longest = detail::longest_row(w, [&](std::size_t r) {
        std::vector<float> row(w.cols());
        std::vector<float> copied(w.cols());
        w.row(r, row);
        const float length = detail::length_of(row);
        for (std::size_t d = 0; d < row.size(); ++d) { row[d] -= common[d]; }
        if (!std::isfinite(norm2(row))) { return std::numeric_limits<float>::infinity(); }
        copies->put(r, row);
        copies->view().row(r, copied);
        for (std::size_t d = 0; d < row.size(); ++d) { row[d] -= copied[d]; }
        m_rests[r] = norm2(row);
        return length;
    });
    m_longest = longest + detail::length_of(common);
    m_copies = copies;
}

XLENS_API best_row::inputs best_row::inputs_of(std::span<const float> x) const {
    inputs out{std::vector<float>(2 * x.size()), {}};
    const quantised_rows rounded(as_rows(x));
    std::ranges::copy(x, out.both.begin());
    const std::span<float> left = std::span(out.both).subspan(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
        const float scale = rounded.scale(0, i / quantised_rows::block);
        left[i] = std::fma(-scale, static_cast<float>(rounded.code(0, i)), x[i]);
    }
    constexpr float slack = 1.0001F;
    const float length = norm2(x);
    const float q = detail::most_left(left) * slack;
    const float g = (static_cast<float>(x.size()) + 16.0F) * 0x1p-24F;
    out.allowed = {(length + q) * slack, m_longest * (q + 8.0F * g * length)};
    return out;
}

/// Rows that may score highest.
XLENS_API std::vector<std::size_t> best_row::candidates(const any_matrix& w,
                                                        const inputs& x) const {
    const float factor = x.allowed.factor;
    const float rest = x.allowed.rest;
    const std::size_t count = w.rows();
    const any_matrix codes = m_copies ? m_copies->view() : w.in_native();
    float* const scores = scratch<detail::best_row_scores>(2 * count);
    const std::span<float> all(scores, count);
    product both = make_product(codes, rows<const float>(x.both.data(), 2, w.cols()),
                                rows<float>(scores, 2, count));
    const auto rests_of = [&](std::size_t first, std::size_t n) {
        return m_rests.empty() ? std::span<const float>() : std::span(m_rests).subspan(first, n);
    };
    std::vector<std::array<float, 2>> of_tiles(both.tiles());  // largest lower, upper bound
    run(std::span(&both, 1), [&](std::size_t, std::size_t first, std::size_t n) {
        for (std::size_t r = first; r < first + n; ++r) { all[r] += scores[count + r]; }
        const std::span<const float> some = all.subspan(first, n);
        of_tiles[first / both.tile_size] = {
            detail::largest_bound(some, rests_of(first, n), -factor),
            detail::largest_bound(some, rests_of(first, n), factor)};
    });
    float bar = -std::numeric_limits<float>::infinity();
    for (const auto& tile : of_tiles) { bar = std::max(bar, tile[0]); }
    bar -= 2.0F * rest;
    std::vector<std::size_t> out;
    for (std::size_t tile = 0; tile < of_tiles.size(); ++tile) {
        if (of_tiles[tile][1] < bar) { continue; }
        const std::size_t first = both.first(tile);
        for (std::size_t r = first; r < first + both.count(tile); ++r) {
            if (detail::largest_bound(all.subspan(r, 1), rests_of(r, 1), factor) >= bar) {
                out.push_back(r);
            }
        }
    }
    return out;
}

XLENS_API std::optional<std::size_t> best_row::operator()(const any_matrix& w,
                                                          std::span<const float> x) const {
    constexpr float largest = 1e18F;  // no sum of products is an infinity
    constexpr float least = 1e-18F;   // nor are squares nothing
    const float length = norm2(x);
    const bool bounded = length > least && length < largest && m_longest < largest;
    if (!bounded || w.stored_row(0) != m_made_of) { return std::nullopt; }
    const std::vector<std::size_t> ids = candidates(w, inputs_of(x));
    if (ids.empty() || ids.size() > w.rows() / 8) { return std::nullopt; }
    std::vector<float> scores(ids.size());
    constexpr std::size_t together = 32;
    parallel_for((ids.size() + together - 1) / together, 2 * together * x.size(),
                 [&](std::size_t i) {
                     const std::size_t first = i * together;
                     const std::size_t count = std::min(together, ids.size() - first);
                     dot_some_rows(w, std::span(ids).subspan(first, count), x,
                                   std::span(scores).subspan(first, count));
                 });
    return ids[static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin())];
}

#endif

}  // namespace xlens::kernels
