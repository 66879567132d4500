// SPDX-License-Identifier: BSD-3-Clause
#include "output/compare_view.hpp"
#include "output/names.hpp"

#include <xlens/report/compare_page.hpp>

#include <fmt/format.h>

namespace xlens::program {

std::size_t write_compare_page(atomic_file& file, const compare_view& view) {
    const compare_page_options options{
        .a = compared_name(view.a, {}),
        .b = compared_name(view.b, view.edits),
        .about_a = model_sizes(view.a),
        .about_b = model_sizes(view.b),
        .text = view.text,
        .made = fmt::format("A: {}; B: {}", view.a.manifest(), view.b.manifest()),
    };
    const auto label = [&](token_id id) { return token_label(view.a, id); };
    return write_page(file, compare_page(view.found, options, label));
}

}  // namespace xlens::program
