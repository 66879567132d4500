// SPDX-License-Identifier: BSD-3-Clause
#include "output/clusters.hpp"

#include "output/cells.hpp"
#include "output/names.hpp"
#include "output/run_record.hpp"
#include "output/table_line.hpp"

#include <xlens/concepts/cluster_values.hpp>
#include <xlens/concepts/clusters_json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>

namespace xlens::program {

namespace {

void print_quality(const char* name, const cluster_quality& quality) {
    table_line()
        .cell(name, 12)
        .right(fmt::format("{:.1f}", quality.inertia), 12)
        .right(fmt::format("{:.4f}", quality.cohesion), 14)
        .print();
}

void print_summary(const cluster_report& report) {
    const clusters& found = report.found;
    const clusters_origin& origin = found.origin();
    table_line heading;
    heading.put(fmt::format("{} clusters", found.count()), style::bold);
    heading.put(fmt::format(" of {} value vectors, {}, {} space, {} projection", found.neurons(),
                            origin.method == cluster_method::k_means ? "spherical k-means"
                                                                     : "complete linkage",
                            name_of(origin.space), name_of(origin.form)),
                style::dim);
    heading.print();
    if (origin.method == cluster_method::k_means) {
        table_line()
            .put(fmt::format("seed {}, {} rounds{}", origin.seed, report.rounds,
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

void print_table(const engine& model, const cluster_report& report, std::size_t limit) {
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

}  // namespace

std::string clusters_document(const engine& model, const cluster_report& report,
                              const run_record& run) {
    const auto more = [&](xlens::json_writer& out) {
        if (report.shuffled) {
            out.key("shuffled");
            out.begin_object();
            write_quality(out, *report.shuffled);
            out.end_object();
        }
        write_run(out, run);
    };
    return json_text(
        report.found, [&](token_id id) { return model.token_text(id); }, more);
}

void print_clusters(const engine& model, const cluster_report& report, std::size_t limit) {
    print_summary(report);
    print_table(model, report, limit);
}

}  // namespace xlens::program
