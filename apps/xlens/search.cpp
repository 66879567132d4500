// SPDX-License-Identifier: BSD-3-Clause
#include "search.hpp"

#include "cells.hpp"
#include "engine.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "search_query.hpp"
#include "subcommands.hpp"
#include "table_line.hpp"
#include "token_json.hpp"
#include "trace_header.hpp"

#include <xlens/core/neuron.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>

namespace xlens::program {

namespace {

struct search_flags {
    common_flags common;
    query_flags query;
    search_request request;
    std::optional<std::string> scale;
    bool suppresses = false;
    bool either = false;
    std::optional<std::string> seed;
};

void write_search(const engine& model, const search_query& query, const search_request& request,
                  const search_answer& found) {
    json_writer out;
    out.begin_object();
    write_query(out, model, query);
    out.field("side", request.side);
    out.field("projection", request.form);
    out.field("normalise", request.scale);
    out.field("end", request.end);
    if (found.random_vectors > 0) {
        out.key("control");
        out.begin_object();
        out.field("vectors", found.random_vectors);
        out.field("seed", request.seed);
        out.field("best", found.random_best);
        out.end_object();
    }
    out.key("hits");
    out.begin_array();
    for (const search_answer::hit& hit : found.hits) {
        out.begin_object();
        out.field("neuron", to_string(hit.where));
        out.field("score", hit.score);
        out.field("norm", hit.norm);
        if (hit.random_share) { out.field("random_share", *hit.random_share); }
        write_ends(out, model, hit.ends);
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

/// "0.31%"; of n random vectors none: "0/n" would be long, so "0".
std::string share(double part) {
    if (part == 0.0) { return "0"; }
    return part < 1e-4 ? "<.01%" : fmt::format("{:.2g}%", 100.0 * part);
}

std::string score_name(const search_query& query, const search_request& request) {
    const bool spread = request.scale == "spread";
    if (query.like) {
        if (spread) { return "correlation over the vocabulary"; }
        return request.scale == "norm" ? "cosine" : "product";
    }
    const std::string mean = fmt::format("mean over {} token{}", query.tokens.size(),
                                         query.tokens.size() == 1 ? "" : "s");
    if (spread) { return mean + ", as a z-score"; }
    return request.scale == "norm" ? mean + " / norm" : mean;
}

void print_tokens(table_line& line, const engine& model, const std::vector<scored>& tokens,
                  std::size_t end, style s) {
    for (const scored& token : tokens) {
        const std::string label = token_label(model, token.id);
        if (line.left(end) <= columns(label)) { break; }
        line.put(label, s).put(" ");
    }
}

void print_search(const engine& model, const search_query& query, const search_request& request,
                  const search_answer& found) {
    print_query(model, query);
    table_line what;
    what.put(
        fmt::format("{} {} vectors, {} projection",
                    model.config().layers * model.config().inner_width, request.side, request.form),
        style::bold);
    what.put("; score: " + score_name(query, request), style::dim).print();
    if (found.random_vectors > 0) {
        table_line()
            .put(fmt::format("best of {} random vectors like them: {:.3f}; random: those that "
                             "score as high as a hit",
                             found.random_vectors, found.random_best),
                 style::dim)
            .print();
    }
    constexpr std::size_t left = 27;
    constexpr std::size_t half = left + (page_width - left) / 2;
    table_line()
        .put(" neuron       score random  ", style::dim)
        .cell("promotes", half - left - 1, style::good)
        .put("suppresses", style::negative)
        .print();
    for (const search_answer::hit& hit : found.hits) {
        table_line line;
        line.put(" ").cell(to_string(hit.where), 9, style::bold);
        line.right(fmt::format("{:+.3f}", hit.score), 9, style::plain);
        line.right(hit.random_share ? share(*hit.random_share) : "", 7, style::dim).put("  ");
        // The end where the tokens that were looked for stand is the bright one.
        print_tokens(line, model, hit.ends.promotes, half - 1,
                     hit.score < 0.0F ? style::dim : style::plain);
        line.to(half);
        print_tokens(line, model, hit.ends.suppresses, page_width,
                     hit.score < 0.0F ? style::plain : style::dim);
        line.print();
    }
}

void run(search_flags flags) {
    flags.query.check();
    search_request& request = flags.request;
    if (flags.suppresses && flags.either) {
        fail("--suppresses, --either: expected one of the two, got both");
    }
    request.end = flags.either ? "either" : flags.suppresses ? "suppresses" : "promotes";
    request.scale = flags.scale.value_or(flags.query.like ? "norm" : "none");
    if (flags.seed) {
        request.seed =
            parse_whole("--seed", *flags.seed, 0, std::numeric_limits<std::uint64_t>::max());
    }
    const engine model(flags.common);
    const search_query query = flags.query.read(model);
    request.tokens = query.tokens;
    request.like = query.like;
    const search_answer found = [&] {
        progress_bar bar("control");
        return model.search(request, std::ref(bar));
    }();
    note(fmt::format("{}, seed {}", model.manifest(), request.seed));
    if (flags.common.json) {
        write_search(model, query, request, found);
    } else {
        print_search(model, query, request, found);
    }
}

}  // namespace

void add_search(command_line& program) {
    constexpr std::size_t most = 10'000'000;
    constexpr std::size_t most_random = 1'000'000;
    const auto flags = std::make_shared<search_flags>();
    arguments a = program.add("search", "Find the neurons that promote some words, in all layers",
                              "xlens search default --words \"red,green,blue\" --either",
                              [flags] { run(*flags); });
    search_request& request = flags->request;
    flags->common.declare(a);
    flags->query.declare(a);
    a.whole("--limit", request.limit, 1, most, "Neurons to show");
    a.flag("--suppresses", flags->suppresses, "Those with the lowest scores instead");
    a.flag("--either", flags->either, "Those farthest from zero: m < 0 turns a vector around");
    a.choice("--side", request.side, {"value", "key", "gate", "up"},
             "What neurons write, or what they read by");
    a.choice("--normalise", flags->scale, {"none", "norm", "spread"},
             "Divide by the norm, or the spread over the vocabulary (--like: norm)");
    a.choice("--projection", request.form, {"folded", "raw"},
             "How vectors are read: with the norm's gain, or as they are");
    a.whole("--top", request.top, 1, most, "Tokens of each end of a neuron");
    a.text("--index", request.index, "FILE", "Read these from a file that xlens index made");
    a.whole("--control", request.control, 0, most_random,
            "Random vectors a layer to compare with (as many as neurons)");
    a.text("--seed", flags->seed, "N", "Seed of the random vectors (0)");
}

}  // namespace xlens::program
