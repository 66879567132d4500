// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/json/field.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/json/reader.hpp>
#endif

namespace xlens {

namespace detail {
XLENS_API std::vector<neuron> read_neurons(const std::vector<json_field>& items);

XLENS_API json_field cluster_in(const json_field& document, std::int32_t id);
}  // namespace detail

/// The neurons of a JSON value: a list ["12:1033", ..], or what the program's `search --json`
/// ("hits") and `cluster` ("clusters", of which one is named) write. Throws xlens::error with the
/// place of what is wrong.
XLENS_API std::vector<neuron> read_neurons(const json_field& value,
                                           std::optional<std::int32_t> cluster = {});

/// The same of a file.
XLENS_API std::vector<neuron> read_neuron_file(const std::filesystem::path& path,
                                               std::optional<std::int32_t> cluster = {});

#if XLENS_DEFINES(interventions)

namespace detail {

XLENS_API std::vector<neuron> read_neurons(const std::vector<json_field>& items) {
    std::vector<neuron> out;
    for (const json_field& item : items) {
        // An entry may say more about its neuron, as those of a search do.
        const json_field name = item.value().is_object() ? item.at("neuron") : item;
        out.push_back(parse_neuron(name.string(), name.place()));
    }
    return out;
}

XLENS_API json_field cluster_in(const json_field& document, std::int32_t id) {
    for (const json_field& cluster : document.at("clusters").items()) {
        if (cluster.at("id").id() == id) { return cluster; }
    }
    fail("{}: expected a cluster with id {}, got none", document.at("clusters").place(), id);
}

}  // namespace detail

XLENS_API std::vector<neuron> read_neurons(const json_field& value,
                                           std::optional<std::int32_t> cluster) {
    if (value.value().is_list()) { return detail::read_neurons(value.items()); }
    if (const auto hits = value.find("hits")) { return detail::read_neurons(hits->items()); }
    if (const auto plain = value.find("neurons")) { return detail::read_neurons(plain->items()); }
    if (!value.find("clusters")) {
        value.expect(false, "a list of neurons, or an object with neurons, hits or clusters");
    }
    if (!cluster) { fail("{}: expected the id of one cluster, got none", value.place()); }
    return detail::read_neurons(detail::cluster_in(value, *cluster).at("neurons").items());
}

XLENS_API std::vector<neuron> read_neuron_file(const std::filesystem::path& path,
                                               std::optional<std::int32_t> cluster) {
    const json_value document = read_json(path);
    return read_neurons(json_field(document, printable(path.string(), 1024), ": "), cluster);
}

#endif

}  // namespace xlens
