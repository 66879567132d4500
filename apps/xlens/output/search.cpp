// SPDX-License-Identifier: BSD-3-Clause
#include "output/search.hpp"

#include "output/cells.hpp"
#include "output/json_writer.hpp"
#include "output/names.hpp"
#include "output/sae.hpp"
#include "output/table_line.hpp"
#include "output/token_json.hpp"

#include <xlens/concepts/search_neurons.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/sae/search_features.hpp>
#include <xlens/text/utf8.hpp>
#include <xlens/text/visible.hpp>

#include <fmt/format.h>

#include <algorithm>
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

/// What was asked for.
struct searched {
    const engine& model;
    const search_query& query;
    const search_words& asked;

    [[nodiscard]] bool for_something() const { return query.like || !query.tokens.empty(); }
};

template <class Where>
void write_hits(json_writer& out, const searched& what, const found_vectors<Where>& found,
                const auto& write_where) {
    out.field("projection", what.asked.form);
    if (what.for_something()) {
        out.field("normalise", what.asked.scale);
        out.field("end", what.asked.end);
    }
    out.field("rank", what.asked.rank);
    if (what.for_something() && what.asked.rank == "kurtosis") {
        out.field("among", what.asked.among);
    }
    if (found.random_vectors > 0) {
        out.key("control");
        out.begin_object();
        out.field("vectors", found.random_vectors);
        out.field("seed", what.asked.seed);
        out.field("best", found.random_best);
        out.end_object();
    }
    out.key("hits");
    out.begin_array();
    for (const auto& hit : found.hits) {
        out.begin_object();
        write_where(hit.where);
        if (what.for_something()) { out.field("score", hit.score); }
        out.field("norm", hit.norm);
        out.field("kurtosis", hit.kurtosis);
        if (hit.random_share) { out.field("random_share", *hit.random_share); }
        write_ends(out, what.model, hit.ends);
        out.end_object();
    }
    out.end_array();
}

/// `vectors`: "46080 value vectors"; `count`: how many these are.
template <class Where>
void print_head(const searched& what, const std::string& vectors, std::size_t count,
                const found_vectors<Where>& found) {
    if (what.for_something()) { print_query(what.model, what.query); }
    table_line head;
    head.put(fmt::format("{}, {} projection", vectors, what.asked.form), style::bold);
    if (what.for_something()) {
        head.put("; score: " + score_name(what.query, what.asked), style::dim);
    }
    head.print();
    if (what.asked.rank == "kurtosis") {
        const std::size_t among = std::min(std::max(what.asked.among, found.hits.size()), count);
        table_line()
            .put(what.for_something() && among < count
                     ? fmt::format("by kurtosis, of the {} with the best scores", among)
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
}

template <class Where>
void print_hits(const searched& what, const std::string& name, const found_vectors<Where>& found,
                const auto& text_of) {
    constexpr std::size_t left = 33;
    constexpr std::size_t half = left + (page_width - left) / 2;
    table_line()
        .put(fmt::format(" {:<8}     score random  kurt  ", name), style::dim)
        .cell("promotes", half - left - 1, style::good)
        .put("suppresses", style::negative)
        .print();
    for (const auto& hit : found.hits) {
        table_line line;
        line.put(" ").cell(text_of(hit.where), 9, style::bold);
        line.right(what.for_something() ? fmt::format("{:+.3f}", hit.score) : "", 9, style::plain);
        line.right(hit.random_share ? random_share(*hit.random_share) : "", 7, style::dim);
        line.right(fmt::format("{:.2g}", hit.kurtosis), 6, style::dim).put("  ");
        // The end where the tokens that were looked for stand is the bright one.
        print_tokens(line, what.model, hit.ends.promotes, half - 1,
                     hit.score < 0.0F ? style::dim : style::plain);
        line.to(half);
        print_tokens(line, what.model, hit.ends.suppresses, page_width,
                     hit.score < 0.0F ? style::plain : style::dim);
        line.print();
    }
}

}  // namespace

void write_search(json_writer& out, const engine& model, const search_query& query,
                  const search_words& asked, const search_report& found) {
    const searched what{model, query, asked};
    out.begin_object();
    if (what.for_something()) { write_query(out, model, query); }
    out.field("side", asked.side);
    write_hits(out, what, found,
               [&](const neuron& where) { out.field("neuron", to_string(where)); });
    out.end_object();
}

void print_search(const engine& model, const search_query& query, const search_words& asked,
                  const search_report& found) {
    const searched what{model, query, asked};
    const std::size_t vectors = model.config().layers * model.config().inner_width;
    print_head(what, fmt::format("{} {} vectors", vectors, asked.side), vectors, found);
    print_hits(what, "neuron", found, [](const neuron& where) { return to_string(where); });
}

void write_search(json_writer& out, const engine& model, const sparse_autoencoder& sae,
                  const search_query& query, const search_words& asked,
                  const feature_report& found) {
    const searched what{model, query, asked};
    out.begin_object();
    if (what.for_something()) { write_query(out, model, query); }
    write_sae(out, sae);
    write_hits(out, what, found, [&](std::size_t feature) { out.field("feature", feature); });
    out.end_object();
}

void print_search(const engine& model, const sparse_autoencoder& sae, const search_query& query,
                  const search_words& asked, const feature_report& found) {
    const searched what{model, query, asked};
    print_head(what, sae_text(sae), sae.features(), found);
    print_hits(what, "feature", found, [](std::size_t feature) { return std::to_string(feature); });
}

}  // namespace xlens::program
