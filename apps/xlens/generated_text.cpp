// SPDX-License-Identifier: BSD-3-Clause
#include "generated_text.hpp"

#include "attribution_json.hpp"
#include "cells.hpp"
#include "table_line.hpp"
#include "utf8_stream.hpp"

#include <xlens/generate/stop.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string_view>
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

generated_text search_beams(const engine& model, std::span<const token_id> prompt,
                            const decoding& how, const edit_flags& edits, bool prints) {
    const auto text_of = [&](std::span<const generated> steps) {
        std::string out;
        for (const generated& step : steps) { out += model.token_bytes(step.id); }
        return out;
    };
    const auto complete = [&](std::span<const generated> steps, token_id next) {
        const std::string text = text_of(steps) + model.token_bytes(next);
        return std::any_of(how.stops.begin(), how.stops.end(), [&](const std::string& stop) {
            return text.find(stop) != std::string::npos;
        });
    };
    generated_text out;
    const auto start = clock::now();
    out.steps = model.search_beams(prompt, how.count, how.beam, edits, complete);
    out.tokens_per_second = per_second(out.steps.size(), clock::now() - start);
    listener whole(model, how.stops, prints);
    for (const generated& step : out.steps) { whole(step); }
    out.text = whole.finish();
    return out;
}

/// The lines of a text in a column, broken between words where that is possible.
std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
    std::vector<std::string> out(1);
    while (!text.empty()) {
        if (text.front() == '\n') {
            text.remove_prefix(1);
            out.emplace_back();
            continue;
        }
        const std::size_t end = std::min(text.find_first_of(" \n", 1), text.size());
        std::string word(text.substr(0, end));
        text.remove_prefix(end);
        const bool spaced = word.front() == ' ';
        word = visible(spaced ? std::string_view(word).substr(1) : word);
        if (!out.back().empty() && columns(out.back()) + 1 + columns(word) > width) {
            out.emplace_back();
        } else if (spaced && !out.back().empty()) {
            out.back() += ' ';
        }
        out.back() += cut(word, width);
    }
    return out;
}

}  // namespace

generated_text continue_prompt(const engine& model, std::span<const token_id> prompt,
                               const decoding& how, const edit_flags& edits, bool prints) {
    if (how.beam.beams > 0) { return search_beams(model, prompt, how, edits, prints); }
    generated_text out;
    listener seen(model, how.stops, prints);
    attribution_log explained;
    out.steps = model.generate(prompt, how.count, how.sampling, edits, std::ref(seen),
                               how.attribute ? &explained : nullptr);
    out.attributions = std::move(explained.steps);
    out.text = seen.finish();
    out.tokens_per_second = seen.tokens_per_second();
    return out;
}

void write_generated(json_writer& out, const engine& model, const generated_text& found) {
    out.begin_object();
    out.field("text", found.text);
    out.key("ids");
    out.begin_array();
    for (const generated& step : found.steps) { out.value(step.id); }
    out.end_array();
    out.key("steps");
    out.begin_array();
    for (std::size_t i = 0; i < found.steps.size(); ++i) {
        const generated& step = found.steps[i];
        out.begin_object();
        out.field("id", step.id);
        out.field("text", model.token_text(step.id));
        out.field("probability", step.probability);
        out.field("exit_layer", step.exit_layer);
        if (!found.attributions.empty()) {
            out.key("attribution");
            write_attribution(out, model, found.attributions[i]);
        }
        out.end_object();
    }
    out.end_array();
    out.field("tokens_per_second", found.tokens_per_second);
    out.end_object();
}

void print_side_by_side(const generated_text& before, const generated_text& after) {
    constexpr std::string_view bar = " │ ";
    constexpr std::size_t width = (page_width - 3) / 2;
    const auto line = [&](std::string_view left, std::string_view right, style s) {
        table_line out;
        out.cell(left, width, s).put(bar, style::dim).put(right, s).print();
    };
    line("before", "after", style::bold);
    const auto left = wrapped(before.text, width);
    const auto right = wrapped(after.text, width);
    for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
        line(i < left.size() ? left[i] : "", i < right.size() ? right[i] : "", style::plain);
    }
}

}  // namespace xlens::program
