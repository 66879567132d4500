// SPDX-License-Identifier: BSD-3-Clause
#include "engine/continue_prompt.hpp"

#include "engine/policies.hpp"
#include "output/utf8_stream.hpp"

#include <xlens/early_exit/verified.hpp>
#include <xlens/generate/stop.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/model.hpp>
#include <xlens/text/tokenizer.hpp>
#include <xlens/trace/attribution_log.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <utility>

namespace xlens::program {

namespace {

using clock = std::chrono::steady_clock;

double per_second(std::size_t tokens, clock::duration time) {
    const double seconds = std::chrono::duration<double>(time).count();
    return tokens > 0 && seconds > 0.0 ? static_cast<double>(tokens) / seconds : 0.0;
}

/// Prints the text as it comes, says when a stop text is complete, and counts the time between
/// tokens.
class listener {
public:
    listener(const engine& model, const std::vector<std::string>& stops, bool prints)
        : m_model(&model), m_stops(stops), m_prints(prints) {}

    flow operator()(const generated& token) {
        m_last = clock::now();
        if (m_count++ == 0) { m_first = m_last; }
        show(m_stream.add(m_stops.add(m_model->token_bytes(token.id))));
        return m_stops.stopped() ? flow::stop : flow::proceed;
    }
    std::string finish() {
        show(m_stream.add(m_stops.finish()));
        show(m_stream.finish());
        if (m_prints) { std::fputc('\n', stdout); }
        return std::move(m_text);
    }
    /// Of the tokens after the first, so that reading the prompt does not count; 0 where there is
    /// no second one.
    [[nodiscard]] double tokens_per_second() const {
        return m_count > 1 ? per_second(m_count - 1, m_last - m_first) : 0.0;
    }

private:
    void show(const std::string& text) {
        m_text += text;
        if (!m_prints) { return; }
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);
    }

    const engine* m_model;
    stop_sequences m_stops;
    bool m_prints;
    utf8_stream m_stream;
    std::string m_text;
    std::size_t m_count = 0;
    clock::time_point m_first;
    clock::time_point m_last;
};

/// The best text that beam search finds, without its end token.
continuation best_beam(const engine& opened, std::span<const token_id> prompt, const decoding& how,
                       dynamic_policies& edits) {
    const auto complete = [&](std::span<const generated> steps, token_id next) {
        std::string text;
        for (const generated& step : steps) { text += opened.token_bytes(step.id); }
        text += opened.token_bytes(next);
        return std::any_of(how.stops.begin(), how.stops.end(), [&](const std::string& stop) {
            return text.find(stop) != std::string::npos;
        });
    };
    beam_options options = *how.beam;
    options.count = how.count;
    options.ends = opened.model().ends();
    auto found = beam_search(opened.model(), prompt, options, complete, edits);
    if (found.empty() || found.front().tokens.empty()) { return {}; }
    continuation best{std::move(found.front().tokens)};
    const token_id last = best.tokens.back().id;
    if (options.is_end(last)) {
        best.why = finish::end;
        best.tokens.pop_back();
    } else if (complete(std::span(best.tokens).first(best.tokens.size() - 1), last)) {
        best.why = finish::stop;
    } else if (best.tokens.size() < how.count) {
        best.why = finish::context;
    }
    return best;
}

generated_text search_beams(const engine& opened, std::span<const token_id> prompt,
                            const decoding& how, dynamic_policies& edits, bool prints) {
    generated_text out;
    const auto start = clock::now();
    continuation found = best_beam(opened, prompt, how, edits);
    out.steps = std::move(found.tokens);
    out.why = found.why;
    out.tokens_per_second = per_second(out.steps.size(), clock::now() - start);
    listener whole(opened, how.stops, prints);
    for (const generated& step : out.steps) { whole(step); }
    out.text = whole.finish();
    return out;
}

generated_text read_on(const engine& opened, std::span<const token_id> prompt, const decoding& how,
                       dynamic_policies policies, bool prints) {
    if (!how.verify) { add_exit(opened, policies); }
    attribution_log log(opened.model());
    if (how.attribute) { policies.borrow(log.record()); }
    listener seen(opened, how.stops, prints);
    const auto take = [&](const generated& token) {
        if (how.attribute) { log.add(token.id); }
        return seen(token);
    };
    const generate_options options{.count = how.count,
                                   .choose = sampler(how.sampling),
                                   .ends = opened.model().ends(),
                                   .seen = take,
                                   .probabilities = how.probabilities};
    generated_text out;
    continuation found;
    if (how.verify) {
        auto judged = early_exit::generate_verified(opened.model(), prompt, options, *opened.exit(),
                                                    policies);
        out.drafts = judged.counts;
        found = std::move(judged);
    } else {
        found = generate(opened.model(), prompt, options, policies);
    }
    out.steps = std::move(found.tokens);
    out.why = found.why;
    out.attributions = log.take();
    out.text = seen.finish();
    out.tokens_per_second = seen.tokens_per_second();
    return out;
}

}  // namespace

generated_text continue_prompt(const engine& opened, std::span<const token_id> prompt,
                               const decoding& how, dynamic_policies edits, bool prints) {
    return how.beam ? search_beams(opened, prompt, how, edits, prints)
                    : read_on(opened, prompt, how, std::move(edits), prints);
}

}  // namespace xlens::program
