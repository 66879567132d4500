// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/cluster.hpp>
#include <xlens/early_exit/exit_trials.hpp>
#include <xlens/early_exit/lens_reader.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/early_exit/model_reader.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/trace/saturation.hpp>

#include <algorithm>
#endif

namespace xlens::early_exit {

/// What the paper's rule sees of one position.
struct cluster_item {
    std::vector<cluster_ids> lists;  ///< one a layer
    std::vector<token_id> tops;      ///< of the plain lens, one a layer; the last is the model's
};

namespace detail {

class gather_clusters {
public:
    static constexpr hook hooks = hook::embedding | hook::coefficients | hook::after;

    gather_clusters(const cluster_match& rule, const lens_read& read)
        : m_rule(&rule), m_read(&read) {}

    [[nodiscard]] std::vector<cluster_item> take() { return std::move(m_items); }

    void embedding(const site&, rows<float> x) { m_items.assign(x.count(), cluster_item()); }
    void coefficients(const site& where, rows<float> m);
    void after(const site& where, rows<float> x);

private:
    const cluster_match* m_rule;
    const lens_read* m_read;
    std::vector<cluster_item> m_items;
};

}  // namespace detail

/// The items of a text, one a position. Cost: an unembedding a position and layer.
XLENS_API std::vector<cluster_item> gather_cluster_items(const transformer<>& model,
                                                         std::span<const token_id> tokens,
                                                         std::size_t window,
                                                         const cluster_match& rule,
                                                         const progress_function& progress);

/// Fits the paper's rule: each item goes to the layer where it saturates, with its list there.
XLENS_API void fit_cluster(cluster_match& rule, std::span<const cluster_item> items);

/// The paper's simulation on items: leaves at the first layer where the rule says so.
XLENS_API std::vector<exit_trial> cluster_trials(const cluster_match& rule,
                                                 std::span<const cluster_item> items);

#if XLENS_DEFINES(early_exit)

namespace detail {

XLENS_API void gather_clusters::coefficients(const site& where, rows<float> m) {
    for (std::size_t t = 0; t < m.count(); ++t) {
        m_items[t].lists.push_back(m_rule->dominant(where.layer, m[t]));
    }
}

XLENS_API void gather_clusters::after(const site& where, rows<float> x) {
    check_residual(x, where.layer, where.first_position);
    const std::vector<reading> read = (*m_read)(x, 1);
    for (std::size_t t = 0; t < x.count(); ++t) {
        m_items[t].tops.push_back(top_of(read[t], where.layer, where.first_position + t));
    }
}

}  // namespace detail

XLENS_API std::vector<cluster_item> gather_cluster_items(const transformer<>& model,
                                                         std::span<const token_id> tokens,
                                                         std::size_t window,
                                                         const cluster_match& rule,
                                                         const progress_function& progress) {
    constexpr std::size_t chunk = 64;
    const lens_read read = lens_read_of(model);
    detail::gather_clusters gather(rule, read);
    std::vector<cluster_item> out;
    const auto keep = [&](sequence_state& state, const text_pass& pass) {
        model.forward(state, pass.tokens, gather);
        for (cluster_item& item : gather.take()) { out.push_back(std::move(item)); }
    };
    each_window(model, tokens, window, chunk, keep, progress);
    return out;
}

XLENS_API void fit_cluster(cluster_match& rule, std::span<const cluster_item> items) {
    for (const cluster_item& item : items) {
        const std::size_t layer = saturation_layer(item.tops);
        rule.add(layer, item.lists[layer]);
    }
}

XLENS_API std::vector<exit_trial> cluster_trials(const cluster_match& rule,
                                                 std::span<const cluster_item> items) {
    std::vector<exit_trial> out(items.size());
    for (std::size_t n = 0; n < items.size(); ++n) {
        const cluster_item& item = items[n];
        for (std::size_t l = 0; l + 1 < item.lists.size(); ++l) {
            if (!rule.decide(l, item.lists[l])) { continue; }
            out[n].looks.push_back({l, 1.0F, item.tops[l] == item.tops.back()});
            break;
        }
    }
    return out;
}

#endif

}  // namespace xlens::early_exit
