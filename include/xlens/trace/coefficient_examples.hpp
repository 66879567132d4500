// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/numerics/octaves.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/trace/top_hits.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/simd.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#endif

namespace xlens {

/// What is kept of a neuron's coefficients m.
struct example_shape {
    std::size_t top = 20;      ///< positions of each sign
    std::size_t context = 12;  ///< positions before and behind each of these whose m is kept
    std::size_t apart = 12;    ///< of so many positions of a window in a row one counts, the best
    std::size_t skipped = 1;   ///< first positions of a window, read but not looked at
    float threshold = 0.5F;    ///< |m| above it is counted
};

/// A position at which a neuron's coefficient is among the largest of its sign.
struct neuron_example {
    std::size_t row = 0;        ///< of the text of windows, what begins each among it
    float coefficient = 0.0F;   ///< m there
    std::size_t first = 0;      ///< row of around[0]
    std::vector<float> around;  ///< m at the rows about it, in the same window
};

/// How a neuron's coefficient was over the positions that were looked at.
struct coefficient_counts {
    std::uint32_t over = 0;      ///< positions at which |m| > threshold
    std::uint32_t positive = 0;  ///< m > 0
    std::uint32_t zero = 0;      ///< m = 0: of experts, where it was not chosen
    std::array<std::uint32_t, octaves::count> histogram{};
};

/// Policy that looks for the positions at which neurons fire most: for each neuron and each sign
/// the `top` largest |m|, the earlier one of equals. A window is cut into stretches of `apart`
/// positions, and of each only the largest counts, so that one phrase does not fill the list.
/// Besides it counts the coefficients of all positions that it looks at (coefficient_counts).
/// It edits nothing: a pass with it gives the bits of one without. A run that is cut between two
/// windows and merged gives what the whole one does.
///
/// Cost F operations a position and layer beside a list's few insertions: a coefficient is compared
/// with one bar a neuron and sign, a register at a time. Memory 296 + 24·top bytes a neuron,
/// whatever the text, and where `context` > 0 16·top·context and 4·window more.
class coefficient_examples {
public:
    static constexpr hook hooks = hook::coefficients;

    /// Of these neurons of a model of such sizes. Throws xlens::error for none, for one that the
    /// model does not have or that is named twice, and for top, apart of 0.
    coefficient_examples(const model_sizes& sizes, std::vector<neuron> neurons,
                         const example_shape& shape);

    /// Throws xlens::error unless the model has the sizes that this was made for.
    void check(const model_sizes& model) const;

    /// A window of `size` positions begins, whose first is row `row` of all; its passes follow, and
    /// then end_window().
    void begin_window(std::size_t row, std::size_t size);
    void coefficients(const site& where, rows<float> m);
    void end_window();

    /// Takes over what another one found in other windows. Throws xlens::error unless both look for
    /// the same.
    void merge(const coefficient_examples& other);

    [[nodiscard]] const example_shape& shape() const { return m_shape; }
    /// By layer and index; what the following take is a number in it.
    [[nodiscard]] const std::vector<neuron>& neurons() const { return m_neurons; }
    /// Throws xlens::error for a neuron that was not looked at.
    [[nodiscard]] std::size_t number_of(const neuron& n) const;

    /// Positions that were looked at, and read.
    [[nodiscard]] std::size_t positions() const { return m_positions; }
    [[nodiscard]] coefficient_counts counts(std::size_t n) const;
    /// The largest m > 0, and the lowest m < 0; the farthest from zero first.
    [[nodiscard]] std::vector<neuron_example> largest(std::size_t n) const { return list(n, 0); }
    [[nodiscard]] std::vector<neuron_example> lowest(std::size_t n) const { return list(n, 1); }

private:
    static constexpr std::size_t block = 64;  // neurons that a thread takes at once

    [[nodiscard]] std::vector<neuron_example> list(std::size_t n, std::size_t side) const;
    [[nodiscard]] std::size_t context_width() const { return 2 * m_shape.context + 1; }
    /// Where the m around a hit are in m_context.
    [[nodiscard]] std::size_t context_at(std::size_t list, std::size_t slot) const {
        return (list * m_shape.top + slot) * context_width();
    }
    void look(std::size_t n, std::span<const float> m, std::uint32_t row, const row_stretch& of);
    void keep_context(std::size_t list);

    model_sizes m_sizes;
    example_shape m_shape;
    std::vector<neuron> m_neurons;
    std::vector<std::size_t> m_layers;  // [l, l + 1): the neurons of layer l
    std::size_t m_positions = 0;
    std::size_t m_window = 0;       // first row of the window
    std::size_t m_window_size = 0;  // its positions

    std::vector<float> m_bars[2];  // by neuron: m above [0] or below [1] enters a list
    std::vector<std::uint32_t> m_over;
    std::vector<std::uint32_t> m_positive;
    std::vector<std::uint32_t> m_zero;
    std::vector<std::uint32_t> m_histograms;  // (N, bins)
    top_hits m_hits;                          // lists (N, 2): largest and lowest
    std::vector<float> m_context;             // (N, 2, top, 2·context + 1) by slot
    std::vector<float> m_buffer;              // (window, N): m of the window, if context > 0
};

#if XLENS_DEFINES(trace)

XLENS_API coefficient_examples::coefficient_examples(const model_sizes& sizes,
                                                     std::vector<neuron> neurons,
                                                     const example_shape& shape)
    : m_sizes(sizes),
      m_shape(shape),
      m_neurons(std::move(neurons)),
      m_hits(2 * m_neurons.size(), shape.top) {
    if (m_neurons.empty()) { fail("examples: expected at least 1 neuron, got 0"); }
    if (shape.top == 0 || shape.apart == 0) {
        fail("examples: top, apart: expected at least 1, got {}, {}", shape.top, shape.apart);
    }
    std::sort(m_neurons.begin(), m_neurons.end());
    const auto twice = std::adjacent_find(m_neurons.begin(), m_neurons.end());
    if (twice != m_neurons.end()) {
        fail("examples: neuron {}: expected once, got twice", to_string(*twice));
    }
    for (const neuron& n : m_neurons) { check_neuron(n, sizes.layers, sizes.inner_width); }
    for (std::size_t l = 0; l <= sizes.layers; ++l) {
        const auto first = std::lower_bound(m_neurons.begin(), m_neurons.end(), neuron{l, 0});
        m_layers.push_back(static_cast<std::size_t>(first - m_neurons.begin()));
    }
    const std::size_t count = m_neurons.size();
    for (std::vector<float>& bars : m_bars) { bars.resize(count); }
    m_over.resize(count);
    m_positive.resize(count);
    m_zero.resize(count);
    m_histograms.resize(count * octaves::count);
    if (shape.context > 0) { m_context.resize(context_at(2 * count, 0), NAN); }
}

XLENS_API void coefficient_examples::check(const model_sizes& model) const {
    if (model.layers != m_sizes.layers || model.inner_width != m_sizes.inner_width) {
        fail("examples: of {} layers of {} neurons, the model has {} of {}", m_sizes.layers,
             m_sizes.inner_width, model.layers, model.inner_width);
    }
}

XLENS_API void coefficient_examples::begin_window(std::size_t row, std::size_t size) {
    if (row + size > std::numeric_limits<std::uint32_t>::max()) {
        fail("examples: expected at most {} positions, got {}",
             std::numeric_limits<std::uint32_t>::max(), row + size);
    }
    m_window = row;
    m_window_size = size;
    m_positions += size - std::min(size, m_shape.skipped);
    if (m_shape.context > 0) { m_buffer.resize(size * m_neurons.size()); }
}

XLENS_API void coefficient_examples::coefficients(const site& where, rows<float> m) {
    const std::size_t begin = m_layers[where.layer];
    const std::size_t count = m_layers[where.layer + 1] - begin;
    if (count == 0) { return; }
    const bool all = count == m.width();  // each once, in order: the row as it is
    const std::size_t skip =
        std::min(m.count(), m_shape.skipped - std::min(m_shape.skipped, where.first_position));
    constexpr std::size_t work = 16;  // of one coefficient
    parallel_for((count + block - 1) / block, work * block * m.count(), [&](std::size_t b) {
        const std::size_t first = begin + b * block;
        const std::size_t some = std::min(block, begin + count - first);
        std::array<float, block> gathered{};
        for (std::size_t t = 0; t < m.count(); ++t) {
            const std::size_t position = where.first_position + t;
            std::span<const float> values = m[t].subspan(all ? b * block : 0, all ? some : 0);
            if (!all) {
                for (std::size_t i = 0; i < some; ++i) {
                    gathered[i] = m[t][m_neurons[first + i].index];
                }
                values = std::span(gathered).first(some);
            }
            if (m_shape.context > 0) {
                std::copy(values.begin(), values.end(),
                          m_buffer.begin() +
                              static_cast<std::ptrdiff_t>(position * m_neurons.size() + first));
            }
            if (t < skip) { continue; }
            const std::size_t stretch = position - position % m_shape.apart;
            look(first, values, static_cast<std::uint32_t>(m_window + position),
                 {m_window + stretch, m_window + std::min(stretch + m_shape.apart, m_window_size)});
        }
    });
}

XLENS_API void coefficient_examples::look(std::size_t n, std::span<const float> m,
                                          std::uint32_t row, const row_stretch& of) {
    std::uint32_t* over = &m_over[n];
    std::uint32_t* positive = &m_positive[n];
    std::uint32_t* zero = &m_zero[n];
    for (std::size_t i = 0; i < m.size(); ++i) {
        over[i] += std::abs(m[i]) > m_shape.threshold ? 1U : 0U;
        positive[i] += m[i] > 0.0F ? 1U : 0U;
        zero[i] += m[i] == 0.0F ? 1U : 0U;
    }
    std::uint32_t* histogram = &m_histograms[n * octaves::count];
    for (std::size_t i = 0; i < m.size(); ++i) {
        ++histogram[i * octaves::count + octaves::of(m[i])];
    }
    const auto offer = [&](std::size_t i, std::size_t side) {
        const std::size_t list = 2 * (n + i) + side;
        m_hits.insert(list, row, m[i], of);
        m_bars[side][n + i] = m_hits.bar(list);
    };
    const auto each = [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            if (m[i] > m_bars[0][n + i]) { offer(i, 0); }
            if (m[i] < m_bars[1][n + i]) { offer(i, 1); }
        }
    };
    std::size_t i = 0;
    for (; i + lanes <= m.size(); i += lanes) {
        const batch values = batch::load_unaligned(&m[i]);
        if (xsimd::any((values > batch::load_unaligned(&m_bars[0][n + i])) |
                       (values < batch::load_unaligned(&m_bars[1][n + i])))) {
            each(i, i + lanes);
        }
    }
    each(i, m.size());
}

XLENS_API void coefficient_examples::end_window() {
    if (m_shape.context == 0) { return; }
    for (std::size_t list = 0; list < m_hits.lists(); ++list) { keep_context(list); }
}

/// Copies the m around the hits of the window that ends.
XLENS_API void coefficient_examples::keep_context(std::size_t list) {
    const std::size_t columns = m_neurons.size();
    for (const top_hits::hit& one : m_hits.of(list)) {
        if (one.row < m_window || one.row >= m_window + m_window_size) { continue; }
        const std::size_t at = one.row - m_window;
        const std::span<float> to =
            std::span(m_context).subspan(context_at(list, one.slot), context_width());
        for (std::size_t i = 0; i < to.size(); ++i) {
            // Position of to[i], plus context: none in this window where it is out of its bounds.
            const std::size_t shifted = at + i;
            const bool there =
                shifted >= m_shape.context && shifted - m_shape.context < m_window_size;
            to[i] = there ? m_buffer[(shifted - m_shape.context) * columns + list / 2] : NAN;
        }
    }
}

XLENS_API void coefficient_examples::merge(const coefficient_examples& other) {
    const example_shape& a = m_shape;
    const example_shape& b = other.m_shape;
    other.check(m_sizes);
    if (m_neurons != other.m_neurons || a.top != b.top || a.context != b.context ||
        a.apart != b.apart || a.skipped != b.skipped || a.threshold != b.threshold) {
        fail("examples: merge: expected the same neurons and settings, got others");
    }
    const auto add = [](std::vector<std::uint32_t>& to, const std::vector<std::uint32_t>& from) {
        for (std::size_t i = 0; i < to.size(); ++i) { to[i] += from[i]; }
    };
    m_positions += other.m_positions;
    add(m_over, other.m_over);
    add(m_positive, other.m_positive);
    add(m_zero, other.m_zero);
    add(m_histograms, other.m_histograms);
    for (std::size_t list = 0; list < m_hits.lists(); ++list) {
        for (const top_hits::hit& one : other.m_hits.of(list)) {
            const auto slot = m_hits.insert(list, one.row, one.value);
            if (!slot || m_shape.context == 0) { continue; }
            const auto at = [&](std::size_t s) {
                return static_cast<std::ptrdiff_t>(context_at(list, s));
            };
            std::copy_n(other.m_context.begin() + at(one.slot), context_width(),
                        m_context.begin() + at(*slot));
        }
        m_bars[list % 2][list / 2] = m_hits.bar(list);
    }
}

XLENS_API std::size_t coefficient_examples::number_of(const neuron& n) const {
    const auto found = std::lower_bound(m_neurons.begin(), m_neurons.end(), n);
    if (found == m_neurons.end() || *found != n) {
        fail("examples: neuron {} is none of the {} that were looked at", to_string(n),
             m_neurons.size());
    }
    return static_cast<std::size_t>(found - m_neurons.begin());
}

XLENS_API coefficient_counts coefficient_examples::counts(std::size_t n) const {
    coefficient_counts out{m_over[n], m_positive[n], m_zero[n], {}};
    const auto first = m_histograms.begin() + static_cast<std::ptrdiff_t>(n * octaves::count);
    std::copy_n(first, octaves::count, out.histogram.begin());
    return out;
}

XLENS_API std::vector<neuron_example> coefficient_examples::list(std::size_t n,
                                                                 std::size_t side) const {
    const std::size_t number = 2 * n + side;
    std::vector<neuron_example> out;
    for (const top_hits::hit& one : m_hits.of(number)) {
        neuron_example example{one.row, one.value, one.row, {}};
        if (m_shape.context > 0) {
            const float* from = &m_context[context_at(number, one.slot)];
            for (std::size_t c = 0; c < context_width(); ++c) {
                if (std::isnan(from[c])) { continue; }
                if (example.around.empty()) { example.first = one.row + c - m_shape.context; }
                example.around.push_back(from[c]);
            }
        }
        out.push_back(std::move(example));
    }
    return out;
}

#endif

}  // namespace xlens
