// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/interventions/recipe.hpp>
#include <xlens/json/field.hpp>

#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/core/number_ranges.hpp>
#include <xlens/interventions/neuron_list.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#endif

// What stands in the steps of a recipe file (recipe_file.hpp). All throw xlens::error, naming file,
// field and both values, for anything else.

namespace xlens::detail {

/// Whole numbers, at least one.
XLENS_API std::vector<std::size_t> numbers_of(const json_field& list);
/// LAYERS: a list, or ranges ("5-8,11").
XLENS_API std::vector<std::size_t> layers_of(const json_field& value);
/// FILE: the member "file", a path from `folder` on.
XLENS_API std::filesystem::path file_of(const json_field& value,
                                        const std::filesystem::path& folder);
/// NEURONS: a list, or a file that is looked for in `folder`; each once, at least one.
XLENS_API std::vector<neuron> neurons_of(const json_field& value,
                                         const std::filesystem::path& folder);
/// When a step acts: "when" or "positions" of it, else always.
XLENS_API step_moment moment_of(const json_field& step);
/// TOKEN: an id, or the text of one.
XLENS_API token_name token_of(const json_field& value);
/// What a float holds.
XLENS_API float number_of(const json_field& value);
/// One of these words.
XLENS_API std::string_view word_of(const json_field& value,
                                   std::initializer_list<std::string_view> words);
/// Refuses an object with any other key.
XLENS_API void only_keys(const json_field& object, std::initializer_list<std::string_view> keys);

#if XLENS_DEFINES(interventions)

XLENS_API std::vector<std::size_t> numbers_of(const json_field& list) {
    std::vector<std::size_t> out;
    for (const json_field& n : list.items()) { out.push_back(static_cast<std::size_t>(n.id())); }
    if (out.empty()) { fail("{}: expected at least 1 number, got 0", list.place()); }
    return out;
}

XLENS_API std::vector<std::size_t> layers_of(const json_field& value) {
    if (!value.value().is_string()) { return numbers_of(value); }
    return parse_ranges(value.place(), value.string(), max_tensors);
}

XLENS_API std::filesystem::path file_of(const json_field& value,
                                        const std::filesystem::path& folder) {
    return folder / value.at("file").string();
}

/// The first of those that are named twice.
inline std::vector<neuron> named_once(std::vector<neuron> all) {
    std::set<std::pair<std::size_t, std::size_t>> known;
    std::erase_if(all, [&](const neuron& n) { return !known.emplace(n.layer, n.index).second; });
    return all;
}

inline std::vector<neuron> neurons_of_file(const json_field& value,
                                           const std::filesystem::path& folder) {
    only_keys(value, {"file", "cluster", "sign", "limit"});
    const auto cluster = value.find("cluster");
    contribution_sign sign = contribution_sign::any;
    if (const auto named = value.find("sign")) {
        sign = word_of(*named, {"positive", "negative"}) == "positive"
                   ? contribution_sign::positive
                   : contribution_sign::negative;
    }
    std::vector<neuron> out = named_once(read_neuron_file(
        file_of(value, folder), cluster ? std::optional(cluster->id()) : std::nullopt, sign));
    if (const auto limit = value.find("limit")) {
        const auto most = static_cast<std::size_t>(limit->id());
        out.resize(std::min(out.size(), most));
    }
    return out;
}

XLENS_API std::vector<neuron> neurons_of(const json_field& value,
                                         const std::filesystem::path& folder) {
    std::vector<neuron> out = value.value().is_object() ? neurons_of_file(value, folder)
                                                        : named_once(read_neurons(value));
    if (out.empty()) { fail("{}: expected at least 1 neuron, got 0", value.place()); }
    return out;
}

XLENS_API step_moment moment_of(const json_field& step) {
    step_moment out;
    const auto word = step.find("when");
    const auto list = step.find("positions");
    if (word && list) { fail("{}: expected when or positions, got both", step.place()); }
    if (list) {
        out.when = step_moment::kind::listed;
        out.place = list->place();
        for (const json_field& p : list->items()) {
            out.listed.push_back(static_cast<std::size_t>(p.id()));
        }
        if (out.listed.empty()) { fail("{}: expected at least 1 position, got 0", out.place); }
    } else if (word) {
        const auto name = word_of(*word, {"always", "prompt", "generating"});
        out.when = name == "prompt"       ? step_moment::kind::prompt
                   : name == "generating" ? step_moment::kind::generating
                                          : step_moment::kind::always;
        out.place = word->place();
    }
    return out;
}

XLENS_API token_name token_of(const json_field& value) {
    if (value.value().is_string()) { return value.string(); }
    return value.id();
}

XLENS_API float number_of(const json_field& value) {
    value.expect(value.value().is_number() &&
                     std::abs(value.value().number()) <= double{std::numeric_limits<float>::max()},
                 "a number that a float holds");
    return static_cast<float>(value.value().number());
}

XLENS_API std::string_view word_of(const json_field& value,
                                   std::initializer_list<std::string_view> words) {
    const std::string text = value.string();
    const auto* found = std::find(words.begin(), words.end(), text);
    if (found == words.end()) {
        fail("{}: expected one of {}, got '{}'", value.place(), joined(words, ", "),
             printable(text));
    }
    return *found;
}

XLENS_API void only_keys(const json_field& object, std::initializer_list<std::string_view> keys) {
    object.expect(object.value().is_object(), "an object");
    for (const auto& item : object.value().object()) {
        if (std::find(keys.begin(), keys.end(), item.first) == keys.end()) {
            fail("{}: unknown key '{}', expected one of {}", object.place(), printable(item.first),
                 joined(keys, ", "));
        }
    }
}

#endif

}  // namespace xlens::detail
