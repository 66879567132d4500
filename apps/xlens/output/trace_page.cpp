// SPDX-License-Identifier: BSD-3-Clause
#include "output/names.hpp"
#include "output/trace_view.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/report/trace_page.hpp>

#include <fmt/format.h>

#include <string>

namespace xlens::program {

namespace {

/// ", edited: 12:1033 = 0, 4:17 × 0.5"; empty where nothing is.
std::string edits_text(const edit_flags& edits) {
    std::string out;
    const auto add = [&](const edit_flags::change& one, const char* sign) {
        out += fmt::format("{}{} {} {}", out.empty() ? ", edited: " : ", ", to_string(one.where),
                           sign, one.value);
    };
    for (const auto& one : edits.set) { add(one, "="); }
    for (const auto& one : edits.scale) { add(one, "×"); }
    for (const auto& one : edits.features) {
        out += fmt::format("{}{}:{} + {}", out.empty() ? ", edited: " : ", ", one.sae, one.index,
                           one.value);
    }
    for (const auto& one : edits.steers) {
        out += fmt::format("{}{} {}{}", out.empty() ? ", edited: " : ", ", one.strength, one.file,
                           one.layers.empty() ? "" : " at " + joined(one.layers, ","));
    }
    return out;
}

/// ", read through tuned lens FOLDER"; empty where there is none.
std::string lens_text(const engine& model) {
    return model.lens() == nullptr ? "" : ", read through " + model.lens_text();
}

}  // namespace

std::size_t write_trace_page(atomic_file& file, const trace_view& view,
                             std::span<const traced_position> positions, const edit_flags& edits,
                             const observe_patterns* patterns) {
    const trace_page_options options{
        .model = model_name(view.model),
        .about = model_sizes(view.model) + lens_text(view.model) + edits_text(edits),
        .made = view.model.manifest(),
        .top = view.top,
        .sub_updates = view.sub_updates,
        .patterns = patterns,
    };
    const auto bytes = [&](token_id id) { return view.model.token_bytes(id); };
    return write_page(file, trace_page(positions, view.tokens, bytes, options));
}

}  // namespace xlens::program
