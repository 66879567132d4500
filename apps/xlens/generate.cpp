// SPDX-License-Identifier: BSD-3-Clause
#include "attribution_json.hpp"
#include "attribution_table.hpp"
#include "engine.hpp"
#include "json_writer.hpp"
#include "report.hpp"
#include "subcommands.hpp"
#include "utf8_stream.hpp"

#include <xlens/analysis/attribution.hpp>
#include <xlens/core/error.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/text/tokenizer.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <limits>
#include <memory>

namespace xlens::program {

namespace {

struct generate_flags {
    common_flags common;
    prompt_flags prompt;
    edit_flags edits;
    std::size_t count = 20;
    std::optional<float> temperature;
    std::optional<float> top_p;
    std::optional<std::size_t> top_k;
    std::size_t seed = 0;
    bool attribute = false;
};

/// Greedy unless a flag of sampling is there; then the temperature is 1 unless it is given.
sampling_request request_of(const generate_flags& flags) {
    const bool sampled = flags.temperature || flags.top_k || flags.top_p;
    sampling_request out;
    out.temperature = flags.temperature.value_or(sampled ? 1.0F : 0.0F);
    out.top_k = flags.top_k.value_or(0);
    out.top_p = flags.top_p.value_or(1.0F);
    out.seed = flags.seed;
    if (out.temperature < 0.0F) {
        fail("--temperature: expected at least 0, got {}", out.temperature);
    }
    if (!(out.top_p > 0.0F && out.top_p <= 1.0F)) {
        fail("--top-p: expected above 0 and up to 1, got {}", out.top_p);
    }
    return out;
}

/// Prints the text as it comes and counts the time between tokens.
class listener {
public:
    listener(const engine& model, bool prints) : m_model(&model), m_prints(prints) {}

    void operator()(const generated& token) {
        const auto now = clock::now();
        if (m_count++ == 0) { m_first = now; }
        m_last = now;
        show(m_stream.add(m_model->token_bytes(token.id)));
    }
    std::string finish() {
        show(m_stream.finish());
        if (m_prints) { std::fputc('\n', stdout); }
        return std::move(m_text);
    }
    /// Of the tokens after the first, so that reading the prompt does not count; 0 where there is
    /// no second one.
    [[nodiscard]] double tokens_per_second() const {
        const std::chrono::duration<double> time = m_last - m_first;
        return m_count > 1 ? static_cast<double>(m_count - 1) / time.count() : 0.0;
    }

private:
    using clock = std::chrono::steady_clock;

    void show(const std::string& text) {
        m_text += text;
        if (!m_prints) { return; }
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);
    }

    const engine* m_model;
    bool m_prints;
    utf8_stream m_stream;
    std::string m_text;
    std::size_t m_count = 0;
    clock::time_point m_first;
    clock::time_point m_last;
};

void write_generated(const engine& model, const std::vector<generated>& steps,
                     const std::vector<attribution>& attributions, const std::string& text,
                     double speed) {
    json_writer out;
    out.begin_object();
    out.field("text", text);
    out.key("ids");
    out.begin_array();
    for (const generated& step : steps) { out.value(step.id); }
    out.end_array();
    out.key("steps");
    out.begin_array();
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const generated& step = steps[i];
        out.begin_object();
        out.field("id", step.id);
        out.field("text", model.token_text(step.id));
        out.field("probability", step.probability);
        out.field("exit_layer", step.exit_layer);
        if (!attributions.empty()) {
            out.key("attribution");
            write_attribution(out, model, attributions[i]);
        }
        out.end_object();
    }
    out.end_array();
    out.field("tokens_per_second", speed);
    out.end_object();
}

void run(const generate_flags& flags) {
    const sampling_request sampling = request_of(flags);
    const engine model(flags.common);
    const std::vector<token_id> prompt = model.read(flags.prompt);
    model.check(flags.edits);
    note(model.manifest() +
         (sampling.temperature > 0.0F ? fmt::format(", seed {}", sampling.seed) : ", greedy"));
    listener seen(model, !flags.common.json);
    attribution_log explained;
    const auto steps = model.generate(prompt, flags.count, sampling, flags.edits, std::ref(seen),
                                      flags.attribute ? &explained : nullptr);
    const std::string text = seen.finish();
    if (flags.common.json) {
        write_generated(model, steps, explained.steps, text, seen.tokens_per_second());
    } else {
        if (flags.attribute) { print_attributions(model, explained.steps); }
        note(fmt::format("{} tokens, {:.1f} a second", steps.size(), seen.tokens_per_second()));
    }
}

}  // namespace

void add_generate(command_line& program) {
    const auto flags = std::make_shared<generate_flags>();
    arguments a = program.add(
        "generate", "Continue a prompt, greedily or by sampling",
        "xlens generate default --prompt \"Once upon a time\" -n 40\n"
        "  xlens generate default --prompt \"Once upon a time\" --temperature 0.8 --seed 7",
        [flags] { run(*flags); });
    flags->common.declare(a);
    flags->prompt.declare(a);
    a.whole("-n", flags->count, 0, 1'000'000, "Tokens to generate at most");
    a.number("--temperature", flags->temperature,
             "Sample from softmax(logits / X); 0, or no such flag at all: greedy");
    a.whole("--top-k", flags->top_k, 0, 10'000'000, "Sample from the N most probable; 0: from all");
    a.number("--top-p", flags->top_p, "Sample from the most probable that sum to X (1)");
    a.whole("--seed", flags->seed, 0, std::numeric_limits<std::size_t>::max(),
            "Seed of the sampling");
    a.flag("--attribute", flags->attribute,
           "Add what each layer and sub-update adds to each token's logit");
    flags->edits.declare(a);
}

}  // namespace xlens::program
