// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "engine/policies.hpp"
#include "engine/read.hpp"
#include "output/json_writer.hpp"
#include "output/note.hpp"
#include "output/patch_view.hpp"
#include "output/print_edits.hpp"
#include "output/progress.hpp"

#include <xlens/core/comma_separated.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/number_ranges.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/patch_grid.hpp>
#include <xlens/model/model.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/open_files.hpp>

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

struct patch_flags {
    common_flags common;
    prompt_flags prompt;
    edit_flags edits;
    std::optional<std::string> source;
    std::optional<std::string> source_ids;
    std::optional<std::string> ablate;
    std::optional<std::string> file;
    std::optional<std::string> sites;
    std::optional<std::string> layers;
    std::optional<std::string> positions;
    std::optional<std::string> metric;
    std::optional<std::string> tokens;
    std::optional<std::string> align;
    std::optional<std::string> html;

    [[nodiscard]] bool has_source() const { return source || source_ids; }
    [[nodiscard]] std::string measured() const {
        return metric.value_or(ablate ? "kl-prompt" : "logit-difference");
    }
};

void check(const patch_flags& flags) {
    const bool reads_text = flags.ablate == "mean";
    const bool needs_source = !flags.ablate || flags.ablate == "resample";
    if (flags.source && flags.source_ids) {
        fail("--source, --source-ids: expected one of the two, got both");
    }
    if (needs_source && !flags.has_source()) {
        fail("--source, --source-ids: expected one of the two, got neither");
    }
    if (!needs_source && flags.has_source()) {
        fail("--source: expected no --ablate {} with it, got one", *flags.ablate);
    }
    if (!flags.has_source() && flags.align) {
        fail("--align: expected --source with it, got none");
    }
    if (reads_text && !flags.file) { fail("--file: expected a text file, got nothing"); }
    if (!reads_text && flags.file) { fail("--file: expected --ablate mean with it, got none"); }
    const std::string metric = flags.measured();
    if (metric == "kl-source" && !flags.has_source()) {
        fail("--metric: kl-source: expected --source with it, got none");
    }
    if (metric.starts_with("kl") && flags.tokens) {
        fail("--tokens: expected no --metric {} with it, got one", metric);
    }
    if (flags.html && flags.html->empty()) { fail("--html: expected a file to write, got ''"); }
}

std::vector<hook> sites_of(const patch_flags& flags) {
    const std::string text = flags.sites.value_or("before,attention_out,ffn_out");
    std::vector<hook> out;
    for (const std::string_view name : comma_separated(text)) {
        const auto site = find_patch_site(name);
        if (!site) {
            fail(
                "--sites: expected some of embedding, attention_out, before, ffn_out and after, or "
                "head_outputs, got '{}'",
                printable(name));
        }
        out.push_back(*site);
    }
    const auto other =
        std::ranges::find_if(out, [](hook site) { return site != hook::head_outputs; });
    if (other != out.end() && std::ranges::find(out, hook::head_outputs) != out.end()) {
        fail("--sites: expected head_outputs alone, whose columns are heads, got {} too",
             patch_site_name(*other));
    }
    return out;
}

/// --source or --source-ids, read as the prompt is.
std::vector<token_id> read_source(const engine& opened, const patch_flags& flags) {
    if (!flags.has_source()) { return {}; }
    prompt_flags source = flags.prompt;
    source.text = flags.source;
    source.ids = flags.source_ids;
    if (source.ids) {  // --chat and its like are the prompt's alone
        source.as = {};
        source.how = {};
    }
    return read_prompt(opened, source);
}

std::size_t best_of(std::span<const float> logits) {
    return static_cast<std::size_t>(std::ranges::max_element(logits) - logits.begin());
}

/// --tokens, or what the source predicts, and what the prompt does.
std::vector<token_id> tokens_of(const engine& opened, const patch_flags& flags,
                                std::span<const token_id> prompt, const patch_values& values,
                                dynamic_policies& edits) {
    const std::string metric = flags.measured();
    if (metric.starts_with("kl")) { return {}; }
    const std::size_t wanted = metric == "probability" ? 1 : 2;
    std::vector<token_id> out;
    if (flags.tokens) {
        for (const std::string_view text : comma_separated(*flags.tokens)) {
            out.push_back(read_token(opened, "--tokens", text));
        }
    } else if (!values.logits.empty()) {
        sequence_state state = opened.model().start();
        opened.model().forward(state, prompt, edits);
        out.push_back(static_cast<token_id>(best_of(values.logits)));
        if (wanted == 2) {
            out.push_back(
                static_cast<token_id>(best_of({state.logits.data(), state.logits.size()})));
        }
    }
    if (out.size() != wanted) {
        fail("--tokens: expected {} for {}, got {}", wanted, metric, out.size());
    }
    if (wanted == 2 && out[0] == out[1]) {
        if (flags.tokens) {
            fail("--tokens: expected two tokens, got '{}' twice",
                 printable(opened.token_text(out[0])));
        }
        fail("--tokens: expected two, for both prompts predict '{}'",
             printable(opened.token_text(out[0])));
    }
    return out;
}

patch_metric metric_of(const std::string& name, std::span<const token_id> tokens) {
    using enum patch_metric::kind;
    if (name == "kl-source") { return {kl_source, 0, 0}; }
    if (name == "kl-prompt") { return {kl_prompt, 0, 0}; }
    if (name == "probability") { return {probability, tokens[0], 0}; }
    return {logit_difference, tokens[0], tokens[1]};
}

patch_values values_of(const engine& opened, const patch_flags& flags,
                       std::vector<layer_site> places, std::span<const token_id> source,
                       std::size_t length) {
    if (flags.ablate == "zero") { return zero_values(opened.model(), std::move(places), length); }
    if (flags.ablate == "mean") {
        const std::vector<token_id> text = read_text(opened, *flags.file, flags.prompt.how);
        progress_bar bar("mean");
        mean_options options;
        options.window = std::min(options.window, opened.config().context);
        options.prefix = window_prefix(opened, flags.prompt.how);
        options.progress = std::ref(bar);
        const std::size_t longest = std::min(options.window, options.prefix.size() + text.size());
        dynamic_policies edits = interventions_of(flags.edits, opened.model(), {{}, longest});
        return mean_values(opened.model(), std::move(places), text, length, options, edits);
    }
    if (source.size() != length && !flags.align) {
        fail("--source: {} tokens, the prompt has {}; --align says how they are matched",
             source.size(), length);
    }
    const std::optional<patch_align> align = !flags.align ? std::nullopt
                                             : *flags.align == "end"
                                                 ? std::optional(patch_align::end)
                                                 : std::optional(patch_align::start);
    dynamic_policies edits =
        interventions_of(flags.edits, opened.model(), {source.size(), source.size()});
    return source_values(opened.model(), std::move(places), source, length, align, edits);
}

void run(const patch_flags& flags) {
    check(flags);
    const std::vector<hook> sites = sites_of(flags);
    std::optional<input_mark> text;  // what is read cannot be written over
    if (flags.file) { text.emplace(*flags.file); }
    std::unique_ptr<atomic_file> page;  // now: a bad path is told before the work
    if (flags.html) { page = std::make_unique<atomic_file>(*flags.html); }
    const engine opened(flags.common);
    if (flags.html) { refuse_input(*flags.html); }
    const std::vector<token_id> prompt = read_prompt(opened, flags.prompt);
    const std::vector<token_id> source = read_source(opened, flags);
    const std::size_t layers = opened.config().layers;
    const auto places =
        patch_places(sites, parse_ranges("--layers", flags.layers.value_or("all"), layers), layers);
    patch_grid_options options;
    if (flags.positions && *flags.positions != "all") {
        options.positions = parse_ranges("--positions", *flags.positions, prompt.size());
    }
    dynamic_policies edits =
        interventions_of(flags.edits, opened.model(), {prompt.size(), prompt.size()});
    note(opened.manifest());
    const patch_values values = values_of(opened, flags, places, source, prompt.size());
    const std::vector<token_id> tokens = tokens_of(opened, flags, prompt, values, edits);
    options.metric = metric_of(flags.measured(), tokens);
    const patch_grid_result grid = [&] {
        progress_bar bar("patch");
        options.progress = std::ref(bar);
        return patch_grid(opened.model(), prompt, values, options, edits);
    }();
    const patch_view view{opened, flags.measured(), tokens,        prompt,
                          source, flags.ablate,     values.row_at, grid};
    if (page) {
        const std::size_t bytes = write_patch_page(*page, view, flags.edits);
        note(fmt::format("{}: {} runs, {:.2f} MB", *flags.html, grid.metric.size(),
                         static_cast<double>(bytes) / 1e6));
    }
    if (flags.common.json) {
        run_record record = record_of(opened);
        record.edits = flags.edits;
        json_writer out(std::move(record));
        write_patch(out, view);
    } else {
        print_edits(flags.edits);
        print_patch(view);
    }
}

}  // namespace

void add_patch(command_line& program) {
    const auto flags = std::make_shared<patch_flags>();
    arguments a = program.add(
        "patch", "Run a prompt with vectors or heads of another: where a prediction is made",
        "xlens patch default --prompt \"When Mary and John went to the store, Mary gave a drink "
        "to\" \\\n"
        "    --source \"When Mary and John went to the store, John gave a drink to\" --html "
        "patch.html\n"
        "  xlens patch default --prompt \"The capital of France is\" --ablate zero --sites "
        "head_outputs",
        [flags] { run(*flags); });
    flags->common.declare(a);
    flags->common.declare_cache(a);
    flags->prompt.declare(a);
    flags->prompt.declare_chat(a);
    a.text("--source", flags->source, "TEXT", "The other prompt, read as the first is");
    a.text("--source-ids", flags->source_ids, "1,2,3", "Its token ids instead of a text");
    a.choice("--align", flags->align, {"start", "end"},
             "How positions are matched where the prompts differ in length: counted from\n"
             "their first tokens, or from their last; positions without a match are left\n"
             "out (none: refused)");
    a.choice("--ablate", flags->ablate, {"zero", "mean", "resample"},
             "Take something out instead: put zeros there, the mean over --file, or what\n"
             "the source has (resample: as patching, but told as an ablation)");
    a.text("--file", flags->file, "FILE",
           "The text of --ablate mean, in windows of 256 tokens, whose first positions\n"
           "are left out");
    a.text("--sites", flags->sites, "S,S,..",
           "What is patched: embedding (enters layer 0), attention_out (what attention\n"
           "adds), before (the residual before the FFN update), ffn_out (what the FFN\n"
           "adds), after the FFN update (before,attention_out,ffn_out); or head_outputs\n"
           "alone: each head of a layer, at all positions together");
    a.text("--layers", flags->layers, "3,5-8", "Layers (all)");
    a.text("--positions", flags->positions, "0,3-5", "Positions of the prompt (all)");
    a.choice("--metric", flags->metric,
             {"logit-difference", "probability", "kl-source", "kl-prompt"},
             "What is read from the last logits: a difference of two (the usual one), a\n"
             "token's probability, or the divergence from what the source or the prompt\n"
             "predicts (the usual one of --ablate)");
    a.text("--tokens", flags->tokens, "A,B",
           "The tokens of the metric, by text (\" John, Mary\") or #id (what the source\n"
           "predicts, and what the prompt does)");
    a.text("--html", flags->html, "FILE", "Write the grid as a page: a heat map a site");
    flags->edits.declare(a);
}

}  // namespace xlens::program
