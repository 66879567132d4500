// SPDX-License-Identifier: BSD-3-Clause
#include "output/names.hpp"

#include "output/cells.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string_view>

namespace xlens::program {

std::string token_label(const engine& model, token_id id) {
    const std::string text = visible(model.token_bytes(id));
    return text.empty() ? fmt::format("#{}", id) : text;
}

std::string edits_text(const edit_flags& edits) {
    std::string out;
    const auto add = [&](const std::string& one) {
        out += (out.empty() ? ", edited: " : ", ") + one;
    };
    const auto change = [&](const edit_flags::change& one, const char* sign) {
        add(fmt::format("{} {} {}", to_string(one.where), sign, one.value));
    };
    for (const auto& one : edits.set) { change(one, "="); }
    for (const auto& one : edits.scale) { change(one, "×"); }
    if (edits.recipe) { add("recipe " + printable(*edits.recipe, 1024)); }
    for (const auto& one : edits.features) {
        add(fmt::format("{}:{} + {}", printable(one.sae, 1024), one.index, one.value));
    }
    for (const auto& one : edits.steers) {
        add(fmt::format("{} {}{}", one.strength, printable(one.file, 1024),
                        one.layers.empty() ? "" : " at " + joined(one.layers, ",")));
    }
    for (const auto& word : edits.bans) { add(fmt::format("'{}' banned", printable(word))); }
    return out;
}

std::size_t neuron_width(const hyperparameters& config) {
    return std::max(std::string_view("neuron").size(),
                    to_string(neuron{config.layers - 1, config.inner_width - 1}).size());
}

std::string percent(float probability) {
    if (std::isnan(probability)) { return "nan"; }
    if (probability < 0.005F) { return "<1%"; }
    return fmt::format("{:.0f}%", 100.0F * probability);
}

std::string model_name(const engine& model) {
    const std::filesystem::path path(model.path());
    return (path.has_filename() ? path : path.parent_path()).filename().string();
}

std::string model_sizes(const engine& model) {
    const hyperparameters& config = model.config();
    return fmt::format("{}, {} layers of {} sub-updates, {}", config.architecture, config.layers,
                       config.inner_width, config.quantization);
}

}  // namespace xlens::program
