// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/types.hpp>
#include <xlens/json/writer.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/lens/vocabulary.hpp>
#include <xlens/report/html_page.hpp>
#include <xlens/text/base64.hpp>
#include <xlens/text/visible.hpp>
#include <xlens/trace/observe_patterns.hpp>
#include <xlens/trace/trace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace xlens {
/// A page holds what heads took of which position for prompts of at most so many tokens.
inline constexpr std::size_t most_patterned_tokens = 96;
}  // namespace xlens

namespace xlens::detail {

/// Five digits, as many as the page could show; null for what is no number.
XLENS_API void write_short(json_writer& out, float number);
/// In parts of 100,000.
XLENS_API void write_probability(json_writer& out, float p);

XLENS_API std::span<const scored> first_of(const std::vector<scored>& list, std::size_t count);

/// A trace as the page's script reads it. What occurs many times stands once, in tables: the texts
/// of tokens (the most frequent ones get the shortest numbers), and value vectors with their ends.
class trace_page_data {
public:
    trace_page_data(std::span<const traced_position> positions, std::span<const token_id> prompt,
                    std::size_t top, std::size_t sub_updates,
                    const observe_patterns* patterns = nullptr);

    /// `bytes(id)`: a token's exact bytes, empty where the model has no text for it.
    template <class TokenBytes>
    [[nodiscard]] std::string json(TokenBytes bytes) const {
        std::string text;
        json_writer out(text);
        const auto write_list = [&](std::string_view key, const auto& range, auto write) {
            out.key(key);
            each(out, range, write);
            out.line_break();
        };
        out.begin_object();
        write_list("tokens", m_order, [&](const auto& one) {
            const std::string shown = visible(bytes(one.first));
            out.literal(script_string(shown.empty() ? fmt::format("#{}", one.first) : shown));
        });
        write_list("ids", m_order, [&](const auto& one) { out.value(one.first); });
        write_list("prompt", m_prompt, [&](token_id id) { out.value(m_tokens.at(id)); });
        write_list("positions", m_positions, [&](const auto& p) { out.value(p.position); });
        write_list("saturation", m_positions,
                   [&](const auto& p) { out.value(p.saturation_layer); });
        if (m_positions.front().exit_layer) {
            write_list("exits", m_positions,
                       [&](const auto& p) { out.value(p.exit_layer.value_or(0)); });
        }
        write_list("vectors", m_vectors, [&](const vector& v) { write_vector(out, v); });
        write_list("cells", m_positions, [&](const traced_position& p) {
            out.line_break();
            each(out, p.layers, [&](const traced_layer& l) { write_cell(out, l); });
        });
        if (m_patterns != nullptr) {
            out.field("heads", m_patterns->heads());
            write_list("patterns", m_positions, [&](const traced_position& p) {
                out.line_break();
                each(out, p.layers, [&](const traced_layer& l) {
                    out.value(to_base64(m_patterns->at(p.position, l.layer)));
                });
            });
        }
        out.end_object();
        return text;
    }

private:
    struct vector {
        neuron where;
        float norm;
        const token_ends* ends;
    };

    template <class Range, class Write>
    static void each(json_writer& out, const Range& range, Write write) {
        out.begin_array();
        for (const auto& one : range) { write(one); }
        out.end_array();
    }
    void count(std::span<const scored> tokens);
    [[nodiscard]] auto updates(const traced_layer& l) const {
        return std::span(l.sub_updates).first(std::min(m_sub_updates, l.sub_updates.size()));
    }
    void count(const traced_layer& l);
    void write_vector(json_writer& out, const vector& v) const;
    void write_cell(json_writer& out, const traced_layer& l) const;

    std::span<const traced_position> m_positions;
    std::span<const token_id> m_prompt;
    std::size_t m_top;
    std::size_t m_sub_updates;
    const observe_patterns* m_patterns;
    std::unordered_map<token_id, std::size_t> m_tokens;  // how often; then its number in the table
    std::vector<std::pair<token_id, std::size_t>> m_order;
    std::map<neuron, std::size_t> m_numbers;
    std::vector<vector> m_vectors;
};

#if XLENS_DEFINES(report)

XLENS_API void write_short(json_writer& out, float number) {
    out.literal(std::isfinite(number) ? fmt::format("{:.5g}", number) : "null");
}

XLENS_API void write_probability(json_writer& out, float p) {
    write_short(out, std::isnan(p) ? p : std::round(std::clamp(p, 0.0F, 1.0F) * 1e5F));
}

XLENS_API std::span<const scored> first_of(const std::vector<scored>& list, std::size_t count) {
    return std::span(list).first(std::min(count, list.size()));
}

XLENS_API trace_page_data::trace_page_data(std::span<const traced_position> positions,
                                           std::span<const token_id> prompt, std::size_t top,
                                           std::size_t sub_updates,
                                           const observe_patterns* patterns)
    : m_positions(positions),
      m_prompt(prompt),
      m_top(top),
      m_sub_updates(sub_updates),
      m_patterns(patterns) {
    for (const token_id id : prompt) { ++m_tokens[id]; }
    for (const traced_position& p : positions) {
        for (const traced_layer& l : p.layers) { count(l); }
    }
    for (const auto& one : m_tokens) { m_order.push_back(one); }
    std::sort(m_order.begin(), m_order.end(), [](const auto& a, const auto& b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    for (std::size_t i = 0; i < m_order.size(); ++i) { m_tokens[m_order[i].first] = i; }
}

XLENS_API void trace_page_data::count(std::span<const scored> tokens) {
    for (const scored& s : tokens) { ++m_tokens[s.id]; }
}

XLENS_API void trace_page_data::count(const traced_layer& l) {
    count(first_of(l.before.top, m_top));
    count(first_of(l.after.top, m_top));
    for (const traced_sub_update& s : updates(l)) {
        const neuron& where = s.where;
        if (!m_numbers.emplace(where, m_vectors.size()).second) { continue; }
        m_vectors.push_back({where, s.norm, s.concept_of_value.get()});
        count(first_of(s.concept_of_value->promotes, m_top));
        count(first_of(s.concept_of_value->suppresses, m_top));
    }
}

XLENS_API void trace_page_data::write_vector(json_writer& out, const vector& v) const {
    out.begin_array();
    out.value(v.where.layer);
    out.value(v.where.index);
    write_short(out, v.norm);
    for (const auto* end : {&v.ends->promotes, &v.ends->suppresses}) {
        each(out, first_of(*end, m_top), [&](const scored& s) { out.value(m_tokens.at(s.id)); });
    }
    out.end_array();
}

XLENS_API void trace_page_data::write_cell(json_writer& out, const traced_layer& l) const {
    out.begin_array();
    for (const reading* r : {&l.before, &l.after}) {
        each(out, first_of(r->top, m_top), [&](const scored& s) {
            out.value(m_tokens.at(s.id));
            write_probability(out, r->probability(s));
        });
    }
    each(out, updates(l), [&](const traced_sub_update& s) {
        out.value(m_numbers.at(s.where));
        write_short(out, s.coefficient);
    });
    out.end_array();
}

#endif

}  // namespace xlens::detail
