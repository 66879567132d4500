// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "engine/read.hpp"
#include "output/cells.hpp"
#include "output/json_writer.hpp"

#include <xlens/core/error.hpp>
#include <xlens/text/tokenizer.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace xlens::program {

namespace {

struct tokenize_flags {
    common_flags common;
    std::optional<std::string> text;
    text_flags how;
    chat_flags as;

    void check() const {
        as.check();
        if (!text && !as.messages) { fail("--text: expected a text, got nothing"); }
        how.check(as);
    }
};

void write_tokens(const engine& opened, const std::optional<std::string>& prompt,
                  const std::vector<token_id>& ids) {
    json_writer out(record_of(opened));
    out.begin_object();
    if (prompt) { out.field("prompt", *prompt); }
    out.key("ids");
    out.begin_array();
    for (const token_id id : ids) { out.value(id); }
    out.end_array();
    out.key("tokens");
    out.begin_array();
    for (const token_id id : ids) { out.value(opened.token_text(id)); }
    out.end_array();
    out.end_object();
}

/// A line of the prompt a line, control characters shown.
void write_prompt(std::string_view prompt) {
    while (!prompt.empty()) {
        const std::size_t end = std::min(prompt.find('\n'), prompt.size() - 1) + 1;
        fmt::print("{}\n", visible(prompt.substr(0, end)));
        prompt.remove_prefix(end);
    }
    fmt::print("\n");
}

void run(const tokenize_flags& flags) {
    flags.check();
    const engine opened(flags.common);
    std::optional<std::string> prompt;
    if (flags.as.chat) { prompt = read_chat(opened, flags.as, flags.text); }
    const std::vector<token_id> ids =
        prompt ? chat_tokens(opened, *prompt)
               : opened.text().encode_prompt(*flags.text, flags.how.options());
    if (flags.common.json) {
        write_tokens(opened, prompt, ids);
        return;
    }
    if (prompt) { write_prompt(*prompt); }
    for (const token_id id : ids) {
        fmt::print("{:>7}  {}\n", id, visible(opened.token_bytes(id)));
    }
}

}  // namespace

void add_tokenize(command_line& program) {
    const auto flags = std::make_shared<tokenize_flags>();
    arguments a = program.add("tokenize", "Show the tokens of a text, as a prompt would have them",
                              "xlens tokenize default --text \"The capital of France is\"",
                              [flags] { run(*flags); });
    flags->common.declare(a);
    a.text("--text", flags->text, "TEXT", "The text");
    flags->as.declare(a, "the text");
    flags->how.declare(a);
}

}  // namespace xlens::program
