// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/rope.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

// How a model knows where a token stands. A position type either adds a vector to the residual
// that enters layer 0 (`add`), or rotates the queries and keys of every layer (`prepare` once a
// pass, then `rotate`); what it does not do is empty.

namespace xlens {

/// The cosines and sines of a run of positions: (T, R/2) each, R rotated dimensions a head. Made
/// once a pass, used by every layer.
struct rotation {
    xt::xtensor<float, 2> cos;
    xt::xtensor<float, 2> sin;
};

namespace detail {
/// Positions that rotate nothing.
struct unrotated {
    void prepare(std::size_t, std::size_t, rotation&) const {}
    void prepare(std::span<const std::size_t>, rotation&) const {}
    void rotate(const rotation&, std::size_t, rows<float>) const {}
};
}  // namespace detail

/// A learned vector a position, added to the embedding: x_t += P(first + t). (GPT-2)
template <weight_matrix Weights>
struct learned_positions : detail::unrotated {
    Weights table;  ///< (context, D)

    void add(rows<float> x, std::size_t first) const {
        std::vector<float> row(x.width());
        for (std::size_t t = 0; t < x.count(); ++t) {
            table.row(first + t, row);
            kernels::add_scaled(1.0F, row, x[t]);
        }
    }
};

/// Fixed sines and cosines, added to the embedding, in fairseq's layout: with h = D/2 and
/// ω_i = 10000^(-i/(h - 1)), the first half holds sin(p·ω_i), the second cos(p·ω_i), and p counts
/// from `origin` (fairseq's padding index plus one). Source: Vaswani et al. 2017 (1706.03762).
template <weight_matrix Weights>
struct sinusoidal_positions : detail::unrotated {
    std::size_t origin = 2;

    void add(rows<float> x, std::size_t first) const {
        const std::size_t half = x.width() / 2;
        const float step = std::log(10000.0F) / static_cast<float>(half - 1);
        for (std::size_t t = 0; t < x.count(); ++t) {
            const auto p = static_cast<float>(first + t + origin);
            for (std::size_t i = 0; i < half; ++i) {
                const float angle = p * std::exp(-step * static_cast<float>(i));
                x[t][i] += std::sin(angle);
                x[t][half + i] += std::cos(angle);
            }
        }
    }
};

/// Rotary positions: pairs of dimensions of each query and key head turn by an angle that grows
/// with the position. Source: Su et al. 2021 (2104.09864).
template <weight_matrix Weights>
struct rotary_positions {
    rope_table table;
    rope_style style = rope_style::halves;

    void add(rows<float>, std::size_t) const {}
    void prepare(std::size_t first, std::size_t count, rotation& out) const {
        prepare(count, out, [first](std::size_t t) { return first + t; });
    }
    /// The same for any positions, one a row.
    void prepare(std::span<const std::size_t> positions, rotation& out) const {
        prepare(positions.size(), out, [positions](std::size_t t) { return positions[t]; });
    }
    /// Turns every head of x (T, heads·head_size) in place.
    void rotate(const rotation& by, std::size_t head_size, rows<float> x) const {
        parallel_for(x.count(), 4 * x.width(), [&](std::size_t t) {
            const auto cos = rows<const float>(by.cos)[t];
            const auto sin = rows<const float>(by.sin)[t];
            for (std::size_t h = 0; h < x.width(); h += head_size) {
                kernels::rope(x[t].subspan(h, head_size), cos, sin, style);
            }
        });
    }

private:
    template <class PositionOf>
    void prepare(std::size_t count, rotation& out, PositionOf position_of) const {
        const std::size_t half = table.frequencies().size();
        out.cos.resize({count, half});
        out.sin.resize({count, half});
        for (std::size_t t = 0; t < count; ++t) {
            table.angles(position_of(t), rows<float>(out.cos)[t], rows<float>(out.sin)[t]);
        }
    }
};

/// How a model knows where a token stands.
enum class position_kind { learned, sinusoidal, rotary };

/// Any of the three, as a file says: what xlens::model is made of.
template <weight_matrix Weights>
struct any_positions {
    position_kind kind = position_kind::rotary;
    learned_positions<Weights> learned;
    sinusoidal_positions<Weights> sinusoidal;
    rotary_positions<Weights> rotary;

    any_positions() = default;
    // NOLINTBEGIN(google-explicit-constructor): it is one of them.
    any_positions(learned_positions<Weights> p)
        : kind(position_kind::learned), learned(std::move(p)) {}
    any_positions(sinusoidal_positions<Weights> p)
        : kind(position_kind::sinusoidal), sinusoidal(std::move(p)) {}
    any_positions(rotary_positions<Weights> p) : rotary(std::move(p)) {}
    // NOLINTEND(google-explicit-constructor)

    void add(rows<float> x, std::size_t first) const {
        if (kind == position_kind::learned) { learned.add(x, first); }
        if (kind == position_kind::sinusoidal) { sinusoidal.add(x, first); }
    }
    void prepare(std::size_t first, std::size_t count, rotation& out) const {
        if (kind == position_kind::rotary) { rotary.prepare(first, count, out); }
    }
    void prepare(std::span<const std::size_t> positions, rotation& out) const {
        if (kind == position_kind::rotary) { rotary.prepare(positions, out); }
    }
    void rotate(const rotation& by, std::size_t head_size, rows<float> x) const {
        if (kind == position_kind::rotary) { rotary.rotate(by, head_size, x); }
    }
};

}  // namespace xlens
