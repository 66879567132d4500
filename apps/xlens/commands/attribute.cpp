// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "engine/policies.hpp"
#include "engine/read.hpp"
#include "output/attribution_json.hpp"
#include "output/attribution_table.hpp"
#include "output/heads_table.hpp"
#include "output/json_writer.hpp"
#include "output/note.hpp"
#include "output/progress.hpp"

#include <xlens/core/attention_head.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/number_ranges.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/model/model.hpp>
#include <xlens/trace/attribute.hpp>
#include <xlens/trace/position_choice.hpp>

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace xlens::program {

namespace {

struct attribute_flags {
    common_flags common;
    prompt_flags prompt;
    edit_flags edits;
    std::optional<std::string> token;
    std::optional<std::string> against;
    std::optional<std::size_t> position;
    std::optional<std::string> positions;
    std::optional<std::string> layers;
    std::size_t limit = 20;
    std::size_t top = 10;
    bool heads = false;
    std::optional<std::string> head;
};

/// The positions of a prompt whose next tokens are explained.
std::vector<std::size_t> positions_of(const attribute_flags& flags, const engine& opened,
                                      const file_prompt& prompt) {
    const std::size_t count = prompt.tokens.size();
    if (flags.positions) {
        const auto chosen =
            position_choice::parse("--positions", *flags.positions, opened.config().context);
        chosen.check(count, prompt.place);
        return chosen.in(count);
    }
    const std::size_t position = flags.position.value_or(count - 1);
    if (position >= count) {
        const std::string where = flags.prompt.file ? prompt.place + ": " : std::string();
        fail("{}--position: expected 0 to {}, got {}", where, count - 1, position);
    }
    return {position};
}

attribution_options options_of(const attribute_flags& flags, const engine& opened) {
    attribution_options out;
    if (flags.token) { out.token = read_token(opened, "--token", *flags.token); }
    if (flags.against) { out.against = read_token(opened, "--against", *flags.against); }
    if (out.token && out.token == out.against) {
        fail("--against: expected another token than --token, got {} for both", *out.token);
    }
    out.limit = flags.limit;
    if (flags.layers && *flags.layers != "all") {
        out.layers = parse_ranges("--layers", *flags.layers, opened.config().layers);
    }
    out.heads = flags.heads;
    if (flags.head) {
        out.head = parse_head(*flags.head, "--head");
        const hyperparameters& config = opened.model().config;
        check_head(*out.head, config.layers, config.heads);
    }
    return out;
}

/// Explains what comes after one position.
void attribute_one(const attribute_flags& flags, const engine& opened, const file_prompt& prompt,
                   std::size_t position, dynamic_policies& edits) {
    const std::span<const token_id> tokens = prompt.tokens;
    attribution_options options = options_of(flags, opened);
    options.position = position;
    attribution found = [&] {
        progress_bar bar("attribute");
        options.progress = std::ref(bar);
        return attribute(opened.model(), tokens, options, edits);
    }();
    if (!flags.heads) { found.heads.clear(); }
    add_concepts(opened.model(), flags.top, found);
    if (flags.common.json) {
        run_record run = record_of(opened, flags.prompt, prompt);
        run.edits = flags.edits;
        json_writer out(std::move(run));
        write_attribution(out, opened, found, tokens);
    } else {
        trace_view view{opened, tokens, flags.top};
        view.edits = &flags.edits;
        print_attribution(view, found);
        print_heads(found, flags.limit);
        print_sources(view, found, flags.limit);
    }
}

void run(const attribute_flags& flags) {
    if (flags.position && flags.positions) {
        fail("--position, --positions: expected one of the two, got both");
    }
    const engine opened(flags.common);
    const std::vector<file_prompt> prompts = read_prompts(opened, flags.prompt);
    auto edits = interventions_of(flags.edits, opened.model(), prompts);
    static_cast<void>(options_of(flags, opened));  // all is checked before the work
    for (const file_prompt& p : prompts) { static_cast<void>(positions_of(flags, opened, p)); }
    note(opened.manifest());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        begin_prompt(flags.prompt, flags.common, prompts[i]);
        for (const std::size_t position : positions_of(flags, opened, prompts[i])) {
            attribute_one(flags, opened, prompts[i], position, edits[i]);
        }
    }
}

}  // namespace

void add_attribute(command_line& program) {
    constexpr std::size_t most = 10'000'000;
    const auto flags = std::make_shared<attribute_flags>();
    arguments a = program.add(
        "attribute", "Show what each layer and sub-update adds to a token's logit",
        "xlens attribute default --prompt \"The capital of France is\"\n"
        "  xlens attribute default --prompt \"The capital of France is\" --token \" Paris\" "
        "--against \" the\"\n"
        "  xlens attribute default --prompt \"The capital of France is\" --heads --head 20:4",
        [flags] { run(*flags); });
    flags->common.declare(a);
    flags->common.declare_cache(a);
    flags->prompt.declare(a);
    flags->prompt.declare_file(a);
    flags->prompt.declare_chat(a);
    a.text("--token", flags->token, "W",
           "Token to explain: its text, its id or #id (the predicted one)");
    a.text("--against", flags->against, "W", "Explain the logit less this token's");
    a.whole("--position", flags->position, 0, std::numeric_limits<std::size_t>::max(),
            "Position whose next token is explained (the last)");
    a.text("--positions", flags->positions, "3,5-8",
           "Several of them, or all: a table, or a document, each");
    a.text("--layers", flags->layers, "3,5-8",
           "Name sub-updates of these layers alone (all); sums are of all the same");
    a.flag("--heads", flags->heads, "Show what each attention head adds");
    a.text("--head", flags->head, "L:H", "Show what a head adds by the positions that it reads");
    a.whole("--limit", flags->limit, 0, most,
            "Sub-updates, heads and positions to show, largest magnitude first");
    a.whole("--top", flags->top, 0, most, "Tokens of each sub-update's concept");
    flags->edits.declare(a);
}

}  // namespace xlens::program
