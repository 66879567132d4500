// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "engine/read.hpp"
#include "output/json_writer.hpp"
#include "output/note.hpp"
#include "output/progress.hpp"
#include "output/table_line.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/number_ranges.hpp>
#include <xlens/early_exit/fit_text_lens.hpp>
#include <xlens/lens/evaluate_lens.hpp>
#include <xlens/lens/fit_jacobian_lens.hpp>
#include <xlens/lens/lens_file.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/model.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/open_files.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace xlens::program {

namespace {

struct lens_flags {
    common_flags common;
    text_flags how;
    std::string action;
    std::optional<std::string> kind;
    std::optional<std::string> file;
    std::optional<std::string> path;
    std::optional<std::string> lens;
    std::optional<std::string> layers;
    std::optional<std::size_t> window;
    std::optional<std::size_t> limit;
    std::optional<std::size_t> columns;
    std::optional<std::size_t> seed;
};

void check(const lens_flags& flags) {
    const std::string& action = flags.action;
    if (action != "fit" && action != "info" && action != "eval") {
        fail("lens: expected fit, info or eval, got '{}'", printable(action));
    }
    const bool fit = action == "fit";
    if (action != "info" && !flags.file) { fail("--file: expected a text file, got nothing"); }
    if (action == "info" && flags.file) { fail("--file: lens info reads no text"); }
    if (fit && !flags.path) { fail("-o: expected a file to write, got nothing"); }
    if (!fit && flags.path) { fail("-o: lens {} writes no file", action); }
    if (fit && !flags.kind) { fail("--kind: expected linear, tuned or jacobian, got nothing"); }
    if (!fit && flags.kind) { fail("--kind: is for lens fit"); }
    if (action == "eval" && !flags.lens) { fail("--lens: expected a lens's file, got nothing"); }
    if (action != "eval" && flags.lens) { fail("--lens: is for lens eval"); }
    const bool jacobian = fit && flags.kind == "jacobian";
    if (!jacobian && flags.columns) { fail("--columns: is for lens fit --kind jacobian"); }
    if (!jacobian && flags.layers) { fail("--layers: is for lens fit --kind jacobian"); }
    if (!jacobian && flags.seed) { fail("--seed: is for lens fit --kind jacobian"); }
    if (jacobian && flags.common.precision != "f32") {
        fail("--precision: lens fit --kind jacobian takes f32, got {}", flags.common.precision);
    }
    if (jacobian && flags.common.cache != "f32") {
        fail("--cache: lens fit --kind jacobian takes f32, got {}", flags.common.cache);
    }
}

/// Tokens of --window, which the model must be able to read.
std::size_t window_of(const lens_flags& flags, std::size_t usual, std::size_t context) {
    const std::size_t window = flags.window.value_or(std::min(usual, context));
    if (window > context) {
        fail("--window: expected 2 to {}, the model's context, got {}", context, window);
    }
    return window;
}

/// The text in windows, each with what the model expects before a text.
std::vector<token_id> text_of(const engine& opened, const lens_flags& flags, std::size_t usual,
                              std::size_t window) {
    std::vector<token_id> tokens = read_text(opened, *flags.file, flags.how);
    tokens.resize(std::min(tokens.size(), flags.limit.value_or(usual)));
    return with_prefixes(tokens, window, window_prefix(opened, flags.how));
}

/// Of the order in which a Jacobian lens's columns are asked for.
std::uint64_t seed_of(const lens_flags& flags) { return flags.seed.value_or(0); }

linear_lens fit_jacobian(const engine& opened, const lens_flags& flags,
                         std::span<const token_id> tokens, std::size_t window,
                         const progress_function& progress) {
    jacobian_lens_options options;
    options.columns = flags.columns.value_or(0);
    options.seed = seed_of(flags);
    options.progress = progress;
    if (flags.layers) {
        options.layers = parse_ranges("--layers", *flags.layers, opened.config().layers);
    }
    std::vector<std::vector<token_id>> prompts;
    for (std::size_t i = 0; i + window <= tokens.size(); i += window) {
        const auto part = tokens.subspan(i, window);
        prompts.emplace_back(part.begin(), part.end());
    }
    if (prompts.empty()) {
        fail("--file: {} tokens, expected at least {}, a window", tokens.size(), window);
    }
    return fit_jacobian_lens(opened.model(), prompts, options);
}

void run_fit(const lens_flags& flags) {
    constexpr std::size_t usual_text = 8192;
    constexpr std::size_t usual_prompt = 128;  // of a Jacobian lens
    const engine opened(flags.common);
    const input_mark text(*flags.file);
    atomic_file to(*flags.path);  // before the work: it may be refused
    const bool jacobian = *flags.kind == "jacobian";
    const std::size_t window =
        window_of(flags, jacobian ? usual_prompt : 512, opened.config().context);
    const std::vector<token_id> tokens =
        text_of(opened, flags, jacobian ? 1024 : usual_text, window);
    note(opened.manifest());
    lens_file out;
    out.lens = [&] {
        progress_bar bar("lens");
        if (jacobian) { return fit_jacobian(opened, flags, tokens, window, std::ref(bar)); }
        return early_exit::fit_text_lens(
            opened.model(), tokens,
            {.kind = *flags.kind == "linear" ? early_exit::exit_lens::linear
                                             : early_exit::exit_lens::tuned,
             .window = window,
             .progress = std::ref(bar)});
    }();
    out.facts = {*flags.kind,
                 "xlens",
                 "",
                 opened.model().fingerprint(),
                 opened.config().width,
                 opened.config().layers,
                 jacobian ? tokens.size() / window : tokens.size()};
    write_lens(to, out);
    if (flags.common.json) {
        run_record run = record_of(opened);
        if (jacobian) { run.seed = seed_of(flags); }
        json_writer json(std::move(run));
        json.begin_object();
        json.field("kind", out.facts.kind);
        json.field("layers", out.lens.layers().size());
        json.field("examples", out.facts.examples);
        json.end_object();
        return;
    }
    fmt::print("{}: {} lens of {} layers, fitted on {} {}\n", *flags.path, out.facts.kind,
               out.lens.layers().size(), out.facts.examples, jacobian ? "prompts" : "tokens");
}

/// The layers of a lens as "0-29" or "0,5,12".
std::string mapped_layers(const linear_lens& lens) {
    const auto& maps = lens.layers();
    if (maps.empty()) { return "none"; }
    const std::size_t first = maps.begin()->first;
    const std::size_t last = maps.rbegin()->first;
    if (last - first + 1 == maps.size()) { return fmt::format("{}-{}", first, last); }
    std::vector<std::size_t> all;
    for (const auto& [layer, t] : maps) { all.push_back(layer); }
    return joined(all, ",");
}

void run_info(const lens_flags& flags) {
    const lens_file file = read_lens_file(flags.common.model);
    const lens_facts& facts = file.facts;
    if (flags.common.json) {
        json_writer out(run_record{.lens = printable(flags.common.model, 1024),
                                   .lens_fingerprint = file.lens.hash()});
        out.begin_object();
        out.field("kind", facts.kind);
        out.field("source", facts.source);
        out.field("model_name", facts.model);
        out.field("model", fmt::format("{:016x}", facts.fingerprint));
        out.field("width", facts.width);
        out.field("layers", facts.layers);
        out.field("examples", facts.examples);
        out.field("embedding", file.lens.embedding().has_value());
        out.key("maps");
        out.begin_array();
        for (const auto& [layer, t] : file.lens.layers()) { out.value(layer); }
        out.end_array();
        out.end_object();
        return;
    }
    fmt::print("kind      {}, written by {}\n", facts.kind, printable(facts.source));
    if (!facts.model.empty()) { fmt::print("model     {}\n", printable(facts.model, 200)); }
    if (facts.fingerprint != 0) { fmt::print("model     {:016x}\n", facts.fingerprint); }
    fmt::print("width     {}\n", facts.width);
    if (facts.layers != 0) { fmt::print("layers    {}\n", facts.layers); }
    fmt::print("maps      after layers {}{}\n", mapped_layers(file.lens),
               file.lens.embedding() ? ", and of the embedding" : "");
    if (facts.examples != 0) {
        fmt::print("fitted on {} {}\n", facts.examples,
                   facts.kind == "jacobian" ? "prompts" : "tokens");
    }
}

void write_json(const engine& opened, const std::vector<lens_score>& scores, std::size_t tokens) {
    const auto write = [](json_writer& out, const char* name, const lens_distance& d) {
        out.key(name);
        out.begin_object();
        out.field("kl", d.kl);
        out.field("agreement", d.agreement);
        out.end_object();
    };
    json_writer out(record_of(opened));
    out.begin_object();
    out.field("tokens", tokens);
    out.key("layers");
    out.begin_array();
    for (const lens_score& s : scores) {
        out.begin_object();
        out.field("layer", s.layer);
        write(out, "plain", s.plain);
        write(out, "lens", s.lens);
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

void run_eval(const lens_flags& flags) {
    constexpr std::size_t usual = 1024;
    engine opened(flags.common);
    opened.use_lens(*flags.lens);
    const std::size_t window = window_of(flags, 512, opened.config().context);
    const std::vector<token_id> tokens = text_of(opened, flags, usual, window);
    note(opened.manifest());
    const std::vector<lens_score> scores = [&] {
        progress_bar bar("lens");
        return evaluate_lens(opened.model(), *opened.lens(), tokens,
                             {.window = window, .progress = std::ref(bar)});
    }();
    if (flags.common.json) { return write_json(opened, scores, tokens.size()); }
    table_line()
        .right("layer", 5)
        .right("KL plain", 12)
        .right("KL lens", 12)
        .right("top-1 plain", 14)
        .right("top-1 lens", 14)
        .print();
    for (const lens_score& s : scores) {
        table_line()
            .right(std::to_string(s.layer), 5)
            .right(fmt::format("{:.3f}", s.plain.kl), 12)
            .right(fmt::format("{:.3f}", s.lens.kl), 12)
            .right(fmt::format("{:.1f} %", 100.0 * s.plain.agreement), 14)
            .right(fmt::format("{:.1f} %", 100.0 * s.lens.agreement), 14)
            .print();
    }
}

void run(const lens_flags& flags) {
    check(flags);
    if (flags.action == "fit") { return run_fit(flags); }
    flags.action == "info" ? run_info(flags) : run_eval(flags);
}

}  // namespace

void add_lens(command_line& program) {
    constexpr std::size_t most = std::size_t{1} << 40U;
    const auto flags = std::make_shared<lens_flags>();
    arguments a =
        program.add("lens", "Fit a lens for the layers, measure one, or say what a file holds",
                    "xlens lens fit default --kind tuned --file book.txt -o tuned.lens\n"
                    "  xlens lens eval default --lens tuned.lens --file other.txt\n"
                    "  xlens lens info jacobian_lens.pt\n"
                    "  xlens trace default --prompt \"The capital of France is\" --lens tuned.lens",
                    [flags] { run(*flags); });
    a.positional("ACTION", flags->action,
                 "fit, eval (beside the plain lens), or info, whose MODEL is a lens's file");
    flags->common.declare(a);
    flags->common.declare_cache(a);
    a.choice("--kind", flags->kind, {"linear", "tuned", "jacobian"},
             "What to fit: least squares, the model's top tokens, or the mean derivative\n"
             "of the final residual");
    a.text("--file", flags->file, "FILE", "The text (fit, eval)");
    flags->how.declare(a);
    a.text("-o", flags->path, "FILE", "File to write (fit)");
    a.text("--lens", flags->lens, "FILE", "The lens to measure (eval)");
    a.whole("--limit", flags->limit, 2, most,
            "Tokens to read at most (8192; eval and jacobian: 1024)");
    a.whole("--window", flags->window, 2, 1U << 28U,
            "Tokens that are read together (512; jacobian: 128, a prompt)");
    a.text("--layers", flags->layers, "3,5-8", "Layers to fit (jacobian; all but the last)");
    a.whole("--columns", flags->columns, 1, 1U << 20U,
            "Columns of each map that a prompt is asked for, two passes each (jacobian; all)");
    a.whole("--seed", flags->seed, 0, most, "Seed of their order (jacobian)");
}

}  // namespace xlens::program
