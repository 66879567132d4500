// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/interventions/edit.hpp>
#include <xlens/interventions/positions.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/sae/read_sae.hpp>

#include <algorithm>
#endif

// Interventions as data: what a recipe file says (interventions/recipe_file.hpp), before a model
// and a prompt are known. interventions/make_policies.hpp makes policies of it.

namespace xlens {

/// When an intervention acts, in words; positions once the prompt's length is known.
struct step_moment {
    enum class kind { always, prompt, generating, listed };

    kind when = kind::always;
    std::vector<std::size_t> listed;
    std::string place = "when";  ///< for messages

    /// Throws xlens::error for `prompt` and `generating` where there is no prompt.
    [[nodiscard]] position_set positions(std::optional<std::size_t> prompt_length) const;
};

/// The same change of each of some neurons.
struct edit_step {
    edit change;  ///< without a neuron and positions
    std::vector<neuron> neurons;
    step_moment when;
    std::string place = "neurons";
    std::optional<std::filesystem::path> file = {};  ///< where the neurons stood, if in one
};

/// A token, by id or as a text that is one token.
using token_name = std::variant<token_id, std::string>;

/// A push of the residual: along a value vector, or towards a token and away from another.
struct steer_step {
    std::size_t layer = 0;
    float strength = 0.0F;
    std::optional<neuron> along;
    std::optional<token_name> toward;
    std::optional<token_name> away;
    step_moment when;
    std::string place = "steer";
};

/// A push along a direction of a sparse autoencoder: x ← x + strength·d_i where that reads.
struct feature_step {
    std::filesystem::path sae;  ///< its folder
    std::size_t feature = 0;
    float strength = 0.0F;
    step_moment when;
    std::string place = "steer";
};

/// A push along the directions of a file (interventions/direction_file.hpp), each at its layer and
/// with its length: x ← x + strength·d_L.
struct directions_step {
    std::filesystem::path file;
    std::vector<std::size_t> layers;  ///< none: all of the file's
    float strength = 1.0F;
    step_moment when;
    std::string place = "steer";
};

/// Vectors of another prompt, the mean over a text, or zeros, in the place of the text's own.
struct patch_step {
    hook site = hook::none;
    std::vector<std::size_t> layers;            ///< of the embedding: none
    std::vector<std::size_t> heads;             ///< of head_outputs; none: all of a layer
    std::vector<std::size_t> positions;         ///< of the text
    std::vector<std::size_t> from;              ///< of the source, one each; empty: the same
    std::optional<std::string> source;          ///< a prompt, or
    std::vector<token_id> ids;                  ///< its tokens, or
    std::optional<std::filesystem::path> mean;  ///< a text whose mean it is; none of them: zeros
    std::string place = "patch";
};

/// Words that are not to be written, in any cutting (ban_words), and token sequences (ban).
struct ban_step {
    std::vector<std::string> words;
    std::vector<std::vector<token_id>> sequences;
    std::string place = "ban";
};

/// Interventions in the order in which they act at each site.
struct recipe {
    using step =
        std::variant<edit_step, steer_step, feature_step, directions_step, patch_step, ban_step>;
    std::vector<step> steps;

    [[nodiscard]] bool empty() const { return steps.empty(); }
    /// Every file that the steps name, once, in their order: with the bytes of these a recipe says
    /// the same. Of an autoencoder those that are read of its folder. Throws xlens::error for a
    /// folder without one.
    [[nodiscard]] std::vector<std::filesystem::path> files() const;
};

#if XLENS_DEFINES(interventions)

XLENS_API position_set step_moment::positions(std::optional<std::size_t> prompt_length) const {
    if (when == kind::always) { return {}; }
    if (when == kind::listed) { return listed; }
    if (!prompt_length) {
        fail("{}: expected always, for there is no one prompt here, got {}", place,
             when == kind::prompt ? "prompt" : "generating");
    }
    return when == kind::prompt ? position_set::before(*prompt_length)
                                : position_set::generating(*prompt_length);
}

namespace detail {

/// The files that a step names.
struct files_of_step {
    using paths = std::vector<std::filesystem::path>;

    paths operator()(const edit_step& s) const { return s.file ? paths{*s.file} : paths(); }
    paths operator()(const feature_step& s) const { return sae_files(s.sae); }
    paths operator()(const directions_step& s) const { return {s.file}; }
    paths operator()(const patch_step& s) const { return s.mean ? paths{*s.mean} : paths(); }
    paths operator()(const steer_step& /*step*/) const { return {}; }
    paths operator()(const ban_step& /*step*/) const { return {}; }
};

}  // namespace detail

XLENS_API std::vector<std::filesystem::path> recipe::files() const {
    std::vector<std::filesystem::path> out;
    for (const step& one : steps) {
        for (const std::filesystem::path& path : std::visit(detail::files_of_step(), one)) {
            if (std::find(out.begin(), out.end(), path) == out.end()) { out.push_back(path); }
        }
    }
    return out;
}

#endif

}  // namespace xlens
