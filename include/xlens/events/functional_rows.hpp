// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/clusters.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/types.hpp>
#include <xlens/events/event_rows.hpp>
#include <xlens/events/functional_clusters.hpp>
#include <xlens/events/statistics.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#if XLENS_DEFINES(events)
#include <xlens/events/functional.hpp>
#endif

namespace xlens {

/// "21-29", the first and the last layer that have members; "28" where they are one.
XLENS_API std::string layers_text(std::span<const std::size_t> by_layer);

/// Every value vector that was among the dominant, as comma-separated rows under a header, by layer
/// and index; with clusters, also the number of its own (nothing where it has none).
XLENS_API std::string functional_rows(const event_statistics& found, const clusters* of = nullptr);

/// Every cluster with an extreme score, in the order of functional_clusters::ranked; `text(id)` is
/// a token's text, for what its centroid promotes.
template <class Text>
std::string functional_cluster_rows(const functional_clusters& found, const clusters& of,
                                    const Text& text) {
    std::string out =
        "cluster,size,layers,functional,functional_members,dominant,in_extreme,promotes,suppresses,"
        "concept\n";
    for (std::size_t i = 0; i < found.ranked.size(); ++i) {
        const functional_cluster& c = found.ranked[i];
        std::string promoted;
        for (const scored& token : of.all()[c.id].concept_of_centroid.promotes) {
            promoted += text(token.id);
            promoted += ' ';
        }
        if (!promoted.empty()) { promoted.pop_back(); }
        out += fmt::format("{},{},{},{},{},{},{},{},{},{}\n", c.id, c.size, layers_text(c.by_layer),
                           i < found.often ? 1 : 0, c.functional_members, c.dominant, c.in_extreme,
                           c.promotes, c.suppresses, detail::csv_text(promoted));
    }
    return out;
}

#if XLENS_DEFINES(events)

XLENS_API std::string layers_text(std::span<const std::size_t> by_layer) {
    std::optional<std::size_t> first;
    std::size_t last = 0;
    for (std::size_t l = 0; l < by_layer.size(); ++l) {
        if (by_layer[l] == 0) { continue; }
        if (!first) { first = l; }
        last = l;
    }
    if (!first) { return ""; }
    return *first == last ? fmt::format("{}", last) : fmt::format("{}-{}", *first, last);
}

XLENS_API std::string functional_rows(const event_statistics& found, const clusters* of) {
    std::string out = "neuron,dominant,in_extreme,promotes,suppresses";
    out += of != nullptr ? ",cluster\n" : "\n";
    for (std::size_t i = 0; i < found.neurons.size(); ++i) {
        const neuron_counts& n = found.neurons[i];
        if (n.dominant == 0) { continue; }
        const neuron where{i / found.inner_width, i % found.inner_width};
        out += fmt::format("{},{},{},{},{}", to_string(where), n.dominant, n.in_extreme, n.promotes,
                           n.suppresses);
        if (of != nullptr) {
            const std::optional<std::size_t> id = of->of(where);
            out += id ? fmt::format(",{}", *id) : ",";
        }
        out += '\n';
    }
    return out;
}

#endif

}  // namespace xlens
