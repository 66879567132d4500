// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/early_exit/exit_file.hpp>
#include <xlens/early_exit/exit_rule.hpp>
#include <xlens/early_exit/rule_facts.hpp>
#include <xlens/storage/rows.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/nn/dominance.hpp>

#include <algorithm>
#endif

namespace xlens::early_exit {

/// The clusters of a layer's ten dominant sub-updates, most dominant first.
using cluster_ids = std::array<std::uint16_t, 10>;

/// At how many ranks two lists name the same cluster: 0 to 10.
XLENS_API unsigned same_positions(const cluster_ids& a, const cluster_ids& b);

/// The paper's rule (Geva et al. 2022, section 6.2; the details are its notebook's). Examples are
/// sorted by the layer at which they saturate, a[l]: their cluster lists at l. A position with list
/// c at layer l leaves if, for every later layer l' that has examples,
///   max sim(c, a[l]) > max sim(c, a[l'])   and   mean sim(c, a[l]) > mean sim(c, a[l'])
/// where sim counts equal ranks. c is taken once, at l; an empty a[l] lets nobody leave. The score
/// is 1 or 0: there is no threshold to calibrate. Cost: 10 comparisons an example.
class cluster_match {
public:
    static constexpr rule_facts facts{.name = "cluster", .clusters = true, .yes_or_no = true};
    static constexpr std::string_view name = facts.name;

    /// `cluster_of[l][i]`: the cluster of neuron l:i. `value_norms[l][i]`: ‖v_i‖.
    cluster_match(std::vector<std::vector<std::uint16_t>> cluster_of,
                  std::vector<std::vector<float>> value_norms);

    /// Clusters of the ten dominant sub-updates, by |m_i|·‖v_i‖. With ReLU this is the paper's
    /// m_i·‖v_i‖; gated coefficients have no fixed sign.
    [[nodiscard]] cluster_ids dominant(std::size_t layer, std::span<const float> m) const;
    /// An example that saturates at `layer`, with its clusters there.
    void add(std::size_t layer, const cluster_ids& ids) { m_examples.at(layer).push_back(ids); }

    [[nodiscard]] bool decide(std::size_t layer, const cluster_ids& ids) const;

    [[nodiscard]] exit_needs needs() const { return {.coefficients = true}; }
    void begin(std::size_t) {}
    void score(const exit_view& view, std::span<float> scores);
    void translate(std::size_t, rows<float>) const {}

    void save(exit_writer& to) const;
    static cluster_match load(exit_reader& from, const exit_sizes& sizes);

private:
    struct similarity_to {
        unsigned most = 0;
        std::uint64_t sum = 0;
        std::uint64_t count = 0;
        /// Of means, without rounding: sum / count > other.sum / other.count.
        [[nodiscard]] bool beats(const similarity_to& other) const;
    };
    static similarity_to compare(const cluster_ids& ids, const std::vector<cluster_ids>& with);

    std::vector<std::vector<std::uint16_t>> m_cluster_of;
    std::vector<std::vector<float>> m_norms;
    std::vector<std::vector<cluster_ids>> m_examples;
};

#if XLENS_DEFINES(early_exit)

XLENS_API unsigned same_positions(const cluster_ids& a, const cluster_ids& b) {
    unsigned out = 0;
    for (std::size_t i = 0; i < a.size(); ++i) { out += a[i] == b[i] ? 1U : 0U; }
    return out;
}

XLENS_API cluster_match::cluster_match(std::vector<std::vector<std::uint16_t>> cluster_of,
                                       std::vector<std::vector<float>> value_norms)
    : m_cluster_of(std::move(cluster_of)),
      m_norms(std::move(value_norms)),
      m_examples(m_cluster_of.size()) {
    for (std::size_t l = 0; l < m_cluster_of.size(); ++l) {
        if (m_cluster_of[l].size() != m_norms.at(l).size()) {
            fail("cluster rule: layer {}: {} clusters and {} norms", l, m_cluster_of[l].size(),
                 m_norms[l].size());
        }
    }
}

XLENS_API cluster_ids cluster_match::dominant(std::size_t layer, std::span<const float> m) const {
    cluster_ids out{};
    dominant_neurons ranking;
    std::size_t rank = 0;
    for (const std::size_t i : ranking(m, m_norms[layer], out.size())) {
        out[rank++] = m_cluster_of[layer][i];
    }
    return out;
}

XLENS_API bool cluster_match::decide(std::size_t layer, const cluster_ids& ids) const {
    const similarity_to here = compare(ids, m_examples[layer]);
    if (here.count == 0) { return false; }
    for (std::size_t l = layer + 1; l < m_examples.size(); ++l) {
        const similarity_to there = compare(ids, m_examples[l]);
        if (there.count > 0 && !here.beats(there)) { return false; }
    }
    return true;
}

XLENS_API void cluster_match::score(const exit_view& view, std::span<float> scores) {
    parallel_for(scores.size(), 1U << 16U, [&](std::size_t t) {
        const bool leaves = view.layer + 1 < m_cluster_of.size() &&
                            decide(view.layer, dominant(view.layer, view.coefficients[t]));
        scores[t] = leaves ? 1.0F : 0.0F;
    });
}

XLENS_API void cluster_match::save(exit_writer& to) const {
    to.size(m_cluster_of.size());
    for (std::size_t l = 0; l < m_cluster_of.size(); ++l) {
        to.list(m_cluster_of[l]);
        to.list(m_norms[l]);
        std::vector<std::uint16_t> flat;
        for (const cluster_ids& ids : m_examples[l]) {
            flat.insert(flat.end(), ids.begin(), ids.end());
        }
        to.list(flat);
    }
}

XLENS_API cluster_match cluster_match::load(exit_reader& from, const exit_sizes& sizes) {
    const std::size_t layers = sizes.layers;
    std::vector<std::vector<std::uint16_t>> clusters(layers);
    std::vector<std::vector<float>> norms(layers);
    std::vector<std::vector<std::uint16_t>> examples(layers);
    if (const std::size_t found = from.size("layers", layers); found != layers) {
        fail("{}: exit rule: expected {} layers, got {}", from.name(), layers, found);
    }
    for (std::size_t l = 0; l < layers; ++l) {
        clusters[l] = from.list<std::uint16_t>("clusters", sizes.inner_width);
        norms[l] = from.list<float>("norms", sizes.inner_width);
        examples[l] = from.list<std::uint16_t>("examples");
    }
    cluster_match out(std::move(clusters), std::move(norms));
    for (std::size_t l = 0; l < layers; ++l) {
        for (std::size_t i = 0; i + 10 <= examples[l].size(); i += 10) {
            cluster_ids ids;
            std::copy_n(examples[l].begin() + static_cast<std::ptrdiff_t>(i), 10, ids.begin());
            out.add(l, ids);
        }
    }
    return out;
}

XLENS_API bool cluster_match::similarity_to::beats(const similarity_to& other) const {
    return most > other.most && sum * other.count > other.sum * count;
}

XLENS_API cluster_match::similarity_to cluster_match::compare(
    const cluster_ids& ids, const std::vector<cluster_ids>& with) {
    similarity_to out{0, 0, with.size()};
    for (const cluster_ids& one : with) {
        const unsigned same = same_positions(ids, one);
        out.most = std::max(out.most, same);
        out.sum += same;
    }
    return out;
}

#endif

}  // namespace xlens::early_exit
