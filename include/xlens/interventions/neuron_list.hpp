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

/// Which sub-updates of an attribution: all, those that add to the logit, those that take from it.
enum class contribution_sign { any, positive, negative };

namespace detail {
XLENS_API std::vector<neuron> read_neurons(const std::vector<json_field>& items);

XLENS_API json_field cluster_in(const json_field& document, std::int32_t id);

XLENS_API std::vector<neuron> contributors(const std::vector<json_field>& sub_updates,
                                           contribution_sign sign);
}  // namespace detail

/// The neurons of a JSON value: a list ["12:1033", ..], or what the program's `search --json`
/// ("hits"), `cluster` ("clusters", of which one is named) and `attribute --json` ("sub_updates",
/// the largest contributions first, whose sign may be named) write. Throws xlens::error with the
/// place of what is wrong.
XLENS_API std::vector<neuron> read_neurons(const json_field& value,
                                           std::optional<std::int32_t> cluster = {},
                                           contribution_sign sign = contribution_sign::any);

/// The same of a file.
XLENS_API std::vector<neuron> read_neuron_file(const std::filesystem::path& path,
                                               std::optional<std::int32_t> cluster = {},
                                               contribution_sign sign = contribution_sign::any);

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

XLENS_API std::vector<neuron> contributors(const std::vector<json_field>& sub_updates,
                                           contribution_sign sign) {
    std::vector<json_field> wanted;
    for (const json_field& one : sub_updates) {
        const double contribution = one.at("contribution").number();
        const bool left_out = sign == contribution_sign::positive   ? contribution <= 0.0
                              : sign == contribution_sign::negative ? contribution >= 0.0
                                                                    : false;
        if (!left_out) { wanted.push_back(one); }
    }
    return read_neurons(wanted);
}

}  // namespace detail

XLENS_API std::vector<neuron> read_neurons(const json_field& value,
                                           std::optional<std::int32_t> cluster,
                                           contribution_sign sign) {
    if (value.value().is_object()) {
        if (const auto parts = value.find("sub_updates")) {
            return detail::contributors(parts->items(), sign);
        }
    }
    if (sign != contribution_sign::any) {
        fail("{}: sign: expected a document of attribute, with sub_updates, got another",
             value.place());
    }
    if (value.value().is_list()) { return detail::read_neurons(value.items()); }
    if (const auto hits = value.find("hits")) { return detail::read_neurons(hits->items()); }
    if (const auto plain = value.find("neurons")) { return detail::read_neurons(plain->items()); }
    if (!value.find("clusters")) {
        value.expect(false,
                     "a list of neurons, or an object with neurons, hits, sub_updates or clusters");
    }
    if (!cluster) { fail("{}: expected the id of one cluster, got none", value.place()); }
    return detail::read_neurons(detail::cluster_in(value, *cluster).at("neurons").items());
}

XLENS_API std::vector<neuron> read_neuron_file(const std::filesystem::path& path,
                                               std::optional<std::int32_t> cluster,
                                               contribution_sign sign) {
    const json_value document = read_json(path);
    return read_neurons(json_field(document, printable(path.string(), 1024), ": "), cluster, sign);
}

#endif

}  // namespace xlens
