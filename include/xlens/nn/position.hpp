// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/rope.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <array>
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

/// Which rotation a layer's queries and keys take: a model has one or two, whose θ and scaling
/// differ (Gemma 3: one for layers with a window, one for the others).
enum class layer_rope { first, second, none };

/// Those of a run of positions.
using rotations = std::array<rotation, 2>;

namespace detail {
/// Positions that rotate nothing.
struct unrotated {
    void prepare(std::size_t, std::size_t, rotations&) const {}
    void prepare(std::span<const std::size_t>, rotations&) const {}
    void rotate(const rotations&, layer_rope, std::size_t, rows<float>) const {}
};
}  // namespace detail

/// A learned vector a position, added to the embedding: x_t += P(first + t + offset). (GPT-2; OPT,
/// whose table begins with rows of no position)
template <weight_matrix Weights>
struct learned_positions : detail::unrotated {
    Weights table;  ///< (context + offset, D)
    std::size_t offset = 0;

    void add(rows<float> x, std::size_t first) const {
        std::vector<float> row(x.width());
        for (std::size_t t = 0; t < x.count(); ++t) {
            table.row(first + t + offset, row);
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
    rope_table table;   ///< of layer_rope::first
    rope_table second;  ///< of layer_rope::second, where layers have it
    rope_style style = rope_style::halves;

    void add(rows<float>, std::size_t) const {}
    void prepare(std::size_t first, std::size_t count, rotations& out) const {
        prepare(count, out, [first](std::size_t t) { return first + t; });
    }
    /// The same for any positions, one a row.
    void prepare(std::span<const std::size_t> positions, rotations& out) const {
        prepare(positions.size(), out, [positions](std::size_t t) { return positions[t]; });
    }
    /// Turns every head of x (T, heads·head_size) in place.
    void rotate(const rotations& prepared, layer_rope which, std::size_t head_size,
                rows<float> x) const {
        if (which == layer_rope::none) { return; }
        const rotation& by = prepared[which == layer_rope::first ? 0 : 1];
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
    void prepare(std::size_t count, rotations& out, PositionOf position_of) const {
        prepare(table, count, out[0], position_of);
        if (!second.frequencies().empty()) { prepare(second, count, out[1], position_of); }
    }
    template <class PositionOf>
    static void prepare(const rope_table& table, std::size_t count, rotation& out,
                        PositionOf position_of) {
        const std::size_t half = table.frequencies().size();
        out.cos.resize({count, half});
        out.sin.resize({count, half});
        for (std::size_t t = 0; t < count; ++t) {
            table.angles(position_of(t), rows<float>(out.cos)[t], rows<float>(out.sin)[t]);
        }
    }
};

/// How a model knows where a token stands.
enum class position_kind {
    learned,
    sinusoidal,
    rotary,
    none,  ///< nothing is added and nothing turns: attention alone knows (ALiBi)
};

/// Any of them, as a file says: what xlens::model is made of.
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
    void prepare(std::size_t first, std::size_t count, rotations& out) const {
        if (kind == position_kind::rotary) { rotary.prepare(first, count, out); }
    }
    void prepare(std::span<const std::size_t> positions, rotations& out) const {
        if (kind == position_kind::rotary) { rotary.prepare(positions, out); }
    }
    void rotate(const rotations& by, layer_rope which, std::size_t head_size, rows<float> x) const {
        if (kind == position_kind::rotary) { rotary.rotate(by, which, head_size, x); }
    }
};

}  // namespace xlens
