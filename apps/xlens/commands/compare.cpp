// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "engine/policies.hpp"
#include "engine/read.hpp"
#include "engine/windows.hpp"
#include "output/compare_view.hpp"
#include "output/note.hpp"
#include "output/progress.hpp"

#include <xlens/compare/compare.hpp>
#include <xlens/compare/same_tokens.hpp>
#include <xlens/core/error.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/model.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/open_files.hpp>
#include <xlens/text/input_text.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace xlens::program {

namespace {

struct compare_flags {
    common_flags common;
    std::optional<std::string> model_b;
    std::optional<std::string> precision_b;
    std::optional<std::string> cache_b;
    prompt_flags prompt;
    edit_flags edits;
    std::optional<std::string> file;
    std::optional<std::size_t> window;
    std::optional<std::size_t> stride;
    std::optional<std::size_t> limit;
    std::size_t top = 10;
    bool no_layers = false;
    std::optional<std::string> html;

    [[nodiscard]] common_flags common_b() const {
        common_flags out = common;
        out.model = model_b.value_or(common.model);
        out.precision = precision_b.value_or(common.precision);
        out.cache = cache_b.value_or(common.cache);
        return out;
    }
    /// Whether B is A but for its edits.
    [[nodiscard]] bool one_model() const {
        const common_flags b = common_b();
        return !model_b && b.precision == common.precision && b.cache == common.cache;
    }
};

void check(const compare_flags& flags) {
    if (flags.one_model() && flags.edits.empty()) {
        fail(
            "MODEL_B: expected a second model, a change (--set, --scale, --recipe), "
            "--precision-b, or --cache-b, got none");
    }
    if (!flags.file) {
        for (const auto& [flag, given] : {std::pair{"--window", flags.window.has_value()},
                                          std::pair{"--stride", flags.stride.has_value()},
                                          std::pair{"--limit", flags.limit.has_value()}}) {
            if (given) { fail("{}: expected --file with it, got none", flag); }
        }
        return flags.prompt.check();
    }
    if (flags.prompt.text || flags.prompt.ids || flags.prompt.as.messages) {
        fail("--file: expected no prompt with it, got one");
    }
    if (flags.prompt.as.chat) { fail("--chat: expected --prompt, got --file"); }
    flags.prompt.as.check();
}

/// What is read, and how.
struct compared_text {
    std::string name = "prompt";
    std::vector<token_id> tokens;
    compare_options options{2};
};

compared_text read_file(const engine& a, const engine& b, const compare_flags& flags) {
    const input_text file{std::filesystem::path(*flags.file)};
    const auto read = [&](const engine& by) {
        std::vector<token_id> out = read_text(by, file, flags.prompt.how);
        if (flags.limit) { out.resize(std::min(out.size(), *flags.limit)); }
        return out;
    };
    const std::size_t context = std::min(a.config().context, b.config().context);
    const auto windows = windows_of(a, flags.prompt.how, flags.window, flags.stride, context);
    compared_text out{*flags.file, read(a), compare_options(windows)};
    if (&a != &b) {
        check_same_ids(a.model(), windows.prefix, b.model(), window_prefix(b, flags.prompt.how));
        check_same_ids(a.model(), out.tokens, b.model(), read(b));
    }
    return out;
}

compared_text read(const engine& a, const engine& b, const compare_flags& flags) {
    if (flags.file) { return read_file(a, b, flags); }
    if (&a != &b && flags.prompt.as.messages == "-") {
        fail("--messages: expected a file, which two models can read, got standard input");
    }
    compared_text out;
    out.tokens = read_prompt(a, flags.prompt);
    if (&a != &b) {
        check_same_ids(a.model(), out.tokens, b.model(), read_prompt(b, flags.prompt));
    }
    if (out.tokens.size() < 2) {
        fail("{}: 1 token, expected at least 2", flags.prompt.ids ? "--ids" : "--prompt");
    }
    out.options = compare_options(out.tokens.size());
    out.options.to_end = true;
    return out;
}

/// The policies of B.
dynamic_policies edits_of(const compare_flags& flags, const engine& b, const compared_text& text) {
    const std::size_t read =
        positions_read(text.options.windows, text.tokens.size(), text.options.to_end);
    return flags.file ? interventions_of(flags.edits, b.model(), {{}, read})
                      : interventions_of(flags.edits, b.model(), {read, read});
}

comparison compared(const engine& a, const engine& b, const compare_flags& flags,
                    compared_text& text) {
    dynamic_policies edits = edits_of(flags, b, text);
    // One file has the same value vectors, whatever it computes in.
    const bool one_file =
        std::filesystem::weakly_canonical(a.path()) == std::filesystem::weakly_canonical(b.path());
    text.options.layers = !flags.no_layers;
    text.options.value_vectors = !one_file;
    text.options.positions = flags.top;
    progress_bar bar("compare");
    text.options.windows.progress = std::ref(bar);
    comparison out = compare(a.model(), b.model(), text.tokens, text.options, edits);
    if (one_file && out.left_out.empty()) { out.values_left_out = "one file: they are the same"; }
    return out;
}

void run(const compare_flags& flags) {
    check(flags);
    if (flags.html && flags.html->empty()) { fail("--html: expected a file to write, got ''"); }
    const auto page = flags.html ? std::make_unique<atomic_file>(*flags.html) : nullptr;
    const engine a(flags.common);
    std::unique_ptr<const engine> other;
    if (!flags.one_model()) {
        other = std::make_unique<const engine>(flags.common_b());
        check_same_vocabulary(a.model(), other->model());
    }
    const engine& b = other ? *other : a;
    if (flags.html) { refuse_input(*flags.html); }  // now, not after the work
    compared_text text = read(a, b, flags);
    note("A: " + a.manifest());
    note("B: " + b.manifest());
    const comparison found = compared(a, b, flags, text);
    const compare_view view{a,         b,           flags.edits,
                            text.name, text.tokens, flags.file ? text.options.windows.window : 0,
                            found};
    if (page) {
        const std::size_t bytes = write_compare_page(*page, view);
        note(fmt::format("{}: {:.2f} MB", *flags.html, static_cast<double>(bytes) / 1e6));
    }
    flags.common.json ? write_comparison(view) : print_comparison(view);
}

}  // namespace

void add_compare(command_line& program) {
    constexpr std::size_t most = std::size_t{1} << 40U;
    const auto flags = std::make_shared<compare_flags>();
    arguments a = program.add(
        "compare", "Compare two models on a text, or one with itself under a change",
        "xlens compare Q8_0.gguf Q4_K_M.gguf --file book.txt --limit 4096\n"
        "  xlens compare default --precision-b native --file book.txt --html compare.html\n"
        "  xlens compare default --recipe polite.json --prompt \"The capital of France is\"",
        [flags] { run(*flags); });
    flags->common.declare(a);
    flags->common.declare_cache(a);
    a.positional("MODEL_B", flags->model_b,
                 "The model that is compared with it (the same, under interventions or\n"
                 "in another precision or cache)");
    a.choice("--precision-b", flags->precision_b, {"f32", "native"},
             "Precision of MODEL_B's products (that of --precision)");
    a.choice("--cache-b", flags->cache_b, {"f32", "f16", "q8_0"},
             "Numbers in which MODEL_B keeps keys and values (those of --cache)");
    flags->prompt.declare(a);
    flags->prompt.declare_chat(a);
    a.text("--file", flags->file, "FILE", "A text instead of a prompt; - is standard input");
    a.whole("--window", flags->window, 2, 1U << 28U,
            "Tokens of the text that are read together, as perplexity does (1024, or\n"
            "the smaller context where that is shorter)");
    a.whole("--stride", flags->stride, 1, 1U << 28U,
            "Start a window every N tokens (as many as a window has room for)");
    a.whole("--limit", flags->limit, 2, most, "Tokens of the text to read at most (all)");
    a.whole("--top", flags->top, 0, 100'000, "Positions of largest KL with --json and --html");
    a.flag("--no-layers", flags->no_layers, "Compare predictions alone, which is much faster");
    a.text("--html", flags->html, "FILE", "Write a page with charts of the layers");
    flags->edits.declare(a);
}

}  // namespace xlens::program
