// SPDX-License-Identifier: BSD-3-Clause
#include "output/cells.hpp"
#include "output/concept_cell.hpp"
#include "output/names.hpp"
#include "output/table_line.hpp"
#include "output/trace_header.hpp"
#include "output/trace_view.hpp"

#include <xlens/core/neuron.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/trace/trace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

// Two lines a layer. Left, the prediction before the FFN update and after it (→), and what rank the
// final token has in it; right, the dominant sub-updates and the tokens that they promote.

namespace xlens::program {

namespace {

constexpr std::size_t top_token = 5;  // columns where the parts of a line begin
constexpr std::size_t other_tokens = 20;
constexpr std::size_t rank = 44;
constexpr std::size_t rule = 50;
constexpr std::size_t right_side = 52;

/// A token and its probability, cut to `width` columns.
void put_token(table_line& line, const trace_view& view, const reading& tokens, std::size_t i,
               std::size_t width, style s) {
    const std::string share = percent(tokens.probability(tokens.top[i]));
    line.cell(token_label(view.model, tokens.top[i].id), width - 5, s).right(share, 5, style::dim);
}

std::optional<std::size_t> rank_of(const reading& tokens, token_id id) {
    const auto found = std::find_if(tokens.top.begin(), tokens.top.end(),
                                    [id](const scored& s) { return s.id == id; });
    if (found == tokens.top.end()) { return std::nullopt; }
    return static_cast<std::size_t>(found - tokens.top.begin()) + 1;
}

std::string rank_text(std::optional<std::size_t> r) {
    return r ? fmt::format("#{}", *r) : fmt::format(">{}", rank_depth);
}

class layer_lines {
public:
    layer_lines(const trace_view& view, const traced_layer& layer, token_id final_token)
        : m_view(&view), m_layer(&layer), m_final(final_token) {}

    void print() const {
        const std::size_t count =
            std::max<std::size_t>(2, std::min(m_view->sub_updates, m_layer->sub_updates.size()));
        for (std::size_t i = 0; i < count; ++i) {
            table_line line;
            if (i == 0) { before(line); }
            if (i == 1) { after(line); }
            line.to(rule).put("│", style::dim).to(right_side);
            if (i < std::min(m_view->sub_updates, m_layer->sub_updates.size())) {
                sub_update(line, m_layer->sub_updates[i]);
            }
            line.print();
        }
    }

private:
    [[nodiscard]] bool eliminates() const {
        return !m_layer->before.top.empty() && !m_layer->after.top.empty() &&
               m_layer->before.top.front().id != m_layer->after.top.front().id;
    }
    void before(table_line& line) const {
        line.right(std::to_string(m_layer->layer), 3, style::bold);
        line.put(eliminates() ? "✗" : " ", style::bad);
        prediction(line, m_layer->before, eliminates() ? style::bad : style::plain);
        line.to(rank).right(rank_text(rank_of(m_layer->before, m_final)), 5, style::dim);
    }
    void after(table_line& line) const {
        line.right("→", 3, style::dim).put(eliminates() ? "▲" : " ", style::good);
        prediction(line, m_layer->after, eliminates() ? style::good : style::plain);
        const auto was = rank_of(m_layer->before, m_final).value_or(rank_depth + 1);
        const auto is = rank_of(m_layer->after, m_final).value_or(rank_depth + 1);
        line.to(rank).right(rank_text(rank_of(m_layer->after, m_final)), 5,
                            is < was   ? style::good
                            : is > was ? style::bad
                                       : style::dim);
    }
    void prediction(table_line& line, const reading& tokens, style first) const {
        const std::size_t count = std::min(m_view->top, tokens.top.size());
        if (count == 0) { return; }
        put_token(line.to(top_token), *m_view, tokens, 0, other_tokens - top_token - 1,
                  tokens.top.front().id == m_final && first == style::plain ? style::bold : first);
        line.to(other_tokens);
        constexpr std::size_t narrow = 12;
        for (std::size_t i = 1; i < count && line.left(rank) >= narrow; ++i) {
            put_token(line.put(" "), *m_view, tokens, i, narrow - 1, style::plain);
        }
    }
    void sub_update(table_line& line, const traced_sub_update& s) const {
        const bool negative = std::signbit(s.coefficient);
        line.cell(to_string(s.where), neuron_width(m_view->model.config()), style::accent);
        line.right(fmt::format("{:+.2f}", s.coefficient), 8,
                   negative ? style::negative : style::plain);
        line.right(fmt::format("{:.1f}", s.dominance), 7, style::dim).put(" ");
        put_concept(line, m_view->model, *s.concept_of_value, negative, m_view->top, m_final);
    }

    const trace_view* m_view;
    const traced_layer* m_layer;
    token_id m_final;
};

void print_columns(const trace_view& view, token_id final_token) {
    const std::string shown = cut(token_label(view.model, final_token), 12);
    table_line upper;
    upper.to(top_token).put("top tokens before the FFN update", style::dim);
    upper.to(rule - 1 - columns(shown)).put(shown, style::good).to(rule).put("│", style::dim);
    upper.to(right_side).put("dominant sub-updates m·v and what they promote", style::dim);
    upper.print();
    table_line lower;
    lower.right("→", 3, style::dim).to(top_token).put("and after it", style::dim);
    lower.to(rank).right("rank", 5, style::dim).to(rule).put("│", style::dim);
    lower.to(right_side)
        .cell("neuron", neuron_width(view.model.config()), style::dim)
        .right("m", 8, style::dim);
    lower.right("|m|‖v‖", 7, style::dim).put(" ").put("−: m<0, what v suppresses", style::dim);
    lower.print();
}

void print_rule(std::string_view text, style s) {
    table_line line;
    line.put("── ", style::dim).put(text, s).put(" ", style::dim);
    while (line.left(page_width) > 0) { line.put("─", style::dim); }
    line.print();
}

}  // namespace

void print_layers(const trace_view& view, const traced_position& position) {
    print_trace_header(view);
    const reading& last = position.prediction();
    const token_id final_token = last.top.empty() ? 0 : last.top.front().id;
    const std::string label = token_label(view.model, final_token);
    std::fputc('\n', stdout);
    print_columns(view, final_token);
    for (const traced_layer& layer : position.layers) {
        if (!view.shows(layer.layer)) { continue; }
        if (layer.layer == position.saturation_layer) {
            print_rule(fmt::format("saturation: {} stays on top from layer {} on", label,
                                   position.saturation_layer),
                       style::good);
        }
        layer_lines(view, layer, final_token).print();
        if (position.exit_layer == layer.layer && layer.layer + 1 < position.layers.size()) {
            print_rule(fmt::format("early exit: it would leave after layer {}", layer.layer),
                       style::accent);
        }
    }
    table_line line;
    std::fputc('\n', stdout);
    line.put("prediction", style::bold);
    for (std::size_t i = 0; i < std::min(view.top, last.top.size()); ++i) {
        const std::string token = token_label(view.model, last.top[i].id);
        const std::string share = percent(last.probability(last.top[i]));
        if (columns(token) + columns(share) + 3 > line.left(page_width)) { break; }
        line.put("  ").put(token, i == 0 ? style::good : style::plain).put(" ");
        line.put(share, style::dim);
    }
    line.print();
}

}  // namespace xlens::program
