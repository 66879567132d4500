// SPDX-License-Identifier: BSD-3-Clause
#include "trace.hpp"

#include "attribution_json.hpp"
#include "attribution_table.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "subcommands.hpp"
#include "token_json.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/trace/attribution.hpp>
#include <xlens/trace/trace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace xlens::program {

namespace {

/// Sub-updates that --attribute names a position.
constexpr std::size_t attributed_sub_updates = 20;

struct trace_flags {
    common_flags common;
    prompt_flags prompt;
    edit_flags edits;
    std::optional<std::size_t> top;
    std::optional<std::size_t> sub_updates;
    std::optional<std::string> positions;
    std::optional<std::string> html;
    std::optional<std::string> exit;
    bool attribute = false;

    [[nodiscard]] bool all_positions() const {
        return positions ? *positions == "all" : html.has_value();
    }
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
        out.field("neuron", to_string(s.where));
        out.field("coefficient", s.coefficient);
        out.field("norm", s.norm);
        out.field("dominance", s.dominance);
        write_ends(out, model, *s.concept_of_value);
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

void write_trace(const engine& model, std::span<const token_id> tokens,
                 std::span<const traced_position> positions,
                 std::span<const attribution> attributions) {
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
    for (std::size_t p = 0; p < positions.size(); ++p) {
        const traced_position& position = positions[p];
        out.begin_object();
        out.field("position", position.position);
        out.key("layers");
        out.begin_array();
        for (const traced_layer& layer : position.layers) { write_layer(out, model, layer); }
        out.end_array();
        write_reading(out, model, "prediction", position.prediction());
        out.field("saturation_layer", position.saturation_layer);
        if (position.exit_layer) { out.field("exit_layer", *position.exit_layer); }
        if (!attributions.empty()) {
            out.key("attribution");
            write_attribution(out, model, attributions[p]);
        }
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

constexpr std::size_t many = 10;  // tokens and sub-updates, where a list has room

trace_request request_of(const trace_flags& flags) {
    const bool all = flags.all_positions();
    const trace_request whole{flags.top.value_or(many), flags.sub_updates.value_or(many), all};
    if (flags.common.json) { return whole; }
    // The grid shows top tokens only; the other picture looks for the final token's rank.
    trace_request out =
        all ? trace_request{1, 0, true}
            : trace_request{std::max(rank_depth, whole.top), flags.sub_updates.value_or(2), false};
    if (flags.html) {
        out.top = std::max(out.top, whole.top);
        out.sub_updates = std::max(out.sub_updates, whole.sub_updates);
    }
    return out;
}

/// The file that --html names, open before any work, so that a bad path is told at once.
std::unique_ptr<atomic_file> page_file(const trace_flags& flags) {
    if (!flags.html) { return nullptr; }
    if (flags.html->empty()) { fail("--html: expected a file to write, got ''"); }
    return std::make_unique<atomic_file>(*flags.html);
}

void run(const trace_flags& flags) {
    const auto page = page_file(flags);
    engine model(flags.common);
    if (flags.html) { refuse_input(*flags.html); }  // now, not after the work
    const std::vector<token_id> tokens = model.read(flags.prompt);
    model.check(flags.edits, tokens.size());
    if (flags.exit) { model.use_exit(*flags.exit); }
    note(model.manifest());
    std::vector<traced_position> positions;
    {
        progress_bar bar("trace");
        positions = model.trace(tokens, request_of(flags), flags.edits, std::ref(bar));
    }
    std::vector<attribution> attributions;
    if (flags.attribute) {
        progress_bar bar("attribute");
        attributions = model.attribute_predictions(
            tokens, flags.all_positions(), attributed_sub_updates, flags.edits, std::ref(bar));
    }
    if (page) {
        const trace_view all{model, tokens, flags.top.value_or(many),
                             flags.sub_updates.value_or(many)};
        const std::size_t bytes = write_trace_page(*page, all, positions, flags.edits);
        note(fmt::format("{}: {} position{}, {:.2f} MB", *flags.html, positions.size(),
                         positions.size() == 1 ? "" : "s", static_cast<double>(bytes) / 1e6));
    }
    if (flags.common.json) {
        write_trace(model, tokens, positions, attributions);
        return;
    }
    const trace_view view{model, tokens, flags.top.value_or(many), flags.sub_updates.value_or(2)};
    if (flags.all_positions()) {
        print_grid(view, positions);
    } else {
        print_layers(view, positions.front());
    }
    if (!attributions.empty()) { print_attributions(model, attributions); }
}

}  // namespace

void add_trace(command_line& program) {
    constexpr std::size_t most = 100'000;
    const auto flags = std::make_shared<trace_flags>();
    arguments a = program.add(
        "trace", "Show how a prediction is built, layer by layer",
        "xlens trace default --prompt \"The capital of France is\"\n"
        "  xlens trace default --prompt \"The capital of France is\" --set 12:1033=0 --json\n"
        "  xlens trace default --prompt \"The capital of France is\" --html trace.html",
        [flags] { run(*flags); });
    flags->common.declare(a);
    flags->prompt.declare(a);
    a.whole("--top", flags->top, 1, most, "Tokens of each list (10; a table shows what fits)");
    a.whole("--sub-updates", flags->sub_updates, 0, most,
            "Dominant sub-updates a layer (10 with --json and --html, 2 in the table)");
    a.choice("--positions", flags->positions, {"last", "all"},
             "Trace the last position (all with --html), or all: a grid of top tokens");
    a.text("--html", flags->html, "FILE", "Write a page to explore the trace in a browser");
    a.flag("--attribute", flags->attribute,
           "Add what each layer and sub-update adds to the predicted token's logit");
    flags->edits.declare(a);
    a.text("--exit", flags->exit, "RULE",
           "Mark where each position would leave the model: a file of exit fit, or a\n"
           "rule's name");
}

}  // namespace xlens::program
