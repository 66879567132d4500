// SPDX-License-Identifier: BSD-3-Clause
#include "output/cells.hpp"
#include "output/names.hpp"
#include "output/table_line.hpp"
#include "output/trace_header.hpp"
#include "output/trace_view.hpp"

#include <xlens/trace/trace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

// The logit lens's classic picture: a column a position, a row a layer, in each cell the top token
// after that layer. As many positions side by side as fit the page, then the next block.

namespace xlens::program {

namespace {

constexpr std::size_t margin = 4;
constexpr std::size_t cell_width = 12;
constexpr std::size_t positions_a_block = (page_width - margin) / cell_width;

void print_cell(table_line& line, const trace_view& view, const traced_position& position,
                std::size_t layer) {
    const reading& after = position.layers[layer].after;
    if (after.top.empty()) {
        line.cell("", cell_width);
        return;
    }
    const scored& token = after.top.front();
    const bool final_one = token.id == position.prediction().top.front().id;
    const bool settled = layer >= position.saturation_layer;
    line.cell(token_label(view.model, token.id), cell_width - 6,
              settled     ? style::good
              : final_one ? style::accent
                          : style::plain);
    line.right(percent(after.probability(token)), 5, style::dim);
    if (position.exit_layer == layer && layer + 1 < position.layers.size()) {
        line.put("◂", style::accent);
    } else {
        line.put(settled ? "▏" : " ", style::good);
    }
}

void print_block(const trace_view& view, std::span<const traced_position> block) {
    table_line heading;
    heading.to(margin);
    for (const traced_position& p : block) {
        const std::string label =
            fmt::format("{}:{}", p.position, token_label(view.model, view.tokens[p.position]));
        heading.cell(label, cell_width - 1, style::bold).put(" ");
    }
    std::fputc('\n', stdout);
    heading.print();
    for (std::size_t layer = 0; layer < block.front().layers.size(); ++layer) {
        if (!view.shows(layer)) { continue; }
        table_line line;
        line.right(std::to_string(layer), margin - 1, style::dim).put(" ");
        for (const traced_position& p : block) { print_cell(line, view, p, layer); }
        line.print();
    }
}

}  // namespace

void print_grid(const trace_view& view, std::span<const traced_position> positions) {
    print_trace_header(view);
    table_line legend;
    legend.put(
        "top token after each layer (rows) at each position (columns); ▏: it stays to the end",
        style::dim);
    legend.print();
    if (positions.front().exit_layer) {
        table_line exits;
        exits.put("◂", style::accent)
            .put(" early exit would leave after this layer; no mark: all layers run", style::dim);
        exits.print();
    }
    for (std::size_t first = 0; first < positions.size(); first += positions_a_block) {
        print_block(
            view, positions.subspan(first, std::min(positions_a_block, positions.size() - first)));
    }
}

}  // namespace xlens::program
