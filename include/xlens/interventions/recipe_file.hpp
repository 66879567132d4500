// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/interventions/recipe.hpp>
#include <xlens/json/field.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/core/number_ranges.hpp>
#include <xlens/interventions/neuron_list.hpp>
#include <xlens/interventions/patch.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <algorithm>
#include <set>
#include <utility>
#endif

// Recipe files: {"interventions": [STEP..]}, each STEP one of
//   {"do": "set" | "scale" | "add", "neurons": NEURONS, "value": X}
//   {"do": "zero", "neurons": NEURONS}
//   {"do": "clamp", "neurons": NEURONS, "least": X, "most": X}
//       each also "on": "coefficient" | "pre_activation"
//   {"do": "steer", "layer": L, "strength": X, "along": "L:I"} or "toward": TOKEN and "away": TOKEN
//   {"do": "steer", "sae": FOLDER, "feature": I, "strength": X}   of a sparse autoencoder
//   {"do": "steer", "file": FILE, "strength": X, "layers": LAYERS}   of xlens direction, or a
//       control vector of llama.cpp; X: times the vector as it is (1); no LAYERS: all that it has
//       all of these also "when": "always" | "prompt" | "generating", or "positions": [N..]
//   {"do": "patch", "site": SITE, "layers": LAYERS, "positions": [N..], "source": TEXT} or
//       "ids": [ID..] or "ablate": "zero" or "ablate": "mean" and "file": FILE, a text; "from":
//       [N..], positions of the source (the same).
//       SITE: embedding (without layers), head_outputs, attention_out, before, ffn_out, after; of
//       head_outputs also "heads": [N..] (all of the layers)
//   {"do": "ban", "words": [TEXT..], "ids": [[ID..]..]}
// NEURONS: ["L:I"..], or {"file": FILE} of a file beside the recipe that `search --json`, `cluster`
// (with "cluster": ID) or `attribute --json` (with "sign": "positive" | "negative" or without)
// wrote, "limit": N of them, the first; one that is named twice counts once. FOLDER and FILE:
// looked for there, too; TOKEN: an id, or a text that is one token; LAYERS: "5-8,11" or [N..].

namespace xlens {

namespace detail {

class recipe_reader {
public:
    explicit recipe_reader(std::filesystem::path folder) : m_folder(std::move(folder)) {}

    [[nodiscard]] recipe read(const json_field& document) const;

private:
    [[nodiscard]] recipe::step read_step(const json_field& step) const;

    [[nodiscard]] edit_step read_edit(const json_field& step, std::string_view name) const;

    [[nodiscard]] static steer_step read_steer(const json_field& step);

    [[nodiscard]] feature_step read_feature(const json_field& step) const;

    [[nodiscard]] directions_step read_directions_step(const json_field& step) const;

    [[nodiscard]] patch_step read_patch(const json_field& step) const;
    void read_ablation(const json_field& step, patch_step& to) const;

    [[nodiscard]] static ban_step read_ban(const json_field& step);

    [[nodiscard]] std::vector<neuron> neurons(const json_field& value) const;
    [[nodiscard]] std::vector<neuron> neurons_of_file(const json_field& value) const;
    [[nodiscard]] std::filesystem::path file_of(const json_field& value) const {
        return m_folder / value.at("file").string();
    }

    [[nodiscard]] static step_moment when(const json_field& step);

    static std::vector<std::size_t> numbers(const json_field& list);
    static std::vector<std::size_t> layers(const json_field& value);
    static token_name token(const json_field& value);
    static float number(const json_field& value);
    static std::string_view one_of(const json_field& value,
                                   std::initializer_list<std::string_view> words);
    static void only(const json_field& object, std::initializer_list<std::string_view> keys);

    std::filesystem::path m_folder;
};

}  // namespace detail

/// Reads a recipe of interventions. Throws xlens::error, naming file, field and both values, for
/// unknown keys, wrong types and missing values; whether neurons, layers and tokens exist is for
/// interventions/make_policies.hpp to check, which knows the model.
XLENS_API recipe read_recipe(const std::filesystem::path& path);
/// The same of a JSON value; `name` stands for the file in messages, and other files are looked for
/// in `folder`.
XLENS_API recipe read_recipe(const json_value& document, const std::string& name,
                             const std::filesystem::path& folder = {});

#if XLENS_DEFINES(interventions)

namespace detail {

XLENS_API recipe recipe_reader::read(const json_field& document) const {
    only(document, {"interventions"});
    recipe out;
    for (const json_field& step : document.at("interventions").items()) {
        out.steps.push_back(read_step(step));
    }
    return out;
}

XLENS_API recipe::step recipe_reader::read_step(const json_field& step) const {
    const json_field verb = step.at("do");
    const std::string name = verb.string();
    if (name == "steer" && step.find("sae")) { return read_feature(step); }
    if (name == "steer" && step.find("file")) { return read_directions_step(step); }
    if (name == "steer") { return read_steer(step); }
    if (name == "patch") { return read_patch(step); }
    if (name == "ban") { return read_ban(step); }
    return read_edit(
        step, one_of(verb, {"set", "scale", "add", "zero", "clamp", "steer", "patch", "ban"}));
}

XLENS_API edit_step recipe_reader::read_edit(const json_field& step, std::string_view name) const {
    edit_step out;
    if (name == "clamp") {
        only(step, {"do", "neurons", "least", "most", "on", "when", "positions"});
        out.change.how = edit::kind::clamp;
        out.change.value = number(step.at("least"));
        out.change.most = number(step.at("most"));
        if (out.change.most < out.change.value) {
            fail("{}: expected at least {}, which is least, got {}", step.at("most").place(),
                 out.change.value, out.change.most);
        }
    } else if (name == "zero") {
        only(step, {"do", "neurons", "on", "when", "positions"});
    } else {
        only(step, {"do", "neurons", "value", "on", "when", "positions"});
        out.change.how = name == "scale" ? edit::kind::scale
                         : name == "add" ? edit::kind::add
                                         : edit::kind::set;
        out.change.value = number(step.at("value"));
    }
    if (const auto on = step.find("on")) {
        const bool before = one_of(*on, {"coefficient", "pre_activation"}) == "pre_activation";
        out.change.on = before ? edit::site::pre_activation : edit::site::coefficient;
    }
    const json_field listed = step.at("neurons");
    out.neurons = neurons(listed);
    out.place = listed.place();
    if (listed.value().is_object()) { out.file = file_of(listed); }
    out.when = when(step);
    return out;
}

XLENS_API steer_step recipe_reader::read_steer(const json_field& step) {
    only(step, {"do", "layer", "strength", "along", "toward", "away", "when", "positions"});
    steer_step out;
    out.place = step.place();
    out.layer = static_cast<std::size_t>(step.at("layer").id());
    out.strength = number(step.at("strength"));
    if (const auto along = step.find("along")) {
        out.along = parse_neuron(along->string(), along->place());
    }
    if (const auto toward = step.find("toward")) { out.toward = token(*toward); }
    if (const auto away = step.find("away")) { out.away = token(*away); }
    if (out.along.has_value() == (out.toward || out.away)) {
        fail("{}: expected along, or toward and away, got {}", out.place,
             out.along ? "both" : "neither");
    }
    out.when = when(step);
    return out;
}

XLENS_API feature_step recipe_reader::read_feature(const json_field& step) const {
    only(step, {"do", "sae", "feature", "strength", "when", "positions"});
    feature_step out;
    out.place = step.place();
    out.sae = m_folder / step.at("sae").string();
    out.feature = static_cast<std::size_t>(step.at("feature").id());
    out.strength = number(step.at("strength"));
    out.when = when(step);
    return out;
}

XLENS_API directions_step recipe_reader::read_directions_step(const json_field& step) const {
    only(step, {"do", "file", "layers", "strength", "when", "positions"});
    directions_step out;
    out.place = step.place();
    out.file = m_folder / step.at("file").string();
    if (const auto list = step.find("layers")) { out.layers = layers(*list); }
    if (const auto strength = step.find("strength")) { out.strength = number(*strength); }
    out.when = when(step);
    return out;
}

XLENS_API patch_step recipe_reader::read_patch(const json_field& step) const {
    only(step,
         {"do", "site", "layers", "heads", "positions", "source", "ids", "ablate", "file", "from"});
    patch_step out;
    out.place = step.place();
    const json_field site = step.at("site");
    out.site = find_patch_site(one_of(site, {"embedding", "head_outputs", "attention_out", "before",
                                             "ffn_out", "after"}))
                   .value();
    if (const auto heads = step.find("heads")) {
        if (out.site != hook::head_outputs) {
            fail("{}: expected \"site\": \"head_outputs\" with it, got \"{}\"", heads->place(),
                 patch_site_name(out.site));
        }
        out.heads = numbers(*heads);
    }
    if (out.site != hook::embedding) {
        out.layers = layers(step.at("layers"));
    } else if (step.find("layers")) {
        fail("{}.layers: the embedding has none", out.place);
    }
    out.positions = numbers(step.at("positions"));
    const auto source = step.find("source");
    const auto ids = step.find("ids");
    const auto ablate = step.find("ablate");
    if (int{source.has_value()} + int{ids.has_value()} + int{ablate.has_value()} != 1) {
        fail("{}: expected one of source, ids and ablate", out.place);
    }
    read_ablation(step, out);
    if (source) { out.source = source->string(); }
    if (ids) {
        for (const json_field& id : ids->items()) { out.ids.push_back(id.id()); }
        if (out.ids.empty()) { fail("{}: expected at least 1 token id, got 0", ids->place()); }
    }
    if (const auto from = step.find("from")) {
        if (ablate) {
            fail("{}: expected a source, got {}", from->place(), out.mean ? "a mean" : "zeros");
        }
        out.from = numbers(*from);
        if (out.from.size() != out.positions.size()) {
            fail("{}: expected {} positions, one each, got {}", from->place(), out.positions.size(),
                 out.from.size());
        }
    }
    return out;
}

XLENS_API void recipe_reader::read_ablation(const json_field& step, patch_step& to) const {
    const auto ablate = step.find("ablate");
    const auto file = step.find("file");
    if (ablate && one_of(*ablate, {"zero", "mean"}) == "mean") {
        to.mean = file_of(step);
    } else if (file) {
        fail("{}: expected \"ablate\": \"mean\" with it, got none", file->place());
    }
}

XLENS_API std::vector<std::size_t> recipe_reader::numbers(const json_field& list) {
    std::vector<std::size_t> out;
    for (const json_field& n : list.items()) { out.push_back(static_cast<std::size_t>(n.id())); }
    if (out.empty()) { fail("{}: expected at least 1 number, got 0", list.place()); }
    return out;
}

XLENS_API std::vector<std::size_t> recipe_reader::layers(const json_field& value) {
    if (!value.value().is_string()) { return numbers(value); }
    return parse_ranges(value.place(), value.string(), max_tensors);
}

XLENS_API ban_step recipe_reader::read_ban(const json_field& step) {
    only(step, {"do", "words", "ids"});
    ban_step out;
    out.place = step.place();
    if (const auto words = step.find("words")) {
        for (const json_field& word : words->items()) {
            word.expect(word.value().is_string() && !word.string().empty(), "a word");
            out.words.push_back(word.string());
        }
    }
    if (const auto lists = step.find("ids")) {
        for (const json_field& list : lists->items()) {
            std::vector<token_id> ids;
            for (const json_field& id : list.items()) { ids.push_back(id.id()); }
            list.expect(!ids.empty(), "at least 1 token id");
            out.sequences.push_back(std::move(ids));
        }
    }
    if (out.words.empty() && out.sequences.empty()) {
        fail("{}: expected words or ids to ban, got neither", out.place);
    }
    return out;
}

/// The first of those that are named twice.
inline std::vector<neuron> named_once(std::vector<neuron> all) {
    std::set<std::pair<std::size_t, std::size_t>> known;
    std::erase_if(all, [&](const neuron& n) { return !known.emplace(n.layer, n.index).second; });
    return all;
}

XLENS_API std::vector<neuron> recipe_reader::neurons(const json_field& value) const {
    std::vector<neuron> out =
        value.value().is_object() ? neurons_of_file(value) : named_once(read_neurons(value));
    if (out.empty()) { fail("{}: expected at least 1 neuron, got 0", value.place()); }
    return out;
}

XLENS_API std::vector<neuron> recipe_reader::neurons_of_file(const json_field& value) const {
    only(value, {"file", "cluster", "sign", "limit"});
    const auto cluster = value.find("cluster");
    contribution_sign sign = contribution_sign::any;
    if (const auto named = value.find("sign")) {
        sign = one_of(*named, {"positive", "negative"}) == "positive" ? contribution_sign::positive
                                                                      : contribution_sign::negative;
    }
    std::vector<neuron> out = named_once(read_neuron_file(
        file_of(value), cluster ? std::optional(cluster->id()) : std::nullopt, sign));
    if (const auto limit = value.find("limit")) {
        const auto most = static_cast<std::size_t>(limit->id());
        out.resize(std::min(out.size(), most));
    }
    return out;
}

XLENS_API step_moment recipe_reader::when(const json_field& step) {
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
        const auto name = one_of(*word, {"always", "prompt", "generating"});
        out.when = name == "prompt"       ? step_moment::kind::prompt
                   : name == "generating" ? step_moment::kind::generating
                                          : step_moment::kind::always;
        out.place = word->place();
    }
    return out;
}

XLENS_API token_name recipe_reader::token(const json_field& value) {
    if (value.value().is_string()) { return value.string(); }
    return value.id();
}

XLENS_API float recipe_reader::number(const json_field& value) {
    value.expect(value.value().is_number() &&
                     std::abs(value.value().number()) <= double{std::numeric_limits<float>::max()},
                 "a number that a float holds");
    return static_cast<float>(value.value().number());
}

XLENS_API std::string_view recipe_reader::one_of(const json_field& value,
                                                 std::initializer_list<std::string_view> words) {
    const std::string text = value.string();
    const auto* found = std::find(words.begin(), words.end(), text);
    if (found == words.end()) {
        fail("{}: expected one of {}, got '{}'", value.place(), joined(words, ", "),
             printable(text));
    }
    return *found;
}

XLENS_API void recipe_reader::only(const json_field& object,
                                   std::initializer_list<std::string_view> keys) {
    object.expect(object.value().is_object(), "an object");
    for (const auto& item : object.value().object()) {
        if (std::find(keys.begin(), keys.end(), item.first) == keys.end()) {
            fail("{}: unknown key '{}', expected one of {}", object.place(), printable(item.first),
                 joined(keys, ", "));
        }
    }
}

}  // namespace detail

XLENS_API recipe read_recipe(const std::filesystem::path& path) {
    const json_value document = read_json(path);
    const json_field root(document, printable(path.string(), 1024), ": ");
    return detail::recipe_reader(path.parent_path()).read(root);
}

XLENS_API recipe read_recipe(const json_value& document, const std::string& name,
                             const std::filesystem::path& folder) {
    return detail::recipe_reader(folder).read(json_field(document, name, ": "));
}

#endif

}  // namespace xlens
