// SPDX-License-Identifier: BSD-3-Clause
#include "output/trace_header.hpp"

#include "output/cells.hpp"
#include "output/names.hpp"
#include "output/print_edits.hpp"
#include "output/table_line.hpp"

#include <fmt/format.h>

namespace xlens::program {

void print_trace_header(const trace_view& view) {
    table_line model;
    model.put(visible(model_name(view.model)), style::bold);
    model.put("  " + model_sizes(view.model), style::dim);
    model.print();
    if (view.model.lens() != nullptr) {
        table_line().put("read through " + view.model.lens_text(), style::dim).print();
    }
    if (view.edits != nullptr) { print_edits(*view.edits); }

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
