// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/token.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/patch.hpp>
#include <xlens/interventions/patch_values.hpp>
#include <xlens/interventions/recipe.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/text/tokenizer.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/interventions/ban.hpp>
#include <xlens/interventions/ban_words.hpp>
#include <xlens/interventions/direction.hpp>
#include <xlens/interventions/direction_file.hpp>
#include <xlens/interventions/direction_set.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/interventions/steer.hpp>
#include <xlens/interventions/steer_directions.hpp>
#include <xlens/interventions/steer_feature.hpp>
#include <xlens/sae/read_sae.hpp>
#include <xlens/sae/sparse_autoencoder.hpp>
#include <xlens/text/input_text.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>
#endif

namespace xlens {

/// What a recipe meets: a model, its tokenizer (null where it has none), and what is known of the
/// run.
struct recipe_context {
    const transformer<>& model;
    const tokenizer* text = nullptr;
    std::optional<std::size_t> prompt_length = {};  ///< tokens of the prompt, where there is one
    std::optional<std::size_t> positions = {};      ///< the most that a sequence will have
    bool writes = true;             ///< whether a text is written, which a ban needs
    std::uint64_t fingerprint = 0;  ///< of the model (model::fingerprint); 0: not said
};

namespace detail {

class intervention_maker {
public:
    intervention_maker(const recipe_context& in, dynamic_policies& out) : m_in(in), m_out(out) {}

    void operator()(const edit_step& step) const;

    void operator()(const steer_step& step) const;

    void operator()(const feature_step& step) const;

    void operator()(const directions_step& step) const;

    void operator()(const patch_step& step) const;

    void operator()(const ban_step& step) const;

private:
    [[nodiscard]] patch_values values(const patch_step& step, std::vector<layer_site> places,
                                      std::span<const token_id> source) const;
    void check_heads(const patch_step& step) const;
    /// At one position of the text, what `values` has of a place at another.
    void put(patch& to, const patch_step& step, std::size_t position, const patch_values& values,
             std::size_t place, std::size_t from) const;
    [[nodiscard]] position_set positions(const step_moment& when) const;
    void check_reached(std::size_t position, const std::string& place) const;
    [[nodiscard]] std::vector<float> direction(const steer_step& step) const;
    [[nodiscard]] token_id token(const token_name& name, const std::string& place) const;
    [[nodiscard]] const tokenizer& text(const std::string& place) const;

    const recipe_context& m_in;
    dynamic_policies& m_out;
};

}  // namespace detail

/// Appends the policies of a recipe to a pack, in its order. Throws xlens::error, naming the place
/// in the recipe, for a neuron, layer or token that the model does not have, for `when` words that
/// need a prompt where there is none, and for a step that can select nothing: a position past the
/// end, a ban where nothing is written. A step that patches reads its source in one pass.
XLENS_API void add_interventions(dynamic_policies& to, const recipe& what,
                                 const recipe_context& in);

#if XLENS_DEFINES(interventions)

namespace detail {

XLENS_API void intervention_maker::operator()(const edit_step& step) const {
    const auto& config = m_in.model.config;
    const auto check = [&](const neuron& n) {
        return n.layer < config.layers && n.index < config.inner_width;
    };
    const auto wrong = std::find_if_not(step.neurons.begin(), step.neurons.end(), check);
    if (wrong != step.neurons.end()) {
        fail("{}: neuron {}: expected layers 0 to {} and neurons 0 to {}", step.place,
             to_string(*wrong), config.layers - 1, config.inner_width - 1);
    }
    edit change = step.change;
    change.positions = positions(step.when);
    intervene policy;
    policy.add(step.neurons, change);
    m_out.add(std::move(policy));
}

/// What `make` throws, with the place of the step that it is about.
template <class Make>
void named(const std::string& place, Make make) {
    try {
        make();
    } catch (const error& e) { fail("{}: {}", place, e.what()); }
}

XLENS_API void intervention_maker::operator()(const steer_step& step) const {
    const auto& config = m_in.model.config;
    if (step.layer >= config.layers) {
        fail("{}.layer: expected 0 to {}, got {}", step.place, config.layers - 1, step.layer);
    }
    const std::vector<float> along = direction(step);
    const position_set where = positions(step.when);
    named(step.place, [&] { m_out.add(steer(step.layer, along, step.strength, where)); });
}

XLENS_API void intervention_maker::operator()(const feature_step& step) const {
    const sparse_autoencoder sae = read_sae(step.sae);
    sae.check(m_in.model.sizes());
    m_out.add(steer_feature(sae, step.feature, step.strength, positions(step.when)));
}

XLENS_API void intervention_maker::operator()(const directions_step& step) const {
    const direction_set set = read_directions(step.file);
    check_directions(set, m_in.model.config, m_in.fingerprint, step.file.string());
    for (const std::size_t l : step.layers) {
        if (!set.of.contains(l)) {
            fail("{}: {}: no direction of layer {}, it has {} from {} to {}", step.place,
                 printable(step.file.string(), 1024), l, set.of.size(), set.of.begin()->first,
                 set.of.rbegin()->first);
        }
    }
    const position_set where = positions(step.when);
    const std::string file = printable(step.file.string(), 1024);
    named(fmt::format("{}: {}", step.place, file),
          [&] { m_out.add(steer_directions(set, step.strength, step.layers, where)); });
}

XLENS_API void intervention_maker::operator()(const patch_step& step) const {
    for (const std::size_t p : step.positions) { check_reached(p, step.place + ".positions"); }
    check_heads(step);
    std::vector<layer_site> places;
    for (const std::size_t l : step.layers) {
        if (l >= m_in.model.config.layers) {
            fail("{}.layers: expected 0 to {}, got {}", step.place, m_in.model.config.layers - 1,
                 l);
        }
        places.push_back({step.site, l});
    }
    if (step.site == hook::embedding) { places.push_back({step.site, 0}); }
    const std::vector<token_id> source =
        step.source ? text(step.place).encode_prompt(*step.source, {}) : step.ids;
    for (const token_id id : source) {
        check_token(id, m_in.model.config.vocabulary, step.place + ".ids");
    }
    if (step.source && source.empty()) {
        fail("{}.source: expected a text with a token, got '{}'", step.place,
             printable(*step.source));
    }
    const patch_values theirs = values(step, places, source);
    patch policy;
    for (std::size_t j = 0; j < step.positions.size(); ++j) {
        const std::size_t from = source.empty()      ? 0
                                 : step.from.empty() ? step.positions[j]
                                                     : step.from[j];
        if (from >= theirs.row_at.size()) {
            fail("{}: position {} of the source, which has {} tokens", step.place, from,
                 source.size());
        }
        for (std::size_t i = 0; i < places.size(); ++i) {
            put(policy, step, step.positions[j], theirs, i, from);
        }
    }
    m_out.add(std::move(policy));
}

XLENS_API void intervention_maker::check_heads(const patch_step& step) const {
    for (const std::size_t h : step.heads) {
        if (h >= m_in.model.config.heads) {
            fail("{}.heads: expected 0 to {}, got {}", step.place, m_in.model.config.heads - 1, h);
        }
    }
}

XLENS_API void intervention_maker::put(patch& to, const patch_step& step, std::size_t position,
                                       const patch_values& values, std::size_t place,
                                       std::size_t from) const {
    const std::span<const float> x = values.at(place, from);
    const std::size_t layer = values.places[place].layer;
    if (step.heads.empty()) {
        to.at(step.site, layer, position, x);
        return;
    }
    const std::size_t size = m_in.model.config.head_size;
    for (const std::size_t h : step.heads) {
        to.at(attention_head{layer, h}, position, x.subspan(h * size, size));
    }
}

XLENS_API patch_values intervention_maker::values(const patch_step& step,
                                                  std::vector<layer_site> places,
                                                  std::span<const token_id> source) const {
    if (step.mean) {
        const tokenizer& words = text(step.place);
        mean_options how;
        how.window = std::min(how.window, m_in.model.config.context);
        how.prefix = words.prefix();
        const std::vector<token_id> read = words.encode(input_text(*step.mean).checked());
        return mean_values(m_in.model, std::move(places), read, 1, how);
    }
    if (source.empty()) { return zero_values(m_in.model, std::move(places), 1); }
    return source_values(m_in.model, std::move(places), source, source.size());
}

XLENS_API void intervention_maker::operator()(const ban_step& step) const {
    if (!m_in.writes) {
        fail("{}: a ban acts on a text that is written (generate), and here none is", step.place);
    }
    for (const auto& s : step.sequences) {
        for (const token_id id : s) {
            check_token(id, m_in.model.config.vocabulary, step.place + ".ids");
        }
    }
    if (!step.words.empty()) { m_out.add(ban_words(text(step.place), step.words)); }
    if (!step.sequences.empty()) { m_out.add(ban(step.sequences)); }
}

XLENS_API position_set intervention_maker::positions(const step_moment& when) const {
    for (const std::size_t position : when.listed) { check_reached(position, when.place); }
    return when.positions(m_in.prompt_length);
}

XLENS_API void intervention_maker::check_reached(std::size_t position,
                                                 const std::string& place) const {
    const std::size_t end = m_in.positions.value_or(m_in.model.config.context);
    if (position >= end) { fail("{}: position {}: expected 0 to {}", place, position, end - 1); }
}

XLENS_API std::vector<float> intervention_maker::direction(const steer_step& step) const {
    if (step.along) {
        const auto& config = m_in.model.config;
        if (step.along->layer >= config.layers || step.along->index >= config.inner_width) {
            fail("{}.along: neuron {}: expected layers 0 to {} and neurons 0 to {}", step.place,
                 to_string(*step.along), config.layers - 1, config.inner_width - 1);
        }
        return value_direction(m_in.model, *step.along);
    }
    std::vector<float> out(m_in.model.config.width, 0.0F);
    const auto add = [&](const std::optional<token_name>& name, float sign,
                         const std::string& place) {
        if (!name) { return; }
        const auto d = token_direction(m_in.model, token(*name, place));
        for (std::size_t i = 0; i < out.size(); ++i) { out[i] += sign * d[i]; }
    };
    add(step.toward, 1.0F, step.place + ".toward");
    add(step.away, -1.0F, step.place + ".away");
    return out;
}

XLENS_API token_id intervention_maker::token(const token_name& name,
                                             const std::string& place) const {
    if (const auto* id = std::get_if<token_id>(&name)) {
        check_token(*id, m_in.model.config.vocabulary, place);
        return *id;
    }
    const auto& word = std::get<std::string>(name);
    const auto ids = text(place).encode(word);
    if (ids.size() != 1) {
        fail("{}: expected a text that is one token, got '{}', which is {}", place, printable(word),
             ids.size());
    }
    return ids.front();
}

XLENS_API const tokenizer& intervention_maker::text(const std::string& place) const {
    if (m_in.text == nullptr) { fail("{}: the model has no tokenizer; give token ids", place); }
    return *m_in.text;
}

}  // namespace detail

XLENS_API void add_interventions(dynamic_policies& to, const recipe& what,
                                 const recipe_context& in) {
    const detail::intervention_maker make(in, to);
    for (const recipe::step& step : what.steps) { std::visit(make, step); }
}

#endif

}  // namespace xlens
