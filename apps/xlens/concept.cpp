// SPDX-License-Identifier: BSD-3-Clause
#include "cells.hpp"
#include "engine.hpp"
#include "subcommands.hpp"
#include "table_line.hpp"
#include "token_json.hpp"
#include "trace_header.hpp"
#include "value_concept.hpp"

#include <xlens/core/neuron.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace xlens::program {

namespace {

struct concept_flags {
    common_flags common;
    std::string where;
    std::size_t top = 30;
    std::string form;
};

void write_concept(const engine& model, const neuron& where, const value_concept& found) {
    json_writer out;
    out.begin_object();
    out.field("neuron", to_string(where));
    out.field("norm", found.norm);
    write_ends(out, model, found.ends);
    out.end_object();
}

void print_concept(const engine& model, const neuron& where, const value_concept& found,
                   const std::string& form) {
    table_line heading;
    heading.put(to_string(where), style::bold);
    heading.put(fmt::format("  ‖v‖ = {:.4g}, {} projection", found.norm, form), style::dim);
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

void run(const concept_flags& flags) {
    const neuron where = parse_neuron(flags.where, "L:I");
    const engine model(flags.common);
    const value_concept found = model.concept_of(where, flags.top, flags.form);
    if (flags.common.json) {
        write_concept(model, where, found);
    } else {
        print_concept(model, where, found, flags.form);
    }
}

}  // namespace

void add_concept(command_line& program) {
    constexpr std::size_t most = 10'000'000;
    const auto flags = std::make_shared<concept_flags>();
    arguments a =
        program.add("concept", "Show the tokens that a value vector promotes and suppresses",
                    "xlens concept default 12:1033 --top 15", [flags] { run(*flags); });
    flags->common.declare(a);
    a.positional("L:I", flags->where, "The neuron: layer and index, from 0");
    a.whole("--top", flags->top, 1, most, "Tokens of each end");
    a.choice("--projection", flags->form, {"folded", "raw", "normed"},
             "How v is read: with the final norm's gain, as it is, or normed");
}

}  // namespace xlens::program
