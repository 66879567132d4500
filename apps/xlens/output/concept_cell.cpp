// SPDX-License-Identifier: BSD-3-Clause
#include "output/concept_cell.hpp"

#include "output/cells.hpp"
#include "output/names.hpp"

#include <xlens/lens/token_ends.hpp>

#include <algorithm>
#include <string>

namespace xlens::program {

void put_concept(table_line& line, const engine& model, const token_ends& value, bool negative,
                 std::size_t top, token_id marked) {
    line.put(negative ? "−" : " ", style::negative);
    const auto& tokens = negative ? value.suppresses : value.promotes;
    for (std::size_t i = 0; i < std::min(top, tokens.size()); ++i) {
        const std::string label = token_label(model, tokens[i].id);
        if (i > 0 && columns(label) + 1 > line.left(page_width)) { break; }
        line.put(i > 0 ? " " : "");
        line.put(label, tokens[i].id == marked ? style::good
                        : negative             ? style::negative
                                               : style::plain);
    }
}

}  // namespace xlens::program
