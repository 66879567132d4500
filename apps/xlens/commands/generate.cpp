// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/continue_prompt.hpp"
#include "engine/engine.hpp"
#include "engine/policies.hpp"
#include "engine/read.hpp"
#include "output/attribution_table.hpp"
#include "output/drafts.hpp"
#include "output/generated_text.hpp"
#include "output/json_writer.hpp"
#include "output/names.hpp"
#include "output/note.hpp"
#include "output/print_edits.hpp"

#include <xlens/core/error.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/model/model.hpp>

#include <fmt/format.h>

#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::program {

namespace {

struct generate_flags {
    common_flags common;
    prompt_flags prompt;
    edit_flags edits;
    std::optional<std::string> exit;
    bool verify = false;
    std::size_t count = 20;
    std::optional<float> temperature;
    std::optional<float> top_p;
    std::optional<float> min_p;
    std::optional<float> repetition_penalty;
    std::optional<std::size_t> top_k;
    std::size_t seed = 0;
    std::optional<std::size_t> beams;
    std::optional<float> length_penalty;
    std::vector<std::string> stops;
    bool compare = false;
    bool attribute = false;
};

void check_range(std::string_view flag, float value, bool good, std::string_view expected) {
    if (!good) { fail("{}: expected {}, got {}", flag, expected, value); }
}

/// Greedy unless a flag of sampling is there; then the temperature is 1 unless it is given.
sampler::options sampling_of(const generate_flags& flags) {
    const bool sampled = flags.temperature || flags.top_k || flags.top_p || flags.min_p;
    sampler::options out;
    out.temperature = flags.temperature.value_or(sampled ? 1.0F : 0.0F);
    out.top_k = flags.top_k.value_or(0);
    out.top_p = flags.top_p.value_or(1.0F);
    out.min_p = flags.min_p.value_or(0.0F);
    out.repetition_penalty = flags.repetition_penalty.value_or(1.0F);
    out.seed = flags.seed;
    check_range("--temperature", out.temperature, out.temperature >= 0.0F, "at least 0");
    check_range("--top-p", out.top_p, out.top_p > 0.0F && out.top_p <= 1.0F, "above 0 and up to 1");
    check_range("--min-p", out.min_p, out.min_p >= 0.0F && out.min_p <= 1.0F, "0 to 1");
    check_range("--repetition-penalty", out.repetition_penalty, out.repetition_penalty > 0.0F,
                "above 0");
    return out;
}

decoding decoding_of(const generate_flags& flags) {
    decoding out{flags.count,  sampling_of(flags), {}, flags.stops, flags.attribute,
                 flags.verify, flags.common.json};
    if (flags.verify && !flags.exit) { fail("--verify: expected --exit with it, got none"); }
    if (flags.verify && flags.attribute) {
        fail("--attribute: expected no --verify with it, got one: drafts are no part of the text");
    }
    if (flags.beams) {
        const bool samples = out.sampling.temperature > 0.0F || flags.repetition_penalty;
        if (samples) { fail("--beam: expected no flag of sampling with it, got one"); }
        if (flags.exit) { fail("--exit: expected no --beam with it, got one"); }
        if (flags.attribute) { fail("--attribute: expected no --beam with it, got one"); }
        out.beam = beam_options{.beams = *flags.beams,
                                .length_penalty = flags.length_penalty.value_or(1.0F)};
    } else if (flags.length_penalty) {
        fail("--length-penalty: expected --beam with it, got none");
    }
    return out;
}

std::string words_for(const decoding& how) {
    if (how.beam) {
        return fmt::format("beams {}, length penalty {}", how.beam->beams,
                           how.beam->length_penalty);
    }
    return how.sampling.temperature > 0.0F ? fmt::format("seed {}", how.sampling.seed) : "greedy";
}

run_record record_of(const generate_flags& flags, const engine& opened, const file_prompt& prompt) {
    run_record out = record_of(opened, flags.prompt, prompt);
    out.edits = flags.edits;
    out.seed = flags.seed;
    out.exit_rule = flags.exit;
    return out;
}

void compare(const engine& opened, const generate_flags& flags, const file_prompt& prompt,
             const decoding& how, dynamic_policies edits) {
    const generated_text before = continue_prompt(opened, prompt.tokens, how, {}, false);
    const generated_text after =
        continue_prompt(opened, prompt.tokens, how, std::move(edits), false);
    if (!flags.common.json) {
        print_edits(flags.edits);
        return print_side_by_side(before, after);
    }
    json_writer out(record_of(flags, opened, prompt));
    out.begin_object();
    out.key("before");
    write_generated(out, opened, before);
    out.key("after");
    write_generated(out, opened, after);
    out.end_object();
}

void generate_one(const generate_flags& flags, const engine& opened, const file_prompt& prompt,
                  const decoding& how, dynamic_policies edits) {
    if (flags.compare) { return compare(opened, flags, prompt, how, std::move(edits)); }
    const generated_text found =
        continue_prompt(opened, prompt.tokens, how, std::move(edits), !flags.common.json);
    if (flags.common.json) {
        json_writer out(record_of(flags, opened, prompt));
        write_generated(out, opened, found);
    } else {
        if (flags.attribute) { print_attributions(opened, found.attributions); }
        note(fmt::format("{} tokens, {:.1f} a second; ended: {}", found.steps.size(),
                         found.tokens_per_second, finish_name(found.why)));
        if (found.drafts) { note(draft_words(*found.drafts, opened.config().layers)); }
    }
}

void run(const generate_flags& flags) {
    const decoding how = decoding_of(flags);
    if (flags.compare && flags.edits.empty()) {
        fail("--compare: expected an intervention (--set, --scale, --recipe, --ban), got none");
    }
    engine opened(flags.common);
    const std::vector<file_prompt> prompts = read_prompts(opened, flags.prompt);
    auto edits = interventions_of(flags.edits, opened.model(), prompts, flags.count, true);
    if (flags.exit) { opened.use_exit(*flags.exit); }
    // The text alone is on standard output, so that this is where its edits are named.
    note(opened.manifest() + ", " + words_for(how) + edits_text(flags.edits));
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        begin_prompt(flags.prompt, flags.common, prompts[i]);
        generate_one(flags, opened, prompts[i], how, std::move(edits[i]));
    }
}

void declare_decoding(arguments& a, generate_flags& flags) {
    a.whole("-n", flags.count, 0, 1'000'000, "Tokens to generate at most");
    a.number("--temperature", flags.temperature,
             "Sample from softmax(logits / X); 0, or no such flag at all: greedy");
    a.whole("--top-k", flags.top_k, 0, 10'000'000, "Sample from the N most probable; 0: from all");
    a.number("--top-p", flags.top_p, "Sample from the most probable that sum to X (1)");
    a.number("--min-p", flags.min_p, "Sample from those at least X times the most probable (0)");
    a.number("--repetition-penalty", flags.repetition_penalty,
             "Divide logits above 0 of tokens that the text has by X, multiply others (1)");
    a.whole("--seed", flags.seed, 0, std::numeric_limits<std::size_t>::max(),
            "Seed of the sampling");
    a.whole("--beam", flags.beams, 1, most_beams, "Search with N beams; prints the best text");
    a.number("--length-penalty", flags.length_penalty,
             "Beams are ranked by log-probability / length^X (1)");
    a.repeated(
        "--stop", "TEXT",
        [&flags](const std::string& value) {
            if (value.empty()) { fail("--stop: expected a text, got ''"); }
            flags.stops.push_back(value);
        },
        "End before this text; repeatable");
}

}  // namespace

void add_generate(command_line& program) {
    const auto flags = std::make_shared<generate_flags>();
    arguments a = program.add(
        "generate", "Continue a prompt, greedily, by sampling or by beam search",
        "xlens generate default --prompt \"Once upon a time\" -n 40\n"
        "  xlens generate default --prompt \"Once upon a time\" --temperature 0.8 --seed 7\n"
        "  xlens generate default --chat --prompt \"Say hi\" --ban hello --compare",
        [flags] { run(*flags); });
    flags->common.declare(a);
    flags->common.declare_cache(a);
    flags->prompt.declare(a);
    flags->prompt.declare_file(a);
    flags->prompt.declare_chat(a);
    declare_decoding(a, *flags);
    a.flag("--attribute", flags->attribute,
           "Add what each layer and sub-update adds to each token's logit");
    flags->edits.declare(a);
    flags->edits.declare_ban(a);
    a.flag("--compare", flags->compare, "Show the text without the interventions beside it");
    a.text("--exit", flags->exit, "RULE",
           "Leave the model early: a file of exit fit, or a rule's name");
    a.flag("--verify", flags->verify,
           "What an exit names is a draft that the whole model judges: its text");
}

}  // namespace xlens::program
