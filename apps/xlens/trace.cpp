// SPDX-License-Identifier: BSD-3-Clause
#include "trace.hpp"

#include "progress.hpp"
#include "report.hpp"
#include "subcommands.hpp"
#include "token_json.hpp"

#include <xlens/analysis/trace.hpp>
#include <xlens/core/neuron.hpp>

#include <algorithm>
#include <memory>

namespace xlens::program {

namespace {

struct trace_flags {
    common_flags common;
    prompt_flags prompt;
    edit_flags edits;
    std::optional<std::size_t> top;
    std::optional<std::size_t> sub_updates;
    std::string positions;
};

void write_layer(json_writer& out, const engine& model, const traced_layer& layer) {
    out.begin_object();
    out.field("layer", layer.layer);
    write_reading(out, model, "before", layer.before);
    write_reading(out, model, "after", layer.after);
    out.key("sub_updates");
    out.begin_array();
    for (const traced_sub_update& s : layer.sub_updates) {
        out.begin_object();
        out.field("neuron", to_string(neuron{layer.layer, s.observed.index}));
        out.field("coefficient", s.observed.coefficient);
        out.field("norm", s.observed.norm);
        out.field("dominance", s.observed.dominance);
        write_ends(out, model, *s.concept_of_value);
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

void write_trace(const engine& model, std::span<const token_id> tokens,
                 std::span<const traced_position> positions) {
    json_writer out;
    out.begin_object();
    out.key("tokens");
    out.begin_array();
    for (const token_id id : tokens) {
        out.begin_object();
        out.field("id", id);
        out.field("text", model.token_text(id));
        out.end_object();
    }
    out.end_array();
    out.key("positions");
    out.begin_array();
    for (const traced_position& position : positions) {
        out.begin_object();
        out.field("position", position.position);
        out.key("layers");
        out.begin_array();
        for (const traced_layer& layer : position.layers) { write_layer(out, model, layer); }
        out.end_array();
        write_reading(out, model, "prediction", position.prediction());
        out.field("saturation_layer", position.saturation_layer);
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

trace_request request_of(const trace_flags& flags) {
    constexpr std::size_t many = 10;
    const bool all = flags.positions == "all";
    if (flags.common.json) {
        return {flags.top.value_or(many), flags.sub_updates.value_or(many), all};
    }
    // The grid shows top tokens only; the other picture looks for the final token's rank.
    return all ? trace_request{1, 0, true}
               : trace_request{std::max(rank_depth, flags.top.value_or(many)),
                               flags.sub_updates.value_or(2), false};
}

void run(const trace_flags& flags) {
    const engine model(flags.common);
    const std::vector<token_id> tokens = model.read(flags.prompt);
    model.check(flags.edits, tokens.size());
    note(model.manifest());
    std::vector<traced_position> positions;
    {
        progress_bar bar("trace");
        positions = model.trace(tokens, request_of(flags), flags.edits, std::ref(bar));
    }
    const trace_view view{model, tokens, flags.top.value_or(10), flags.sub_updates.value_or(2)};
    if (flags.common.json) {
        write_trace(model, tokens, positions);
    } else if (flags.positions == "all") {
        print_grid(view, positions);
    } else {
        print_layers(view, positions.front());
    }
}

}  // namespace

void add_trace(command_line& program) {
    constexpr std::size_t most = 100'000;
    const auto flags = std::make_shared<trace_flags>();
    arguments a = program.add(
        "trace", "Show how a prediction is built, layer by layer",
        "xlens trace default --prompt \"The capital of France is\"\n"
        "  xlens trace default --prompt \"The capital of France is\" --set 12:1033=0 --json",
        [flags] { run(*flags); });
    flags->common.declare(a);
    flags->prompt.declare(a);
    a.whole("--top", flags->top, 1, most, "Tokens of each list (10; a table shows what fits)");
    a.whole("--sub-updates", flags->sub_updates, 0, most,
            "Dominant sub-updates a layer (10 with --json, 2 in the table)");
    a.choice("--positions", flags->positions, {"last", "all"},
             "Trace the last position, or all: a grid of top tokens");
    flags->edits.declare(a);
}

}  // namespace xlens::program
