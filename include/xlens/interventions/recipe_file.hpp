// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/interventions/recipe.hpp>
#include <xlens/json/field.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/interventions/patch.hpp>
#include <xlens/interventions/recipe_fields.hpp>
#include <xlens/json/reader.hpp>

#include <cstddef>
#include <vector>
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
    only_keys(document, {"interventions"});
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
        step, word_of(verb, {"set", "scale", "add", "zero", "clamp", "steer", "patch", "ban"}));
}

XLENS_API edit_step recipe_reader::read_edit(const json_field& step, std::string_view name) const {
    edit_step out;
    if (name == "clamp") {
        only_keys(step, {"do", "neurons", "least", "most", "on", "when", "positions"});
        out.change.how = edit::kind::clamp;
        out.change.value = number_of(step.at("least"));
        out.change.most = number_of(step.at("most"));
        if (out.change.most < out.change.value) {
            fail("{}: expected at least {}, which is least, got {}", step.at("most").place(),
                 out.change.value, out.change.most);
        }
    } else if (name == "zero") {
        only_keys(step, {"do", "neurons", "on", "when", "positions"});
    } else {
        only_keys(step, {"do", "neurons", "value", "on", "when", "positions"});
        out.change.how = name == "scale" ? edit::kind::scale
                         : name == "add" ? edit::kind::add
                                         : edit::kind::set;
        out.change.value = number_of(step.at("value"));
    }
    if (const auto on = step.find("on")) {
        const bool before = word_of(*on, {"coefficient", "pre_activation"}) == "pre_activation";
        out.change.on = before ? edit::site::pre_activation : edit::site::coefficient;
    }
    const json_field listed = step.at("neurons");
    out.neurons = neurons_of(listed, m_folder);
    out.place = listed.place();
    if (listed.value().is_object()) { out.file = file_of(listed, m_folder); }
    out.when = moment_of(step);
    return out;
}

XLENS_API steer_step recipe_reader::read_steer(const json_field& step) {
    only_keys(step, {"do", "layer", "strength", "along", "toward", "away", "when", "positions"});
    steer_step out;
    out.place = step.place();
    out.layer = static_cast<std::size_t>(step.at("layer").id());
    out.strength = number_of(step.at("strength"));
    if (const auto along = step.find("along")) {
        out.along = parse_neuron(along->string(), along->place());
    }
    if (const auto toward = step.find("toward")) { out.toward = token_of(*toward); }
    if (const auto away = step.find("away")) { out.away = token_of(*away); }
    if (out.along.has_value() == (out.toward || out.away)) {
        fail("{}: expected along, or toward and away, got {}", out.place,
             out.along ? "both" : "neither");
    }
    out.when = moment_of(step);
    return out;
}

XLENS_API feature_step recipe_reader::read_feature(const json_field& step) const {
    only_keys(step, {"do", "sae", "feature", "strength", "when", "positions"});
    feature_step out;
    out.place = step.place();
    out.sae = m_folder / step.at("sae").string();
    out.feature = static_cast<std::size_t>(step.at("feature").id());
    out.strength = number_of(step.at("strength"));
    out.when = moment_of(step);
    return out;
}

XLENS_API directions_step recipe_reader::read_directions_step(const json_field& step) const {
    only_keys(step, {"do", "file", "layers", "strength", "when", "positions"});
    directions_step out;
    out.place = step.place();
    out.file = file_of(step, m_folder);
    if (const auto list = step.find("layers")) { out.layers = layers_of(*list); }
    if (const auto strength = step.find("strength")) { out.strength = number_of(*strength); }
    out.when = moment_of(step);
    return out;
}

XLENS_API patch_step recipe_reader::read_patch(const json_field& step) const {
    only_keys(step, {"do", "site", "layers", "heads", "positions", "source", "ids", "ablate",
                     "file", "from"});
    patch_step out;
    out.place = step.place();
    const json_field site = step.at("site");
    out.site = find_patch_site(word_of(site, {"embedding", "head_outputs", "attention_out",
                                              "before", "ffn_out", "after"}))
                   .value();
    if (const auto heads = step.find("heads")) {
        if (out.site != hook::head_outputs) {
            fail("{}: expected \"site\": \"head_outputs\" with it, got \"{}\"", heads->place(),
                 patch_site_name(out.site));
        }
        out.heads = numbers_of(*heads);
    }
    if (out.site != hook::embedding) {
        out.layers = layers_of(step.at("layers"));
    } else if (step.find("layers")) {
        fail("{}.layers: the embedding has none", out.place);
    }
    out.positions = numbers_of(step.at("positions"));
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
        out.from = numbers_of(*from);
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
    if (ablate && word_of(*ablate, {"zero", "mean"}) == "mean") {
        to.mean = file_of(step, m_folder);
    } else if (file) {
        fail("{}: expected \"ablate\": \"mean\" with it, got none", file->place());
    }
}

XLENS_API ban_step recipe_reader::read_ban(const json_field& step) {
    only_keys(step, {"do", "words", "ids"});
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
