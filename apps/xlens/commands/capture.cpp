// SPDX-License-Identifier: BSD-3-Clause
#include "output/capture.hpp"
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "engine/policies.hpp"
#include "engine/read.hpp"
#include "output/json_writer.hpp"
#include "output/note.hpp"
#include "output/print_edits.hpp"
#include "output/progress.hpp"

#include <xlens/core/comma_separated.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/number_ranges.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/model.hpp>
#include <xlens/sae/feature_array.hpp>
#include <xlens/sae/read_sae.hpp>
#include <xlens/storage/open_files.hpp>
#include <xlens/trace/capture.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace xlens::program {

namespace {

struct capture_flags {
    common_flags common;
    prompt_flags prompt;
    edit_flags edits;
    std::optional<std::string> text;
    std::optional<std::size_t> window;
    std::optional<std::size_t> limit;
    std::optional<std::string> sites;
    std::vector<std::string> autoencoders;
    std::optional<std::string> layers;
    std::optional<std::string> positions;
    std::optional<std::string> folder;
    std::optional<std::string> shard;
    std::string type;
    std::string storage;
    std::size_t file_size = 64;
};

void check(const capture_flags& flags) {
    if (!flags.folder || flags.folder->empty()) { fail("-o: expected a folder, got nothing"); }
    if (!flags.text) {
        flags.prompt.check();
        if (flags.window) { fail("--window: expected --file with it, got none"); }
        if (flags.limit) { fail("--limit: expected --file with it, got none"); }
        return;
    }
    const prompt_flags& p = flags.prompt;
    for (const auto& [flag, given] :
         {std::pair{"--prompt", p.text.has_value()}, std::pair{"--ids", p.ids.has_value()},
          std::pair{"--prompts", p.file.has_value()}, std::pair{"--chat", p.as.chat}}) {
        if (given) { fail("{}: expected no --file with it, got one", flag); }
    }
    p.as.check();
}

capture_source source_of(const capture_flags& flags, const engine& opened) {
    if (!flags.text) {
        std::vector<source_sequence> prompts;
        for (file_prompt& p : read_prompts(opened, flags.prompt)) {
            prompts.push_back({std::move(p.tokens), std::move(p.place), std::move(p.metadata)});
        }
        const std::string name = flags.prompt.file ? printable(*flags.prompt.file, 1024) : "prompt";
        return capture_prompts(name, std::move(prompts));
    }
    const std::size_t context = opened.config().context;
    constexpr std::size_t usual = 1024;
    const std::size_t window = flags.window.value_or(std::min(usual, context));
    if (window > context) {
        fail("--window: expected 1 to {}, the model's context, got {}", context, window);
    }
    return capture_text(*flags.text, opened.text(), window, flags.prompt.how.options(),
                        flags.limit.value_or(std::numeric_limits<std::size_t>::max()));
}

run_record record_of(const capture_flags& flags, const engine& opened) {
    run_record out = record_of(opened);
    out.edits = flags.edits;
    return out;
}

capture_options options_of(const capture_flags& flags, const engine& opened) {
    capture_options out;
    if (flags.sites) {
        const auto sites = comma_separated(*flags.sites);
        out.sites.assign(sites.begin(), sites.end());
    } else if (!flags.autoencoders.empty()) {
        out.sites.clear();
    }
    for (const std::string& folder : flags.autoencoders) {
        out.computed.push_back(feature_array(read_sae(folder), opened.model()));
    }
    if (flags.layers && *flags.layers != "all") {
        out.layers = parse_ranges("--layers", *flags.layers, opened.config().layers);
    }
    if (flags.positions) {
        out.positions =
            position_choice::parse("--positions", *flags.positions, opened.config().context);
    }
    out.type = flags.type == "f16" ? array_type::f16 : array_type::f32;
    out.storage = flags.storage == "npy" ? capture_storage::npy : capture_storage::safetensors;
    out.file_bytes = flags.file_size << 20U;
    if (flags.shard) { out.shard = parse_shard("--shard", *flags.shard); }
    out.model = opened.model().fingerprint();
    out.precision = opened.arithmetic();
    out.edits = edits_fingerprint(flags.edits);
    out.run.clear();
    xlens::json_writer run(out.run);
    write_record(run, record_of(flags, opened));
    return out;
}

/// What edits are checked against: each prompt has the positions that they name.
planned_run planned(const capture_flags& flags, const capture_source& source) {
    planned_run out;
    out.positions = source.shortest;
    if (!flags.text && source.shortest == source.longest) { out.prompt_length = source.longest; }
    return out;
}

void run(const capture_flags& flags) {
    check(flags);
    engine opened(flags.common);
    const input_mark text(flags.text.value_or(""));
    const capture_source source = source_of(flags, opened);
    dynamic_policies edits = interventions_of(flags.edits, opened.model(), planned(flags, source));
    capture_options options = options_of(flags, opened);
    const capture_result captured = [&] {
        progress_bar bar("capture");
        options.progress = std::ref(bar);
        return capture(opened.model(), source, options, *flags.folder, edits);
    }();
    note(opened.manifest());
    if (captured.tokens_now > 0) {
        note(fmt::format("{} tokens, {:.1f} a second", captured.tokens_now,
                         static_cast<double>(captured.tokens_now) / captured.seconds));
    } else {
        note(fmt::format("{}: complete, nothing was read", *flags.folder));
    }
    if (flags.common.json) {
        json_writer out(record_of(flags, opened));
        out.begin_object();
        write_capture(out, *flags.folder, captured);
        out.end_object();
    } else {
        print_capture(*flags.folder, captured);
        print_edits(flags.edits);
    }
}

std::string sites_help() {
    std::string out = "What to capture, separated by commas (after; with --sae nothing else):";
    for (const capture_site& s : capture_sites) {
        out += fmt::format("\n{:<16}{}{}", s.name, s.per_layer ? "of each layer: " : "", s.about);
    }
    return out;
}

}  // namespace

void add_capture(command_line& program) {
    constexpr std::size_t most = std::size_t{1} << 40U;
    const auto flags = std::make_shared<capture_flags>();
    arguments a = program.add(
        "capture", "Write what passes in a model, as arrays for Python",
        "xlens capture default --prompts prompts.jsonl --sites after --positions last -o last\n"
        "  xlens capture default --file book.txt --window 512 --sites before,after -o book\n"
        "  xlens capture gemma.gguf --file book.txt --sae layer_12/width_16k/average_l0_82 -o book",
        [flags] { run(*flags); });
    flags->common.declare(a);
    flags->common.declare_cache(a);
    flags->prompt.declare(a);
    flags->prompt.declare_file(a);
    flags->prompt.declare_chat(a);
    a.text("--file", flags->text, "FILE",
           "A text to read in windows, in UTF-8; - is standard input");
    a.whole("--window", flags->window, 1, 1U << 28U,
            "Tokens that are read together, the start token among them\n"
            "(1024, or the model's context where that is shorter)");
    a.whole("--limit", flags->limit, 1, most,
            "Tokens to read at most, the start tokens of windows among them (all)");
    a.text("-o", flags->folder, "FOLDER",
           "Folder for the files and manifest.json, which says what the rows are of;\n"
           "a run that was interrupted goes on from there");
    a.text("--sites", flags->sites, "S,S,..", sites_help());
    a.repeated(
        "--sae", "FOLDER",
        [flags](const std::string& folder) { flags->autoencoders.push_back(folder); },
        "Activations of a sparse autoencoder's features (see 'xlens sae'), of what it\n"
        "reads: features.SITE.LAYER; repeatable");
    a.text("--layers", flags->layers, "3,5-8", "Layers of sites that are of layers (all)");
    a.text("--positions", flags->positions, "all|last|3,5", "Positions of every prompt (all)");
    a.choice("--dtype", flags->type, {"f32", "f16"},
             "Numbers of the arrays; what f16 cannot hold is refused");
    a.choice("--format", flags->storage, {"safetensors", "npy"},
             "Files: all arrays in one, or each");
    a.whole("--file-size", flags->file_size, 1, 1U << 20U, "Most MiB of a file");
    a.text("--shard", flags->shard, "I/N",
           "Every N-th prompt or window from the I-th (from 0) on: 'xlens merge' puts\n"
           "the N shards together");
    flags->edits.declare(a);
}

}  // namespace xlens::program
