// SPDX-License-Identifier: BSD-3-Clause
#include "cells.hpp"
#include "engine.hpp"
#include "subcommands.hpp"
#include "table_line.hpp"
#include "token_json.hpp"
#include "trace_header.hpp"
#include "value_concept.hpp"

#include <xlens/concepts/concept_quality.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

namespace xlens::program {

namespace {

struct concept_flags {
    common_flags common;
    std::string where;
    std::size_t top = 30;
    std::string form;
    std::optional<std::string> index;
    std::size_t control = 0;
    std::optional<std::string> seed;
};

/// Both ends of the concept beside those of random vectors.
struct concept_control_answer {
    controlled_concept found;
    std::size_t vectors = 0;
    std::uint64_t seed = 0;
};
using control_answer = std::optional<concept_control_answer>;

void write_control(json_writer& out, const concept_control_answer& control) {
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

void print_control(const concept_control_answer& control) {
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

void write_concept(const engine& model, const neuron& where, const value_concept& found,
                   const control_answer& control) {
    json_writer out;
    out.begin_object();
    out.field("neuron", to_string(where));
    out.field("norm", found.norm);
    write_ends(out, model, found.ends);
    if (control) { write_control(out, *control); }
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

constexpr std::uint64_t most_seed = std::numeric_limits<std::uint64_t>::max();

void run(const concept_flags& flags) {
    const neuron where = parse_neuron(flags.where, "L:I");
    if (flags.control > 0 && flags.form == "normed") {
        fail("--control: expected --projection folded or raw, got normed");
    }
    const std::uint64_t seed = flags.seed ? parse_whole("--seed", *flags.seed, 0, most_seed) : 0;
    const engine model(flags.common);
    const value_concept found =
        flags.index ? model.indexed_concept(where, flags.top, flags.form, *flags.index)
                    : model.concept_of(where, flags.top, flags.form);
    control_answer control;
    if (flags.control > 0) {
        control = {model.control_concept(where, flags.top, flags.form, flags.control, seed),
                   flags.control, seed};
    }
    if (flags.common.json) {
        write_concept(model, where, found, control);
    } else {
        print_concept(model, where, found, flags.form);
        if (control) { print_control(*control); }
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
    a.text("--index", flags->index, "FILE", "Read the tokens from a file that xlens index made");
    constexpr std::size_t most_random = 100'000;
    a.whole("--control", flags->control, 0, most_random, "Random vectors to compare with");
    a.text("--seed", flags->seed, "N", "Seed of the random vectors (0)");
}

}  // namespace xlens::program
