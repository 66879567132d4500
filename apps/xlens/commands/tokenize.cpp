// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "output/cells.hpp"
#include "output/json_writer.hpp"

#include <xlens/core/error.hpp>
#include <xlens/text/tokenizer.hpp>

#include <memory>

namespace xlens::program {

namespace {

struct tokenize_flags {
    common_flags common;
    std::optional<std::string> text;
    text_flags how;
};

void write_tokens(const engine& opened, const std::vector<token_id>& ids) {
    json_writer out(record_of(opened));
    out.begin_object();
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

void run(const tokenize_flags& flags) {
    if (!flags.text) { fail("--text: expected a text, got nothing"); }
    const engine opened(flags.common);
    const std::vector<token_id> ids = opened.text().encode_prompt(*flags.text, flags.how.options());
    if (flags.common.json) {
        write_tokens(opened, ids);
        return;
    }
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
    flags->how.declare(a);
}

}  // namespace xlens::program
