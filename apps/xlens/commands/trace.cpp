// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "engine/policies.hpp"
#include "engine/read.hpp"
#include "output/attribution_table.hpp"
#include "output/json_writer.hpp"
#include "output/note.hpp"
#include "output/progress.hpp"
#include "output/trace_json.hpp"
#include "output/trace_view.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/number_ranges.hpp>
#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/early_exit/would_exit.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/model.hpp>
#include <xlens/report/trace_page_data.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/open_files.hpp>
#include <xlens/trace/attribute.hpp>
#include <xlens/trace/observe_patterns.hpp>
#include <xlens/trace/trace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
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
    std::optional<std::string> layers;
    std::optional<std::string> html;
    std::optional<std::string> exit;
    std::optional<std::string> lens;
    bool attribute = false;
    std::optional<std::string> concepts;
    std::string form;

    /// What --positions says, for a model that reads so many tokens.
    [[nodiscard]] position_choice chosen(std::size_t context) const {
        if (!positions) { return html ? position_choice::all() : position_choice::last(); }
        return position_choice::parse("--positions", *positions, context);
    }
    /// Whether a grid is shown, and not one position.
    [[nodiscard]] bool all_positions() const {
        return positions ? *positions != "last" : html.has_value();
    }
};

constexpr std::size_t many = 10;  // tokens and sub-updates, where a list has room

trace_options options_of(const trace_flags& flags, const engine& opened) {
    trace_options out;
    out.positions = flags.chosen(opened.config().context);
    if (flags.layers && *flags.layers != "all") {
        out.layers = parse_ranges("--layers", *flags.layers, opened.config().layers);
    }
    out.top = flags.top.value_or(many);
    out.sub_updates = flags.sub_updates.value_or(many);
    out.form = parse_projection(flags.form);
    if (flags.common.json) { return out; }
    const trace_options page = out;
    // The grid shows top tokens only; the other picture looks for the final token's rank.
    out.top = flags.all_positions() ? 1 : std::max(rank_depth, page.top);
    out.sub_updates = flags.all_positions() ? 0 : flags.sub_updates.value_or(2);
    if (flags.html) {
        out.top = std::max(out.top, page.top);
        out.sub_updates = std::max(out.sub_updates, page.sub_updates);
    }
    return out;
}

/// The file that --html names, open before any work, so that a bad path is told at once.
std::unique_ptr<atomic_file> page_file(const trace_flags& flags) {
    if (!flags.html) { return nullptr; }
    if (flags.html->empty()) { fail("--html: expected a file to write, got ''"); }
    return std::make_unique<atomic_file>(*flags.html);
}

/// The trace, and where early exit would leave if a rule is in use.
std::vector<traced_position> trace_prompt(const engine& opened, std::span<const token_id> tokens,
                                          trace_options options, dynamic_policies policies,
                                          std::optional<observe_patterns>& patterns) {
    std::optional<early_exit::would_exit<early_exit::any_rule>> exits;
    if (const early_exit::fitted_exit* rule = opened.exit()) {
        exits.emplace(rule->rule, rule->threshold);
        policies.borrow(*exits);
    }
    if (patterns) { policies.borrow(*patterns); }
    progress_bar bar("trace");
    options.lens = opened.lens();
    options.progress = std::ref(bar);
    std::vector<traced_position> out = trace(opened.model(), tokens, options, policies);
    for (traced_position& p : out) {
        if (exits) { p.exit_layer = exits->layers()[p.position]; }
    }
    return out;
}

/// One for each traced position, if they are asked for.
std::vector<attribution> attribute_prompt(const engine& opened, std::span<const token_id> tokens,
                                          const trace_flags& flags,
                                          const position_choice& positions) {
    if (!flags.attribute) { return {}; }
    dynamic_policies edits =
        interventions_of(flags.edits, opened.model(), {tokens.size(), tokens.size()});
    progress_bar bar("attribute");
    const auto observed = positions.is_last() ? observe::positions::last : observe::positions::all;
    std::vector<attribution> all = attribute_predictions(
        opened.model(), tokens, {observed, attributed_sub_updates, std::ref(bar)}, edits);
    if (positions.is_last() || positions.is_all()) { return all; }
    std::vector<attribution> out;
    for (const std::size_t p : positions.in(tokens.size())) { out.push_back(std::move(all[p])); }
    return out;
}

void write_page(const trace_flags& flags, atomic_file& page, const engine& opened,
                std::span<const token_id> tokens, std::span<const traced_position> positions,
                const std::optional<observe_patterns>& patterns) {
    trace_view all{opened, tokens, flags.top.value_or(many), flags.sub_updates.value_or(many)};
    all.form = parse_projection(flags.form);
    const std::size_t bytes =
        write_trace_page(page, all, positions, flags.edits, patterns ? &*patterns : nullptr);
    note(fmt::format("{}: {} position{}, {:.2f} MB", *flags.html, positions.size(),
                     positions.size() == 1 ? "" : "s", static_cast<double>(bytes) / 1e6));
}

void check(const trace_flags& flags) {
    if (flags.concepts && !flags.common.json) {
        fail("--concepts: is about the document of --json, which was not asked for");
    }
    if (!flags.html) { return; }
    if (flags.prompt.file) { fail("--html: expected no --prompts with it, got one"); }
    if (flags.layers) { fail("--html: expected no --layers with it, got one"); }
    if (flags.positions && *flags.positions != "all" && *flags.positions != "last") {
        fail("--html: expected --positions all or last, got '{}'", printable(*flags.positions));
    }
}

void trace_one(const trace_flags& flags, const engine& opened, const file_prompt& prompt,
               dynamic_policies edits, atomic_file* page) {
    const std::span<const token_id> tokens = prompt.tokens;
    const trace_options options = options_of(flags, opened);
    std::optional<observe_patterns> patterns;
    if (page != nullptr && tokens.size() <= most_patterned_tokens) {
        patterns.emplace(opened.model().config.heads);
    }
    const std::vector<traced_position> positions =
        trace_prompt(opened, tokens, options, std::move(edits), patterns);
    const std::vector<attribution> attributions =
        attribute_prompt(opened, tokens, flags, options.positions);
    if (page != nullptr) { write_page(flags, *page, opened, tokens, positions, patterns); }
    trace_view view{opened, tokens, flags.top.value_or(many), flags.sub_updates.value_or(2)};
    view.layers = options.layers;
    view.form = options.form;
    view.edits = &flags.edits;
    if (flags.common.json) {
        run_record run = record_of(opened, flags.prompt, prompt);
        run.edits = flags.edits;
        run.exit_rule = flags.exit;
        json_writer out(std::move(run));
        write_trace(out, view, positions, attributions,
                    flags.concepts == "once" ? concepts_of_rows::once : concepts_of_rows::each);
        return;
    }
    if (flags.all_positions()) {
        print_grid(view, positions);
    } else {
        print_layers(view, positions.front());
    }
    if (!attributions.empty()) { print_attributions(opened, attributions); }
}

void run(const trace_flags& flags) {
    check(flags);
    const auto page = page_file(flags);
    engine opened(flags.common);
    if (flags.html) { refuse_input(*flags.html); }  // now, not after the work
    const std::vector<file_prompt> prompts = read_prompts(opened, flags.prompt);
    const position_choice positions = options_of(flags, opened).positions;
    for (const file_prompt& p : prompts) { positions.check(p.tokens.size(), p.place); }
    auto edits = interventions_of(flags.edits, opened.model(), prompts);
    if (flags.exit) { opened.use_exit(*flags.exit); }
    if (flags.lens) { opened.use_lens(*flags.lens); }
    note(opened.manifest());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        begin_prompt(flags.prompt, flags.common, prompts[i]);
        trace_one(flags, opened, prompts[i], std::move(edits[i]), page.get());
    }
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
    flags->common.declare_cache(a);
    flags->prompt.declare(a);
    flags->prompt.declare_file(a);
    flags->prompt.declare_chat(a);
    a.whole("--top", flags->top, 1, most, "Tokens of each list (10; a table shows what fits)");
    a.whole("--sub-updates", flags->sub_updates, 0, most,
            "Dominant sub-updates a layer (10 with --json and --html, 2 in the table)");
    a.text("--positions", flags->positions, "last|all|3,5-8",
           "Trace the last position (all with --html), or all or some: a grid of top\n"
           "tokens");
    a.text("--layers", flags->layers, "3,5-8",
           "Show these layers alone (all); others are read all the same");
    a.text("--html", flags->html, "FILE", "Write a page to explore the trace in a browser");
    a.flag("--attribute", flags->attribute,
           "Add what each layer and sub-update adds to the predicted token's logit");
    a.choice("--concepts", flags->concepts, {"each", "once"},
             "With --json: concepts in each sub-update, or of each neuron once, in a map\n"
             "\"concepts\" at the end (each)");
    a.choice("--projection", flags->form, {"folded", "raw", "normed", "standard"},
             "How value vectors of sub-updates are read, as in 'xlens concept'");
    flags->edits.declare(a);
    a.text("--lens", flags->lens, "FILE",
           "Read each layer through a fitted lens: a file of lens fit, a published\n"
           "tuned lens (its folder) or Jacobian lens; sub-updates stay as they are");
    a.text("--exit", flags->exit, "RULE",
           "Mark where each position would leave the model: a file of exit fit, or a\n"
           "rule's name");
}

}  // namespace xlens::program
