// SPDX-License-Identifier: BSD-3-Clause
#include "output/concept.hpp"

#include "output/cells.hpp"
#include "output/json_writer.hpp"
#include "output/names.hpp"
#include "output/table_line.hpp"
#include "output/token_json.hpp"

#include <xlens/concepts/value_concepts.hpp>
#include <xlens/core/neuron.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace xlens::program {

namespace {

void write_control(json_writer& out, const concept_beside_random& control) {
    const auto figure = [&](std::string_view key, const controlled& f) {
        out.key(key);
        out.begin_object();
        out.field("value", f.value);
        out.field("random_mean", f.random_mean);
        out.field("random_best", f.random_best);
        out.field("random_share", f.random_share);
        out.end_object();
    };
    const auto end = [&](std::string_view key, const controlled_end& e) {
        out.key(key);
        out.begin_object();
        figure("coherence", e.coherence);
        figure("peak", e.peak);
        out.end_object();
    };
    out.key("control");
    out.begin_object();
    out.field("vectors", control.vectors);
    out.field("seed", control.seed);
    end("promotes", control.found.promotes);
    end("suppresses", control.found.suppresses);
    out.end_object();
}

}  // namespace

void write_concept(json_writer& out, const engine& model, const neuron& where,
                   const value_concept& found,
                   const std::optional<concept_beside_random>& control) {
    out.begin_object();
    out.field("neuron", to_string(where));
    out.field("norm", found.norm);
    out.field("kurtosis", found.kurtosis);
    write_ends(out, model, found.ends);
    if (control) { write_control(out, *control); }
    out.end_object();
}

void print_concept(const engine& model, const neuron& where, const value_concept& found,
                   const std::string& form) {
    table_line heading;
    heading.put(to_string(where), style::bold);
    heading.put(fmt::format("  ‖v‖ = {:.4g}, kurtosis {:.3g}, {} projection", found.norm,
                            found.kurtosis, form),
                style::dim);
    heading.print();
    constexpr std::size_t half = page_width / 2;
    table_line().cell("promotes", half, style::good).put("suppresses", style::negative).print();
    const auto& [high, low] = found.ends;
    for (std::size_t i = 0; i < std::max(high.size(), low.size()); ++i) {
        table_line line;
        const auto put = [&](const std::vector<scored>& tokens, style s) {
            if (i >= tokens.size()) { return; }
            line.right(fmt::format("{:+.3f}", tokens[i].score), 9, style::dim).put("  ");
            line.cell(token_label(model, tokens[i].id), half - 13, s);
        };
        put(high, style::plain);
        put(low, (line.to(half), style::plain));
        line.print();
    }
}

void print_control(const concept_beside_random& control) {
    table_line()
        .put(fmt::format("beside {} random vectors of the layer's mean and variance",
                         control.vectors),
             style::dim)
        .print();
    const auto line = [&](const char* end, const char* name, const controlled& f) {
        table_line()
            .cell(end, 12)
            .cell(name, 11)
            .right(fmt::format("{:.3f}", f.value), 8, style::bold)
            .put(fmt::format("   random: mean {:.3f}, best {:.3f}, as high {:.2g}%", f.random_mean,
                             f.random_best, 100.0 * f.random_share),
                 style::dim)
            .print();
    };
    line("promotes", "coherence", control.found.promotes.coherence);
    line("", "peak", control.found.promotes.peak);
    line("suppresses", "coherence", control.found.suppresses.coherence);
    line("", "peak", control.found.suppresses.peak);
}

}  // namespace xlens::program
