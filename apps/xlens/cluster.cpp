// SPDX-License-Identifier: BSD-3-Clause
#include "cells.hpp"
#include "engine.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "subcommands.hpp"
#include "table_line.hpp"
#include "trace_header.hpp"

#include <xlens/concepts/cluster_values.hpp>
#include <xlens/concepts/clusters_json.hpp>
#include <xlens/core/error.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/storage/atomic_file.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace xlens::program {

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20U;

struct cluster_flags {
    common_flags common;
    std::optional<std::size_t> clusters;
    std::optional<std::string> path;
    std::string method;
    std::string space;
    std::string form;
    std::optional<std::size_t> sample;
    std::size_t seed = 0;
    std::size_t rounds = 100;
    std::optional<float> tolerance;
    std::size_t memory = 1024;
    std::size_t top = 10;
    std::size_t limit = 40;
    bool shuffle = false;

    [[nodiscard]] cluster_options options() const {
        if (!clusters) { fail("-k: expected a number of clusters, got nothing"); }
        cluster_options out;
        out.method = parse_cluster_method(method);
        out.space = parse_cluster_space(space);
        out.form = parse_projection(form);
        out.clusters = *clusters;
        out.seed = seed;
        out.sample = sample.value_or(0);
        out.top = top;
        out.shuffle = shuffle;
        out.k_means.rounds = rounds;
        out.k_means.tolerance = double{tolerance.value_or(1e-5F)};
        if (out.k_means.tolerance < 0.0) {
            fail("--tolerance: expected at least 0, got {}", out.k_means.tolerance);
        }
        out.linkage.memory = memory * mebibyte;
        return out;
    }
};

std::string document_of(const engine& model, const cluster_report& report) {
    const auto shuffled = [&](xlens::json_writer& out) {
        if (!report.shuffled) { return; }
        out.key("shuffled");
        out.begin_object();
        write_quality(out, *report.shuffled);
        out.end_object();
    };
    return json_text(
        report.found, [&](token_id id) { return model.token_text(id); }, shuffled);
}

void print_quality(const char* name, const cluster_quality& quality) {
    table_line()
        .cell(name, 12)
        .right(fmt::format("{:.1f}", quality.inertia), 12)
        .right(fmt::format("{:.4f}", quality.cohesion), 14)
        .print();
}

void print_summary(const cluster_flags& flags, const cluster_report& report) {
    const clusters& found = report.found;
    table_line heading;
    heading.put(fmt::format("{} clusters", found.count()), style::bold);
    heading.put(fmt::format(" of {} value vectors, {}, {} space, {} projection", found.neurons(),
                            flags.method == "kmeans" ? "spherical k-means" : "complete linkage",
                            flags.space, flags.form),
                style::dim);
    heading.print();
    if (found.origin().method == cluster_method::k_means) {
        table_line()
            .put(fmt::format("seed {}, {} rounds{}", flags.seed, report.rounds,
                             report.settled ? "" : ", not settled: --rounds allows more"),
                 style::dim)
            .print();
    }
    if (report.without_direction > 0) {
        table_line()
            .put(fmt::format("{} value vectors are zero or not finite, and in no cluster",
                             report.without_direction),
                 style::bad)
            .print();
    }
    table_line line;
    line.to(12).right("Σ(1 - cos)", 12, style::dim).right("mean cosine", 14, style::dim);
    line.put("  to the cluster's centroid", style::dim).print();
    print_quality("clusters", found.quality());
    if (report.shuffled) { print_quality("shuffled", *report.shuffled); }
}

std::string layers_of(std::span<const neuron> neurons) {
    const std::size_t first = neurons.front().layer;
    const std::size_t last = neurons.back().layer;
    return first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
}

/// As many tokens as fit, up to a column.
void put_tokens(table_line& line, const engine& model, std::span<const scored> tokens,
                std::size_t end, style s) {
    for (const scored& token : tokens) {
        const std::string label = token_label(model, token.id) + ' ';
        if (columns(label) > line.left(end)) { break; }
        line.put(label, s);
    }
}

void print_clusters(const engine& model, const cluster_report& report, std::size_t limit) {
    constexpr std::size_t suppressed = 74;
    table_line head;
    head.right("id", 5, style::dim).right("size", 7, style::dim).right("cosine", 8, style::dim);
    head.put("  ").cell("layers", 8, style::dim).put("promotes", style::good);
    head.to(suppressed).put("suppresses", style::negative).print();
    const auto all = report.found.all();
    for (std::size_t id = 0; id < std::min(limit, all.size()); ++id) {
        const cluster& c = all[id];
        table_line line;
        line.right(std::to_string(id), 5, style::bold);
        line.right(std::to_string(c.neurons.size()), 7);
        line.right(fmt::format("{:.3f}", c.cohesion), 8);
        line.put("  ").cell(layers_of(c.neurons), 8, style::dim);
        put_tokens(line, model, c.concept_of_centroid.promotes, suppressed, style::plain);
        line.to(suppressed);
        put_tokens(line, model, c.concept_of_centroid.suppresses, page_width, style::dim);
        line.print();
    }
    if (all.size() > limit) {
        table_line()
            .put(fmt::format("{} more: --limit shows them, -o writes them", all.size() - limit),
                 style::dim)
            .print();
    }
}

void run(const cluster_flags& flags) {
    const cluster_options options = flags.options();
    const engine model(flags.common);
    std::optional<atomic_file> file;
    if (flags.path) { file.emplace(*flags.path); }  // refused now, not after the work
    const cluster_report report = [&] {
        progress_bar bar("cluster");
        return model.cluster(options, std::ref(bar));
    }();
    if (file || flags.common.json) {
        const std::string text = document_of(model, report);
        if (file) {
            file->write(std::as_bytes(std::span(text)));
            file->commit();
        }
        if (flags.common.json) { std::fwrite(text.data(), 1, text.size(), stdout); }
    }
    if (!flags.common.json) {
        print_summary(flags, report);
        print_clusters(model, report, flags.limit);
    }
    note(fmt::format("{}, seed {}", model.manifest(), flags.seed));
}

}  // namespace

void add_cluster(command_line& program) {
    constexpr std::size_t most = 100'000'000;
    const auto flags = std::make_shared<cluster_flags>();
    arguments a = program.add("cluster", "Group value vectors that point in similar directions",
                              "xlens cluster default -k 200 --shuffle -o default.clusters.json",
                              [flags] { run(*flags); });
    flags->common.declare(a);
    a.whole("-k", flags->clusters, 1, most, "Clusters to make");
    a.text("-o", flags->path, "FILE", "File to write them to, as JSON");
    a.choice("--method", flags->method, {"kmeans", "complete"},
             "Spherical k-means, or complete linkage on cosine distance");
    a.choice("--space", flags->space, {"raw", "projected", "centred"},
             "Cosines of v; of projections; of those less their mean");
    a.choice("--projection", flags->form, {"folded", "raw", "normed"},
             "How v is read: with the final norm's gain, as it is, or normed");
    a.whole("--sample", flags->sample, 1, most, "Take this many value vectors at random (all)");
    a.whole("--seed", flags->seed, 0, std::numeric_limits<std::size_t>::max(),
            "Of the first centroids, the sample and the shuffle");
    a.whole("--rounds", flags->rounds, 0, 1'000'000, "Most rounds of k-means");
    a.number("--tolerance", flags->tolerance,
             "K-means ends when a round takes less than this share off Σ(1 - cos) (1e-5)");
    a.whole("--memory", flags->memory, 1, most, "Most MiB for the distances of complete linkage");
    a.flag("--shuffle", flags->shuffle,
           "Do the same to vectors with shuffled components, for comparison");
    a.whole("--top", flags->top, 1, most, "Tokens of each end of a concept");
    a.whole("--limit", flags->limit, 0, most, "Clusters that the table shows");
}

}  // namespace xlens::program
