// SPDX-License-Identifier: BSD-3-Clause
#include "output/search.hpp"

#include "output/cells.hpp"
#include "output/json_writer.hpp"
#include "output/names.hpp"
#include "output/table_line.hpp"
#include "output/token_json.hpp"

#include <xlens/concepts/search_neurons.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/sae/find_features.hpp>
#include <xlens/text/utf8.hpp>
#include <xlens/text/visible.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <vector>

namespace xlens::program {

namespace {

/// "query": {"words", "regex", "like" (those that apply), "tokens"}.
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

/// Every token that is searched for, by name.
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

/// "0.31%"; of n random vectors none: "0/n" would be long, so "0".
std::string random_share(double part) {
    if (part == 0.0) { return "0"; }
    return part < 1e-4 ? "<.01%" : fmt::format("{:.2g}%", 100.0 * part);
}

std::string score_name(const search_query& query, const search_words& asked) {
    const bool spread = asked.scale == "spread";
    if (asked.form == "standard") { return "mean, in deviations of what value vectors score"; }
    if (query.like) {
        if (spread) { return "correlation over the vocabulary"; }
        return asked.scale == "norm" ? "cosine" : "product";
    }
    const std::string mean = fmt::format("mean over {} token{}", query.tokens.size(),
                                         query.tokens.size() == 1 ? "" : "s");
    if (spread) { return mean + ", as a z-score"; }
    return asked.scale == "norm" ? mean + " / norm" : mean;
}

void print_tokens(table_line& line, const engine& model, const std::vector<scored>& tokens,
                  std::size_t end, style s) {
    for (const scored& token : tokens) {
        const std::string label = token_label(model, token.id);
        if (line.left(end) <= columns(label)) { break; }
        line.put(label, s).put(" ");
    }
}

}  // namespace

void write_search(json_writer& out, const engine& model, const search_query& query,
                  const search_words& asked, const search_report& found) {
    const bool asked_for = query.like || !query.tokens.empty();
    out.begin_object();
    if (asked_for) { write_query(out, model, query); }
    out.field("side", asked.side);
    out.field("projection", asked.form);
    if (asked_for) {
        out.field("normalise", asked.scale);
        out.field("end", asked.end);
    }
    out.field("rank", asked.rank);
    if (asked_for && asked.rank == "kurtosis") { out.field("among", asked.among); }
    if (found.random_vectors > 0) {
        out.key("control");
        out.begin_object();
        out.field("vectors", found.random_vectors);
        out.field("seed", asked.seed);
        out.field("best", found.random_best);
        out.end_object();
    }
    out.key("hits");
    out.begin_array();
    for (const search_report::hit& hit : found.hits) {
        out.begin_object();
        out.field("neuron", to_string(hit.where));
        if (asked_for) { out.field("score", hit.score); }
        out.field("norm", hit.norm);
        out.field("kurtosis", hit.kurtosis);
        if (hit.random_share) { out.field("random_share", *hit.random_share); }
        write_ends(out, model, hit.ends);
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

void print_search(const engine& model, const search_query& query, const search_words& asked,
                  const search_report& found) {
    const bool asked_for = query.like || !query.tokens.empty();
    if (asked_for) { print_query(model, query); }
    table_line what;
    what.put(
        fmt::format("{} {} vectors, {} projection",
                    model.config().layers * model.config().inner_width, asked.side, asked.form),
        style::bold);
    if (asked_for) { what.put("; score: " + score_name(query, asked), style::dim); }
    what.print();
    if (asked.rank == "kurtosis") {
        table_line()
            .put(asked_for ? fmt::format("by kurtosis, of the {} with the best scores", asked.among)
                           : std::string("by kurtosis, of all"),
                 style::dim)
            .print();
    }
    if (found.random_vectors > 0) {
        table_line()
            .put(fmt::format("best of {} random vectors like them: {:.3f}; random: those that "
                             "score as high as a hit",
                             found.random_vectors, found.random_best),
                 style::dim)
            .print();
    }
    constexpr std::size_t left = 33;
    constexpr std::size_t half = left + (page_width - left) / 2;
    table_line()
        .put(" neuron       score random  kurt  ", style::dim)
        .cell("promotes", half - left - 1, style::good)
        .put("suppresses", style::negative)
        .print();
    for (const search_report::hit& hit : found.hits) {
        table_line line;
        line.put(" ").cell(to_string(hit.where), 9, style::bold);
        line.right(asked_for ? fmt::format("{:+.3f}", hit.score) : "", 9, style::plain);
        line.right(hit.random_share ? random_share(*hit.random_share) : "", 7, style::dim);
        line.right(fmt::format("{:.2g}", hit.kurtosis), 6, style::dim).put("  ");
        // The end where the tokens that were looked for stand is the bright one.
        print_tokens(line, model, hit.ends.promotes, half - 1,
                     hit.score < 0.0F ? style::dim : style::plain);
        line.to(half);
        print_tokens(line, model, hit.ends.suppresses, page_width,
                     hit.score < 0.0F ? style::plain : style::dim);
        line.print();
    }
}

void write_features(json_writer& out, const engine& model, const search_query& query,
                    std::span<const feature_hit> hits, std::span<const token_ends> ends) {
    out.begin_object();
    write_query(out, model, query);
    out.key("hits");
    out.begin_array();
    for (std::size_t i = 0; i < hits.size(); ++i) {
        out.begin_object();
        out.field("feature", hits[i].feature);
        out.field("score", hits[i].score);
        write_ends(out, model, ends[i]);
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

void print_features(const engine& model, const search_query& query,
                    std::span<const feature_hit> hits, std::span<const token_ends> ends) {
    print_query(model, query);
    constexpr std::size_t left = 22;
    constexpr std::size_t half = left + (page_width - left) / 2;
    table_line()
        .put(" feature      score   ", style::dim)
        .cell("promotes", half - left - 1, style::good)
        .put("suppresses", style::negative)
        .print();
    for (std::size_t i = 0; i < hits.size(); ++i) {
        table_line line;
        line.put(" ").cell(std::to_string(hits[i].feature), 9, style::bold);
        line.right(fmt::format("{:+.3f}", hits[i].score), 9, style::plain).put("  ");
        print_tokens(line, model, ends[i].promotes, half - 1, style::plain);
        line.to(half);
        print_tokens(line, model, ends[i].suppresses, page_width, style::dim);
        line.print();
    }
}

}  // namespace xlens::program
