// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/neuron.hpp>
#include <xlens/core/types.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/lens/vocabulary.hpp>
#include <xlens/report/html_page.hpp>
#include <xlens/text/visible.hpp>
#include <xlens/trace/trace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace xlens::detail {

/// A list in JSON, an element at a time.
class json_list {
public:
    explicit json_list(std::string& out) : m_out(&out) { out += '['; }
    ~json_list() { *m_out += ']'; }
    json_list(const json_list&) = delete;
    json_list& operator=(const json_list&) = delete;

    /// Where the next element goes.
    std::string& next() {
        if (!std::exchange(m_first, false)) { *m_out += ','; }
        return *m_out;
    }
    void add(std::size_t number) { fmt::format_to(std::back_inserter(next()), "{}", number); }
    /// Five digits, as many as the page could show; null for what is no number.
    void add(float number) {
        if (!std::isfinite(number)) {
            next() += "null";
        } else {
            fmt::format_to(std::back_inserter(next()), "{:.5g}", number);
        }
    }
    /// In parts of 100,000.
    void add_probability(float p) {
        add(std::isnan(p) ? p : std::round(std::clamp(p, 0.0F, 1.0F) * 1e5F));
    }

private:
    std::string* m_out;
    bool m_first = true;
};

inline std::span<const scored> first_of(const std::vector<scored>& list, std::size_t count) {
    return std::span(list).first(std::min(count, list.size()));
}

/// A trace as the page's script reads it. What occurs many times stands once, in tables: the texts
/// of tokens (the most frequent ones get the shortest numbers), and value vectors with their ends.
class trace_page_data {
public:
    trace_page_data(std::span<const traced_position> positions, std::span<const token_id> prompt,
                    std::size_t top, std::size_t sub_updates)
        : m_positions(positions), m_prompt(prompt), m_top(top), m_sub_updates(sub_updates) {
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

    /// `bytes(id)`: a token's exact bytes, empty where the model has no text for it.
    template <class TokenBytes>
    [[nodiscard]] std::string json(TokenBytes bytes) const {
        std::string out = "{\"tokens\":";
        each(out, m_order, [&](json_list& list, const auto& one) {
            const std::string text = visible(bytes(one.first));
            list.next() += script_string(text.empty() ? fmt::format("#{}", one.first) : text);
        });
        out += ",\n\"ids\":";
        each(out, m_order, [&](json_list& list, const auto& one) {
            list.add(static_cast<std::size_t>(one.first));
        });
        out += ",\n\"prompt\":";
        each(out, m_prompt, [&](json_list& list, token_id id) { list.add(m_tokens.at(id)); });
        out += ",\n\"positions\":";
        each(out, m_positions, [](json_list& list, const auto& p) { list.add(p.position); });
        out += ",\n\"saturation\":";
        each(out, m_positions,
             [](json_list& list, const auto& p) { list.add(p.saturation_layer); });
        if (m_positions.front().exit_layer) {
            out += ",\n\"exits\":";
            each(out, m_positions,
                 [](json_list& list, const auto& p) { list.add(p.exit_layer.value_or(0)); });
        }
        out += ",\n\"vectors\":";
        each(out, m_vectors, [&](json_list& list, const auto& v) { write_vector(list.next(), v); });
        out += ",\n\"cells\":";
        each(out, m_positions, [&](json_list& list, const traced_position& p) {
            each(list.next() += '\n', p.layers,
                 [&](json_list& cells, const traced_layer& l) { write_cell(cells.next(), l); });
        });
        return out + "}";
    }

private:
    struct vector {
        neuron where;
        float norm;
        const token_ends* ends;
    };

    template <class Range, class Write>
    static void each(std::string& out, const Range& range, Write write) {
        json_list list(out);
        for (const auto& one : range) { write(list, one); }
    }
    void count(std::span<const scored> tokens) {
        for (const scored& s : tokens) { ++m_tokens[s.id]; }
    }
    [[nodiscard]] auto updates(const traced_layer& l) const {
        return std::span(l.sub_updates).first(std::min(m_sub_updates, l.sub_updates.size()));
    }
    void count(const traced_layer& l) {
        count(first_of(l.before.top, m_top));
        count(first_of(l.after.top, m_top));
        for (const traced_sub_update& s : updates(l)) {
            const neuron where{l.layer, s.observed.index};
            if (!m_numbers.emplace(where, m_vectors.size()).second) { continue; }
            m_vectors.push_back({where, s.observed.norm, s.concept_of_value.get()});
            count(first_of(s.concept_of_value->promotes, m_top));
            count(first_of(s.concept_of_value->suppresses, m_top));
        }
    }
    void write_vector(std::string& out, const vector& v) const {
        json_list list(out);
        list.add(v.where.layer);
        list.add(v.where.index);
        list.add(v.norm);
        for (const auto* end : {&v.ends->promotes, &v.ends->suppresses}) {
            each(list.next(), first_of(*end, m_top),
                 [&](json_list& ids, const scored& s) { ids.add(m_tokens.at(s.id)); });
        }
    }
    void write_cell(std::string& out, const traced_layer& l) const {
        json_list list(out);
        for (const reading* r : {&l.before, &l.after}) {
            each(list.next(), first_of(r->top, m_top), [&](json_list& pairs, const scored& s) {
                pairs.add(m_tokens.at(s.id));
                pairs.add_probability(r->probability(s));
            });
        }
        each(list.next(), updates(l), [&](json_list& pairs, const traced_sub_update& s) {
            pairs.add(m_numbers.at({l.layer, s.observed.index}));
            pairs.add(s.observed.coefficient);
        });
    }

    std::span<const traced_position> m_positions;
    std::span<const token_id> m_prompt;
    std::size_t m_top;
    std::size_t m_sub_updates;
    std::unordered_map<token_id, std::size_t> m_tokens;  // how often; then its number in the table
    std::vector<std::pair<token_id, std::size_t>> m_order;
    std::map<neuron, std::size_t> m_numbers;
    std::vector<vector> m_vectors;
};

}  // namespace xlens::detail
