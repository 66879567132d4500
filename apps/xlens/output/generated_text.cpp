// SPDX-License-Identifier: BSD-3-Clause
#include "output/generated_text.hpp"

#include "output/attribution_json.hpp"
#include "output/cells.hpp"
#include "output/drafts.hpp"
#include "output/table_line.hpp"

#include <xlens/model/hyperparameters.hpp>
#include <xlens/text/visible.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace xlens::program {

namespace {

/// The lines of a text in a column, broken between words where that is possible.
std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
    std::vector<std::string> out(1);
    while (!text.empty()) {
        if (text.front() == '\n') {
            text.remove_prefix(1);
            out.emplace_back();
            continue;
        }
        const std::size_t end = std::min(text.find_first_of(" \n", 1), text.size());
        std::string word(text.substr(0, end));
        text.remove_prefix(end);
        const bool spaced = word.front() == ' ';
        word = visible(spaced ? std::string_view(word).substr(1) : word);
        if (!out.back().empty() && columns(out.back()) + 1 + columns(word) > width) {
            out.emplace_back();
        } else if (spaced && !out.back().empty()) {
            out.back() += ' ';
        }
        out.back() += cut(word, width);
    }
    return out;
}

}  // namespace

void write_generated(json_writer& out, const engine& model, const generated_text& found) {
    out.begin_object();
    out.field("text", found.text);
    out.key("ids");
    out.begin_array();
    for (const generated& step : found.steps) { out.value(step.id); }
    out.end_array();
    out.key("steps");
    out.begin_array();
    for (std::size_t i = 0; i < found.steps.size(); ++i) {
        const generated& step = found.steps[i];
        out.begin_object();
        out.field("id", step.id);
        out.field("text", model.token_text(step.id));
        out.field("probability", step.probability);
        out.field("exit_layer", step.exit_layer);
        if (!found.attributions.empty()) {
            out.key("attribution");
            write_attribution(out, model, found.attributions[i]);
        }
        out.end_object();
    }
    out.end_array();
    out.field("finish_reason", finish_name(found.why));
    out.field("tokens_per_second", found.tokens_per_second);
    if (found.drafts) {
        out.key("verified");
        write_drafts(out, *found.drafts, model.config().layers);
    }
    out.end_object();
}

void print_side_by_side(const generated_text& before, const generated_text& after) {
    constexpr std::string_view bar = " │ ";
    constexpr std::size_t width = (page_width - 3) / 2;
    const auto line = [&](std::string_view left, std::string_view right, style s) {
        table_line out;
        out.cell(left, width, s).put(bar, style::dim).put(right, s).print();
    };
    line("before", "after", style::bold);
    const auto left = wrapped(before.text, width);
    const auto right = wrapped(after.text, width);
    for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
        line(i < left.size() ? left[i] : "", i < right.size() ? right[i] : "", style::plain);
    }
}

}  // namespace xlens::program
