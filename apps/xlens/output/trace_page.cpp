// SPDX-License-Identifier: BSD-3-Clause
#include "output/names.hpp"
#include "output/trace_view.hpp"

#include <xlens/model/hyperparameters.hpp>
#include <xlens/report/trace_page.hpp>

#include <fmt/format.h>

#include <string>

namespace xlens::program {

namespace {

/// ", read through tuned lens FOLDER"; empty where there is none.
std::string lens_text(const engine& model) {
    return model.lens() == nullptr ? "" : ", read through " + model.lens_text();
}

/// How value vectors are read, unless as ever.
std::string form_text(projection form) {
    return form == projection::folded ? "" : fmt::format(", {} concepts", name_of(form));
}

}  // namespace

std::size_t write_trace_page(atomic_file& file, const trace_view& view,
                             std::span<const traced_position> positions, const edit_flags& edits,
                             const observe_patterns* patterns) {
    const trace_page_options options{
        .model = model_name(view.model),
        .about = model_sizes(view.model) + lens_text(view.model) + form_text(view.form) +
                 edits_text(edits),
        .made = view.model.manifest(),
        .top = view.top,
        .sub_updates = view.sub_updates,
        .patterns = patterns,
    };
    const auto bytes = [&](token_id id) { return view.model.token_bytes(id); };
    return write_page(file, trace_page(positions, view.tokens, bytes, options));
}

}  // namespace xlens::program
