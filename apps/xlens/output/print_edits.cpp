// SPDX-License-Identifier: BSD-3-Clause
#include "output/print_edits.hpp"

#include "output/names.hpp"
#include "output/table_line.hpp"

#include <string>

namespace xlens::program {

void print_edits(const edit_flags& edits) {
    const std::string text = edits_text(edits);
    if (text.empty()) { return; }
    table_line().put(text.substr(text.find_first_not_of(", ")), style::accent).print();
}

}  // namespace xlens::program
