// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/events/scores.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(events)
#include <xlens/events/detect.hpp>
#endif

namespace xlens {

/// A mean of values that come in windows of text, with a confidence interval that takes only
/// windows, not values, to be independent. With n_w values of sum s_w in window w, N = Σ n_w and W
/// windows, the mean is the ratio μ = Σ s_w / N, and its variance
///   W/(W - 1) · Σ_w (s_w - μ·n_w)² / N²
/// (Cochran, Sampling Techniques, 3rd edition, section 2.11). Running sums: O(1) memory.
struct clustered_mean {
    double count = 0.0;     ///< N
    double sum = 0.0;       ///< Σ s_w
    double counts2 = 0.0;   ///< Σ n_w²
    double sums2 = 0.0;     ///< Σ s_w²
    double products = 0.0;  ///< Σ s_w·n_w
    double windows = 0.0;   ///< W: windows with a value

    /// The values of one window.
    void add(double n, double s);
    /// NaN without values.
    [[nodiscard]] double mean() const { return sum / count; }
    /// Half of the 95 % interval, by the normal distribution; NaN with fewer than two windows.
    [[nodiscard]] double margin() const;
};

/// What is known of one FFN update at one position, beside its scores. Log-probabilities are NaN
/// where they were not computed.
struct update_measures {
    token_scores scores;
    float dominance_share = 0.0F;  ///< Σ |m_i|·‖v_i‖ of the dominant / of all
    float norm_share = 0.0F;       ///< ‖Σ m_i·v_i of the dominant‖ / ‖FFN update‖
    float log_before = NAN;        ///< log p(w) before, and after
    float log_after = NAN;
    whole_score whole;  ///< of w by the whole FFN update
    whole_score other;  ///< of the token that is on top after it (saturation: was before)
};

/// The numbers that are averaged, as columns of a table. The first ones are scores, group by group,
/// form by form: mean, max, min.
struct update_columns {
    static constexpr std::size_t scores = score_groups.size() * score_forms.size() * 3;
    static constexpr std::size_t dominance_share = scores;
    static constexpr std::size_t norm_share = scores + 1;
    static constexpr std::size_t log_before = scores + 2;
    static constexpr std::size_t log_after = scores + 3;
    static constexpr std::size_t log_change = scores + 4;
    static constexpr std::size_t whole = scores + 5;
    static constexpr std::size_t whole_centred = scores + 6;
    static constexpr std::size_t other = scores + 7;
    static constexpr std::size_t other_centred = scores + 8;
    static constexpr std::size_t count = scores + 9;

    /// Column of a score; `which`: 0 mean, 1 max, 2 min.
    static constexpr std::size_t of(score_group g, score_form f, std::size_t which) {
        return (static_cast<std::size_t>(g) * score_forms.size() + static_cast<std::size_t>(f)) *
                   3 +
               which;
    }
    static std::array<float, count> values(const update_measures& u);
};

/// What is averaged: events of each kind, and the top candidate at every FFN update.
enum class update_set { saturation, elimination, all };
inline constexpr std::array<std::string_view, 3> update_sets{"saturation", "elimination", "all"};

/// Means over one set of updates, for each layer and for all layers together.
class update_means {
public:
    explicit update_means(std::size_t layers = 0)
        : m_means((layers + 1) * update_columns::count), m_window(m_means.size()) {}

    void add(std::size_t layer, const update_measures& u);
    /// What was added since the last time came from one window.
    void end_window();

    [[nodiscard]] std::size_t layers() const { return m_means.size() / update_columns::count - 1; }
    /// Of one layer, or of all with layer = layers().
    [[nodiscard]] const clustered_mean& of(std::size_t layer, std::size_t column) const;
    /// Updates that were added.
    [[nodiscard]] std::size_t count(std::size_t layer) const;
    [[nodiscard]] std::vector<clustered_mean>& state() { return m_means; }

private:
    struct window_sum {
        double n = 0.0;
        double s = 0.0;
    };
    std::vector<clustered_mean> m_means;  ///< (layers + 1, columns)
    std::vector<window_sum> m_window;     ///< of the window that is being read
};

/// How often a value vector was among the dominant, and with what scores for the top candidate.
struct neuron_counts {
    std::uint32_t dominant = 0;    ///< updates in which it is one of the dominant
    std::uint32_t in_extreme = 0;  ///< of these, updates with an extreme score of any of them
    std::uint32_t promotes = 0;    ///< its own score reached the threshold
    std::uint32_t suppresses = 0;  ///< its own score reached the threshold's negative
};

/// The same in one part of the windows.
struct neuron_part_counts {
    std::uint32_t active = 0;   ///< updates with an extreme score in which it is dominant
    std::uint32_t extreme = 0;  ///< extreme scores of its own, of either sign
};

/// Everything that `events` sums up over a text.
struct event_statistics {
    /// Windows go to so many parts in turn: what leaving out a part changes gives an interval.
    static constexpr std::size_t parts = 10;

    std::size_t layers = 0;
    std::size_t inner_width = 0;
    std::uint64_t tokens = 0;     ///< tokens that were read
    std::uint64_t positions = 0;  ///< of these, positions that were looked at
    std::uint64_t windows = 0;
    std::array<std::uint64_t, 3> settled_counts{};  ///< positions, by `settled`
    std::array<update_means, update_sets.size()> means;
    std::vector<neuron_counts> neurons;            ///< (L, F)
    std::vector<std::uint64_t> extreme_updates;    ///< (L)
    std::vector<std::uint64_t> saturation_layers;  ///< (L): positions by saturation layer
    std::vector<neuron_part_counts> by_part;       ///< (parts, L, F)
    std::array<std::uint64_t, parts> part_positions{};

    event_statistics() = default;
    event_statistics(std::size_t layer_count, std::size_t width);

    [[nodiscard]] const update_means& of(update_set set) const;
    [[nodiscard]] update_means& of(update_set set) { return means[static_cast<std::size_t>(set)]; }
};

#if XLENS_DEFINES(events)

XLENS_API void clustered_mean::add(double n, double s) {
    if (n == 0.0) { return; }
    count += n;
    sum += s;
    counts2 += n * n;
    sums2 += s * s;
    products += s * n;
    windows += 1.0;
}

XLENS_API double clustered_mean::margin() const {
    if (windows < 2.0) { return NAN; }
    const double m = mean();
    const double rest = std::max(sums2 - 2.0 * m * products + m * m * counts2, 0.0);
    constexpr double normal_95 = 1.959963984540054;
    return normal_95 * std::sqrt(windows / (windows - 1.0) * rest) / count;
}

XLENS_API std::array<float, update_columns::count> update_columns::values(
    const update_measures& u) {
    std::array<float, count> out{};
    std::size_t c = 0;
    for (const auto& group : u.scores.all) {
        for (const score_summary& s : group) {
            out[c++] = s.mean;
            out[c++] = s.max;
            out[c++] = s.min;
        }
    }
    out[dominance_share] = u.dominance_share;
    out[norm_share] = u.norm_share;
    out[log_before] = u.log_before;
    out[log_after] = u.log_after;
    out[log_change] = u.log_after - u.log_before;
    out[whole] = u.whole.score;
    out[whole_centred] = u.whole.centred;
    out[other] = u.other.score;
    out[other_centred] = u.other.centred;
    return out;
}

XLENS_API void update_means::add(std::size_t layer, const update_measures& u) {
    const auto values = update_columns::values(u);
    for (std::size_t c = 0; c < values.size(); ++c) {
        if (std::isnan(values[c])) { continue; }
        for (const std::size_t row : {layer, layers()}) {
            auto& [n, s] = m_window[row * update_columns::count + c];
            n += 1.0;
            s += double{values[c]};
        }
    }
}

XLENS_API void update_means::end_window() {
    for (std::size_t i = 0; i < m_means.size(); ++i) {
        m_means[i].add(m_window[i].n, m_window[i].s);
        m_window[i] = {};
    }
}

XLENS_API const clustered_mean& update_means::of(std::size_t layer, std::size_t column) const {
    return m_means[layer * update_columns::count + column];
}

XLENS_API std::size_t update_means::count(std::size_t layer) const {
    return static_cast<std::size_t>(of(layer, 0).count);
}

XLENS_API event_statistics::event_statistics(std::size_t layer_count, std::size_t width)
    : layers(layer_count),
      inner_width(width),
      means{update_means(layer_count), update_means(layer_count), update_means(layer_count)},
      neurons(layer_count * width),
      extreme_updates(layer_count, 0),
      saturation_layers(layer_count, 0),
      by_part(parts * layer_count * width) {}

XLENS_API const update_means& event_statistics::of(update_set set) const {
    return means[static_cast<std::size_t>(set)];
}

#endif

}  // namespace xlens
