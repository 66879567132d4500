// SPDX-License-Identifier: BSD-3-Clause
#include "search_query.hpp"

#include "cells.hpp"
#include "flags.hpp"
#include "table_line.hpp"
#include "trace_header.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/text/find_tokens.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace xlens::program {

namespace {

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> out;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        out.push_back(text.substr(at, comma - at));
        at = comma + 1;
    }
    return out;
}

void keep_each_once(std::vector<token_id>& tokens) {
    std::ranges::sort(tokens);
    const auto same = std::ranges::unique(tokens);
    tokens.erase(same.begin(), same.end());
}

void print_list(const engine& model, const std::string& name, const std::vector<token_id>& tokens,
                const std::string& remark) {
    // Nobody reads more of a pattern's tokens in a table; --json has them all.
    constexpr std::size_t most_lines = 12;
    constexpr std::size_t indent = 15;
    table_line line;
    line.cell(cut(visible(name), indent - 2), indent, style::bold);
    if (!remark.empty()) { line.put(remark, style::dim); }
    std::size_t lines = 1;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const std::string label = token_label(model, tokens[i]);
        if (line.left(page_width) <= columns(label) && line.column() > indent) {
            line.print();
            if (++lines > most_lines) {
                table_line()
                    .to(indent)
                    .put(fmt::format("… and {} more", tokens.size() - i), style::dim)
                    .print();
                return;
            }
            line = table_line();
            line.to(indent);
        }
        line.put(label).put(" ");
    }
    line.print();
}

void write_token(json_writer& out, const engine& model, token_id id) {
    out.begin_object();
    out.field("id", id);
    out.field("text", model.token_text(id));
    out.end_object();
}

void read_words(const engine& model, const std::string& list, search_query& to) {
    for (word_tokens& one : find_words(model.text(), split(list))) {
        to.tokens.insert(to.tokens.end(), one.tokens.begin(), one.tokens.end());
        to.words.push_back({std::move(one.word), std::move(one.tokens), one.pieces});
    }
}

void read_pattern(const engine& model, const std::string& pattern, search_query& to) {
    to.pattern = pattern;
    to.tokens = find_pattern(model.text(), regex(pattern, "--regex"));
    if (to.tokens.empty()) {
        fail("--regex: expected a pattern of at least 1 token, got '{}', which matches none",
             printable(pattern));
    }
}

}  // namespace

void query_flags::declare(arguments& to) {
    to.text("--words", words, "A,B,C",
            "Words: tokens that are one, in any case, with a space before it or not");
    to.text("--regex", pattern, "R", "Tokens in which a regular expression (PCRE2) matches");
    to.text("--ids", ids, "1,2,3", "Token ids");
    to.text("--like", like, "L:I", "A neuron: those whose vectors are like its value vector");
}

void query_flags::check() const {
    const int given = (words ? 1 : 0) + (pattern ? 1 : 0) + (ids ? 1 : 0) + (like ? 1 : 0);
    if (given != 1) {
        fail("--words, --regex, --ids, --like: expected one of them, got {}",
             given == 0 ? "none" : std::to_string(given));
    }
    if (like) { static_cast<void>(parse_neuron(*like, "--like")); }
    if (ids) { static_cast<void>(parse_ids(*ids)); }
    if (pattern) { static_cast<void>(regex(*pattern, "--regex")); }
}

search_query query_flags::read(const engine& model) const {
    search_query out;
    if (like) { out.like = parse_neuron(*like, "--like"); }
    if (ids) { out.tokens = model.read({.ids = ids}); }
    if (words) { read_words(model, *words, out); }
    if (pattern) { read_pattern(model, *pattern, out); }
    keep_each_once(out.tokens);
    return out;
}

void write_query(json_writer& out, const engine& model, const search_query& query) {
    out.key("query");
    out.begin_object();
    if (query.like) { out.field("like", to_string(*query.like)); }
    if (query.pattern) { out.field("regex", replace_invalid(*query.pattern)); }
    if (!query.words.empty()) {
        out.key("words");
        out.begin_array();
        for (const search_query::word& one : query.words) {
            out.begin_object();
            out.field("word", one.text);
            out.field("pieces", one.pieces);
            out.key("ids");
            out.begin_array();
            for (const token_id id : one.tokens) { out.value(id); }
            out.end_array();
            out.end_object();
        }
        out.end_array();
    }
    out.key("tokens");
    out.begin_array();
    for (const token_id id : query.tokens) { write_token(out, model, id); }
    out.end_array();
    out.end_object();
}

void print_query(const engine& model, const search_query& query) {
    if (query.like) {
        table_line().cell("like", 15, style::bold).put(to_string(*query.like)).print();
    }
    for (const search_query::word& one : query.words) {
        print_list(model, one.text, one.tokens, one.pieces ? "(no token; its pieces) " : "");
    }
    if (query.words.empty() && !query.like) {
        print_list(
            model,
            fmt::format("{} token{}", query.tokens.size(), query.tokens.size() == 1 ? "" : "s"),
            query.tokens, "");
    }
}

}  // namespace xlens::program
