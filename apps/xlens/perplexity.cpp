// SPDX-License-Identifier: BSD-3-Clause
#include "engine.hpp"
#include "json_writer.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "subcommands.hpp"

#include <xlens/core/error.hpp>
#include <xlens/generate/perplexity.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/text/tokenizer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>

namespace xlens::program {

namespace {

struct perplexity_flags {
    common_flags common;
    edit_flags edits;
    std::optional<std::string> exit;
    std::optional<std::string> file;
    std::optional<std::size_t> window;
    std::optional<std::size_t> stride;
};

std::vector<token_id> read_file(const engine& model, const std::string& path) {
    const mapped_file file{std::filesystem::path(path)};
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                                file.bytes().size());
    std::vector<token_id> tokens = model.text().encode(text);
    if (tokens.size() < 2) {
        fail("{}: {} tokens, expected at least 2", file.name(), tokens.size());
    }
    return tokens;
}

perplexity_windows windows_of(const perplexity_flags& flags, std::size_t context) {
    constexpr std::size_t usual = 1024;
    const std::size_t window = flags.window.value_or(std::min(usual, context));
    if (window > context) {
        fail("--window: expected 2 to {}, the model's context, got {}", context, window);
    }
    const std::size_t stride = flags.stride.value_or(window);
    if (stride > window) { fail("--stride: expected 1 to {}, the window, got {}", window, stride); }
    return {window, stride};
}

void run(const perplexity_flags& flags) {
    if (!flags.file) { fail("--file: expected a text file, got nothing"); }
    engine model(flags.common);
    const perplexity_windows windows = windows_of(flags, model.config().context);
    const std::vector<token_id> tokens = read_file(model, *flags.file);
    model.check(flags.edits);
    if (flags.exit) { model.use_exit(*flags.exit); }
    note(model.manifest());
    const perplexity_result result = [&] {
        progress_bar bar("perplexity");
        return model.perplexity(tokens, windows, flags.edits, std::ref(bar));
    }();
    if (flags.common.json) {
        json_writer out;
        out.begin_object();
        out.field("tokens", result.tokens);
        out.field("nll", result.nll);
        out.field("perplexity", result.perplexity());
        out.end_object();
        return;
    }
    fmt::print("perplexity  {:.4f}\n", result.perplexity());
    fmt::print("nll         {:.6f} nats a token\n", result.nll);
    fmt::print("tokens      {} predicted, of {} in windows of {}{}\n", result.tokens, tokens.size(),
               windows.window,
               windows.stride < windows.window ? fmt::format(" every {}", windows.stride) : "");
}

}  // namespace

void add_perplexity(command_line& program) {
    const auto flags = std::make_shared<perplexity_flags>();
    arguments a = program.add("perplexity", "Measure how well a model predicts a text",
                              "xlens perplexity default --file book.txt --window 512",
                              [flags] { run(*flags); });
    flags->common.declare(a);
    a.text("--file", flags->file, "FILE", "The text");
    a.whole("--window", flags->window, 2, 1U << 28U,
            "Tokens that are read together; the first of each window is not predicted\n"
            "(1024, or the model's context where that is shorter)");
    a.whole("--stride", flags->stride, 1, 1U << 28U,
            "Start a window every N tokens; what an earlier one predicted is context\n"
            "(as many as the window, so that windows do not overlap)");
    flags->edits.declare(a);
    a.text("--exit", flags->exit, "RULE",
           "Leave the model early, reading token by token: a file of exit fit, or a\n"
           "rule's name");
}

}  // namespace xlens::program
