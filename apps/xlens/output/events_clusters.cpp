// SPDX-License-Identifier: BSD-3-Clause
#include "output/cells.hpp"
#include "output/events_view.hpp"
#include "output/names.hpp"
#include "output/table_line.hpp"
#include "output/token_json.hpp"

#include <xlens/concepts/clusters.hpp>
#include <xlens/events/functional_clusters.hpp>
#include <xlens/events/functional_rows.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

// What clusters of value vectors have to do with extreme scores.

namespace xlens::program {

namespace {

void write_cluster(json_writer& out, const engine& model, const functional_cluster& c,
                   const cluster& from) {
    out.begin_object();
    out.field("id", c.id);
    out.field("size", c.size);
    out.field("functional_members", c.functional_members);
    out.field("dominant", c.dominant);
    out.field("in_extreme", c.in_extreme);
    out.field("extremes_promoting", c.promotes);
    out.field("extremes_suppressing", c.suppresses);
    out.key("layers");
    out.begin_array();
    for (std::size_t l = 0; l < c.by_layer.size(); ++l) {
        if (c.by_layer[l] == 0) { continue; }
        out.begin_object();
        out.field("layer", l);
        out.field("members", c.by_layer[l]);
        out.end_object();
    }
    out.end_array();
    write_ends(out, model, from.concept_of_centroid);
    out.end_object();
}

}  // namespace

void write_share(json_writer& out, std::string_view name, const functional_share& share) {
    out.key(name);
    out.begin_object();
    out.field("groups", share.groups);
    out.field("groups_margin", share.groups_margin);
    out.field("vectors", share.vectors);
    out.field("vectors_margin", share.vectors_margin);
    out.end_object();
}

std::string share_text(double share, double margin) {
    if (std::isnan(margin)) { return fmt::format("{:.2f} %", 100.0 * share); }
    return fmt::format("{:.2f} ± {:.2f} %", 100.0 * share, 100.0 * margin);
}

void write_functional_clusters(json_writer& out, const events_view& view,
                               const counted_clusters& found) {
    const functional_clusters& f = found.functional;
    const clusters_origin& origin = found.of.origin();
    out.begin_object();
    out.field("method", name_of(origin.method));
    out.field("space", name_of(origin.space));
    out.field("projection", name_of(origin.form));
    out.field("clusters", f.clusters);
    out.field("vectors", f.vectors);
    out.field("any", f.ranked.size());
    out.field("half", f.half);
    out.field("half_vectors", f.half_vectors);
    out.field("nine_tenths", f.nine_tenths);
    out.field("nine_tenths_vectors", f.nine_tenths_vectors);
    out.field("often", f.often);
    write_share(out, "own", f.own);
    write_share(out, "active", f.active);
    write_share(out, "shuffled", f.shuffled);
    out.key("layers");
    out.begin_array();
    for (std::size_t l = 0; l < f.by_layer.size(); ++l) {
        out.begin_object();
        out.field("layer", l);
        out.field("members", f.by_layer[l]);
        out.end_object();
    }
    out.end_array();
    out.key("often_clusters");
    out.begin_array();
    for (std::size_t i = 0; i < f.often; ++i) {
        write_cluster(out, view.model, f.ranked[i], found.of.all()[f.ranked[i].id]);
    }
    out.end_array();
    out.end_object();
}

void print_functional_clusters(const events_view& view, const counted_clusters& found) {
    const functional_clusters& f = found.functional;
    table_line()
        .cell("by cluster", 22, style::bold)
        .put(fmt::format("{} clusters of {} value vectors, {}, {} space", f.clusters, f.vectors,
                         name_of(found.of.origin().method), name_of(found.of.origin().space)),
             style::dim)
        .print();
    table_line()
        .put(
            fmt::format("  {} clusters of {} value vectors give half of them, {} of {} nine tenths",
                        f.half, f.half_vectors, f.nine_tenths, f.nine_tenths_vectors))
        .print();
    table_line()
        .put(fmt::format("  {} clusters at 1 in {} a member: {} of clusters, {} of value vectors",
                         f.often, functional_rarest, share_text(f.own.groups, f.own.groups_margin),
                         share_text(f.own.vectors, f.own.vectors_margin)))
        .print();
    table_line()
        .put(fmt::format("  in random clusters of these sizes: {} of clusters, {} of value vectors",
                         share_text(f.shuffled.groups, f.shuffled.groups_margin),
                         share_text(f.shuffled.vectors, f.shuffled.vectors_margin)))
        .print();
    constexpr std::size_t shown = 10;
    table_line()
        .put("  ")
        .right("cluster", 7, style::dim)
        .right("size", 6, style::dim)
        .right("layers", 8, style::dim)
        .right("extremes", 16, style::dim)
        .put("  promotes", style::dim)
        .print();
    for (std::size_t i = 0; i < std::min(f.often, shown); ++i) {
        const functional_cluster& c = f.ranked[i];
        table_line line;
        line.put("  ").right(std::to_string(c.id), 7, style::accent);
        line.right(std::to_string(c.size), 6).right(layers_text(c.by_layer), 8);
        line.right(fmt::format("+{} -{}", c.promotes, c.suppresses), 16).put("  ");
        for (const scored& token : found.of.all()[c.id].concept_of_centroid.promotes) {
            const std::string label = token_label(view.model, token.id) + ' ';
            if (columns(label) > line.left(page_width)) { break; }
            line.put(label);
        }
        line.print();
    }
}

}  // namespace xlens::program
