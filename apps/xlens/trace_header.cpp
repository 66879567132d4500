// SPDX-License-Identifier: BSD-3-Clause
#include "trace_header.hpp"

#include "cells.hpp"
#include "table_line.hpp"

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

void print_trace_header(const trace_view& view) {
    table_line model;
    model.put(visible(model_name(view.model)), style::bold);
    model.put("  " + model_sizes(view.model), style::dim);
    model.print();

    // From the last token backwards, for that is the one whose prediction is shown.
    std::size_t first = view.tokens.size();
    std::size_t used = 12;
    while (first > 0) {
        const std::size_t width = columns(token_label(view.model, view.tokens[first - 1])) + 1;
        if (used + width > page_width) { break; }
        used += width;
        --first;
    }
    table_line text;
    text.put(fmt::format("{} token{}", view.tokens.size(), view.tokens.size() == 1 ? "" : "s"),
             style::dim);
    text.put(first > 0 ? " …" : " ", style::dim);
    for (std::size_t i = first; i < view.tokens.size(); ++i) {
        text.put("│", style::dim).put(token_label(view.model, view.tokens[i]));
    }
    text.print();
}

}  // namespace xlens::program
