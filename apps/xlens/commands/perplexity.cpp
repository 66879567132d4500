// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "engine/policies.hpp"
#include "engine/read.hpp"
#include "engine/windows.hpp"
#include "output/json_writer.hpp"
#include "output/note.hpp"
#include "output/print_edits.hpp"
#include "output/progress.hpp"

#include <xlens/core/error.hpp>
#include <xlens/generate/perplexity.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/model.hpp>

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace xlens::program {

namespace {

struct perplexity_flags {
    common_flags common;
    edit_flags edits;
    std::optional<std::string> exit;
    std::optional<std::string> file;
    text_flags how;
    std::optional<std::size_t> window;
    std::optional<std::size_t> stride;
};

void run(const perplexity_flags& flags) {
    if (!flags.file) { fail("--file: expected a text file, got nothing"); }
    engine opened(flags.common);
    perplexity_windows windows =
        windows_of(opened, flags.how, flags.window, flags.stride, opened.config().context);
    const std::vector<token_id> tokens = read_text(opened, *flags.file, flags.how);
    dynamic_policies policies = interventions_of(
        flags.edits, opened.model(), {{}, positions_read(windows, tokens.size(), false)});
    if (flags.exit) {
        opened.use_exit(*flags.exit);
        windows.pass = 1;
    }
    add_exit(opened, policies);
    note(opened.manifest());
    const perplexity_result result = [&] {
        progress_bar bar("perplexity");
        windows.progress = std::ref(bar);
        return perplexity(opened.model(), tokens, windows, policies);
    }();
    if (flags.common.json) {
        run_record run = record_of(opened);
        run.edits = flags.edits;
        run.exit_rule = flags.exit;
        json_writer out(std::move(run));
        out.begin_object();
        out.field("tokens", result.tokens);
        out.field("nll", result.nll);
        out.field("perplexity", result.perplexity());
        out.end_object();
        return;
    }
    print_edits(flags.edits);
    fmt::print("perplexity  {:.4f}\n", result.perplexity());
    fmt::print("nll         {:.6f} nats a token\n", result.nll);
    fmt::print("tokens      {} predicted, of {} in windows of {}{}\n", result.tokens, tokens.size(),
               windows.window,
               windows.stride + windows.prefix.size() < windows.window
                   ? fmt::format(" every {}", windows.stride)
                   : "");
}

}  // namespace

void add_perplexity(command_line& program) {
    const auto flags = std::make_shared<perplexity_flags>();
    arguments a = program.add("perplexity", "Measure how well a model predicts a text",
                              "xlens perplexity default --file book.txt --window 512",
                              [flags] { run(*flags); });
    flags->common.declare(a);
    flags->common.declare_cache(a);
    a.text("--file", flags->file, "FILE", "The text, in UTF-8; - is standard input");
    flags->how.declare(a);
    a.whole("--window", flags->window, 2, 1U << 28U,
            "Tokens that are read together, the start token among them; the first of\n"
            "each window is not predicted\n"
            "(1024, or the model's context where that is shorter)");
    a.whole("--stride", flags->stride, 1, 1U << 28U,
            "Start a window every N tokens; what an earlier one predicted is context\n"
            "(as many as a window has room for, so that windows do not overlap)");
    flags->edits.declare(a);
    a.text("--exit", flags->exit, "RULE",
           "Leave the model early, reading token by token: a file of exit fit, or a\n"
           "rule's name");
}

}  // namespace xlens::program
