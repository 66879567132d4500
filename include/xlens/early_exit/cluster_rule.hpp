// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/clusters.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/early_exit/cluster.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/model/model.hpp>
#include <xlens/model/transformer.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/concepts/clusters_json.hpp>
#include <xlens/core/error.hpp>
#endif

namespace xlens::early_exit {

/// The rule `cluster` without examples, from clusters of the model's value vectors. `name` is what
/// errors call these. Throws xlens::error for clusters of another shape, for more than 65,535 of
/// them, and for a neuron that is in none.
XLENS_API cluster_match cluster_rule(const transformer<>& model, const clusters& from,
                                     std::string_view name = "clusters");

/// From a file of `xlens cluster` (write_clusters), which must be made of this model.
XLENS_API cluster_match cluster_rule(const model& m, const std::filesystem::path& path);

#if XLENS_DEFINES(early_exit)

XLENS_API cluster_match cluster_rule(const transformer<>& model, const clusters& from,
                                     std::string_view name) {
    const clusters_origin& origin = from.origin();
    const hyperparameters& config = model.config;
    if (origin.layers != config.layers || origin.inner_width != config.inner_width) {
        fail("{}: expected {} layers of {} neurons, got {} of {}", name, config.layers,
             config.inner_width, origin.layers, origin.inner_width);
    }
    constexpr std::size_t most = std::numeric_limits<std::uint16_t>::max();
    if (from.count() > most) { fail("{}: expected at most {}, got {}", name, most, from.count()); }
    std::vector<std::vector<std::uint16_t>> numbers(origin.layers,
                                                    std::vector<std::uint16_t>(origin.inner_width));
    for (std::size_t l = 0; l < origin.layers; ++l) {
        for (std::size_t i = 0; i < origin.inner_width; ++i) {
            const std::optional<std::size_t> id = from.of({l, i});
            if (!id) { fail("{}: neuron {}:{} is in none", name, l, i); }
            numbers[l][i] = static_cast<std::uint16_t>(*id);
        }
    }
    std::vector<std::vector<float>> norms;
    for (const auto& n : model.value_norms()) { norms.emplace_back(n.begin(), n.end()); }
    return {std::move(numbers), std::move(norms)};
}

XLENS_API cluster_match cluster_rule(const model& m, const std::filesystem::path& path) {
    const clusters found =
        read_clusters(path, m.fingerprint(), m.config.layers, m.config.inner_width);
    return cluster_rule(m, found, printable(path.string()) + ": clusters");
}

#endif

}  // namespace xlens::early_exit
