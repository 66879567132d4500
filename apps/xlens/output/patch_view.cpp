// SPDX-License-Identifier: BSD-3-Clause
#include "output/patch_view.hpp"

#include "output/names.hpp"
#include "output/table_line.hpp"
#include "output/token_json.hpp"

#include <xlens/core/error.hpp>
#include <xlens/interventions/patch_grid.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/report/patch_page.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace xlens::program {

bool patch_view::shares() const { return !ablate && grid.has_scale(); }

double patch_view::shown(std::size_t place, std::size_t column) const {
    return shares() ? grid.normalised(place, column).value()
                    : grid.metric(place, column) - grid.prompt;
}

double patch_view::full() const {
    if (shares()) { return 1.0; }
    double largest = 0.0;
    for (const double m : grid.metric) { largest = std::max(largest, std::abs(m - grid.prompt)); }
    return largest;
}

std::string patch_view::metric_text() const {
    const auto name = [&](std::size_t i) {
        return fmt::format("'{}'", token_label(model, tokens[i]));
    };
    if (metric == "logit-difference") {
        return fmt::format("logit of {} less that of {}", name(0), name(1));
    }
    if (metric == "probability") { return fmt::format("probability of {}", name(0)); }
    return fmt::format("KL divergence from what the {} predicts, in nats",
                       metric == "kl-source" ? "source" : "prompt");
}

namespace {

void write_tokens(json_writer& out, const engine& model, std::string_view key,
                  std::span<const token_id> tokens) {
    out.key(key);
    out.begin_array();
    for (const token_id id : tokens) { write_token(out, model, id); }
    out.end_array();
}

void write_run_of(json_writer& out, const patch_view& view, std::string_view key,
                  std::span<const token_id> tokens, double metric) {
    out.key(key);
    out.begin_object();
    write_tokens(out, view.model, "tokens", tokens);
    out.field("metric", metric);
    out.end_object();
}

void write_row(json_writer& out, const patch_view& view, std::size_t place) {
    const patch_grid_result& grid = view.grid;
    out.begin_object();
    out.field("site", patch_site_name(grid.places[place].site));
    out.field("layer", grid.places[place].layer);
    out.key("metric");
    out.begin_array();
    for (std::size_t j = 0; j < grid.columns(); ++j) { out.value(grid.metric(place, j)); }
    out.end_array();
    if (!view.ablate) {
        out.key("normalised");
        if (!grid.has_scale()) {
            out.literal("null");
        } else {
            out.begin_array();
            for (std::size_t j = 0; j < grid.columns(); ++j) {
                out.value(grid.normalised(place, j).value());
            }
            out.end_array();
        }
    }
    out.end_object();
}

constexpr std::size_t label_width = 5;
/// Columns of a cell: shares are short.
std::size_t width_of_cells(const patch_view& view) { return view.shares() ? 6 : 8; }

style style_of_share(double share) {
    constexpr double much = 0.5;
    constexpr double some = 0.1;
    if (share >= much) { return style::good; }
    if (share >= some) { return style::accent; }
    return share <= -some ? style::bad : style::dim;
}

/// Above the columns: positions and their tokens, or heads.
void print_columns(const patch_view& view, std::size_t first, std::size_t end) {
    const std::size_t width = width_of_cells(view);
    table_line numbers;
    table_line names;
    numbers.to(label_width);
    names.to(label_width);
    for (std::size_t j = first; j < end; ++j) {
        const std::size_t number = view.grid.heads > 0 ? j : view.grid.positions[j];
        numbers.right(std::to_string(number), width, style::dim);
        if (view.grid.heads > 0) { continue; }
        names.put(" ").right(token_label(view.model, view.prompt[number]), width - 1);
    }
    numbers.print();
    if (view.grid.heads == 0) { names.print(); }
}

void print_block(const patch_view& view, std::size_t first_place, std::size_t end_place,
                 std::size_t first, std::size_t end) {
    const patch_grid_result& grid = view.grid;
    const std::size_t width = width_of_cells(view);
    const double full = view.full();
    print_columns(view, first, end);
    for (std::size_t i = first_place; i < end_place; ++i) {
        table_line line;
        line.right(std::to_string(grid.places[i].layer), label_width - 1, style::dim).put(" ");
        for (std::size_t j = first; j < end; ++j) {
            const double v = view.shown(i, j);
            line.right(fmt::format("{:.2f}", std::abs(v) < 0.005 ? 0.0 : v), width,
                       style_of_share(full > 0.0 ? v / full : 0.0));
        }
        line.print();
    }
}

}  // namespace

void write_patch(json_writer& out, const patch_view& view) {
    const patch_grid_result& grid = view.grid;
    out.begin_object();
    out.field("metric", view.metric);
    write_tokens(out, view.model, "metric_tokens", view.tokens);
    if (view.ablate) { out.field("ablate", *view.ablate); }
    write_run_of(out, view, "prompt", view.prompt, grid.prompt);
    if (!view.source.empty()) {
        write_run_of(out, view, "source", view.source, grid.source.value_or(grid.prompt));
    }
    out.key("positions");
    out.begin_array();
    for (const std::size_t p : grid.positions) { out.value(p); }
    out.end_array();
    if (grid.heads > 0) {
        out.key("heads");
        out.begin_array();
        for (std::size_t h = 0; h < grid.heads; ++h) { out.value(h); }
        out.end_array();
    }
    out.key("grid");
    out.begin_array();
    for (std::size_t i = 0; i < grid.places.size(); ++i) { write_row(out, view, i); }
    out.end_array();
    out.end_object();
}

void print_patch(const patch_view& view) {
    const patch_grid_result& grid = view.grid;
    const std::size_t across = (page_width - label_width) / width_of_cells(view);
    fmt::print("metric  {}\n", view.metric_text());
    fmt::print("prompt  {:.4f}\n", grid.prompt);
    if (grid.source && !view.source.empty()) { fmt::print("source  {:.4f}\n", *grid.source); }
    fmt::print("cells   {}\n", view.shares() ? "(patched - prompt)/(source - prompt)"
                                             : (view.ablate ? "ablated - prompt"
                                                            : "patched - prompt: source and "
                                                              "prompt do not differ"));
    if (grid.heads > 0) {
        const bool all = grid.positions.size() == view.prompt.size();
        fmt::print("heads   each at {} together\n",
                   all ? "all positions" : "positions " + joined(grid.positions, ", "));
    }
    for (std::size_t i = 0; i < grid.places.size();) {
        std::size_t end = i;
        while (end < grid.places.size() && grid.places[end].site == grid.places[i].site) { ++end; }
        const std::string_view column = grid.heads > 0 ? "head" : "position";
        for (std::size_t j = 0; j < grid.columns(); j += across) {
            fmt::print("\n{}, {} {}{}\n", patch_site_name(grid.places[i].site),
                       j == 0 ? "by layer and" : "further", column, j == 0 ? "" : "s");
            print_block(view, i, end, j, std::min(j + across, grid.columns()));
        }
        i = end;
    }
}

std::size_t write_patch_page(atomic_file& file, const patch_view& view, const edit_flags& edits) {
    patch_page_options options{
        .model = model_name(view.model),
        .about = model_sizes(view.model) + edits_text(edits),
        .made = view.model.manifest(),
        .metric = view.metric_text(),
        .ablate = view.ablate.value_or(""),
    };
    for (std::size_t p = 0; p < view.prompt.size(); ++p) {
        const std::string bytes = view.model.token_bytes(view.prompt[p]);
        options.text += bytes.empty() ? fmt::format("#{} ", view.prompt[p]) : bytes;
        options.prompt.push_back(token_label(view.model, view.prompt[p]));
        const bool partner = !view.source.empty() && view.row_at[p];
        options.source.push_back(partner ? token_label(view.model, view.source[*view.row_at[p]])
                                         : "");
    }
    return write_page(file, patch_page(view.grid, options));
}

}  // namespace xlens::program
