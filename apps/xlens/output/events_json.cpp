// SPDX-License-Identifier: BSD-3-Clause
#include "output/events_view.hpp"

#include "output/token_json.hpp"

#include <xlens/core/neuron.hpp>

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace xlens::program {

namespace {

constexpr std::array<std::string_view, 3> summaries{"mean", "max", "min"};

/// {"mean", "margin"}: a mean and half of its 95 % interval.
void write_mean(json_writer& out, std::string_view name, const clustered_mean& m) {
    out.key(name);
    out.begin_object();
    out.field("mean", m.mean());
    out.field("margin", m.margin());
    out.end_object();
}

void write_scores(json_writer& out, const update_means& means, std::size_t row) {
    for (std::size_t g = 0; g < score_groups.size(); ++g) {
        out.key(score_groups[g]);
        out.begin_object();
        for (std::size_t f = 0; f < score_forms.size(); ++f) {
            out.key(score_forms[f]);
            out.begin_object();
            for (std::size_t s = 0; s < summaries.size(); ++s) {
                write_mean(out, summaries[s],
                           means.of(row, update_columns::of(static_cast<score_group>(g),
                                                            static_cast<score_form>(f), s)));
            }
            out.end_object();
        }
        out.end_object();
    }
}

void write_row(json_writer& out, const update_means& means, std::size_t row) {
    out.field("count", means.count(row));
    write_scores(out, means, row);
    write_mean(out, "dominance_share", means.of(row, update_columns::dominance_share));
    write_mean(out, "norm_share", means.of(row, update_columns::norm_share));
    write_mean(out, "whole", means.of(row, update_columns::whole));
    write_mean(out, "whole_centred", means.of(row, update_columns::whole_centred));
    write_mean(out, "other_whole", means.of(row, update_columns::other));
    write_mean(out, "other_whole_centred", means.of(row, update_columns::other_centred));
    write_mean(out, "log_before", means.of(row, update_columns::log_before));
    write_mean(out, "log_after", means.of(row, update_columns::log_after));
    write_mean(out, "log_change", means.of(row, update_columns::log_change));
}

void write_set(json_writer& out, const update_means& means, std::string_view name) {
    out.key(name);
    out.begin_object();
    write_row(out, means, means.layers());
    out.key("layers");
    out.begin_array();
    for (std::size_t l = 0; l < means.layers(); ++l) {
        out.begin_object();
        out.field("layer", l);
        write_row(out, means, l);
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

void write_settled(json_writer& out, const event_statistics& found) {
    out.key("settled");
    out.begin_object();
    out.field("by_ffn", found.settled_counts[0]);
    out.field("by_attention", found.settled_counts[1]);
    out.field("at_the_end", found.settled_counts[2]);
    out.end_object();
    out.key("saturation_layers");
    out.begin_array();
    for (const std::uint64_t n : found.saturation_layers) { out.value(n); }
    out.end_array();
}

void write_functional(json_writer& out, const events_view& view) {
    const functional_vectors& f = view.functional;
    out.key("functional");
    out.begin_object();
    out.field("extreme_updates", f.extreme_updates);
    out.field("promoting", f.promoting);
    out.field("suppressing", f.suppressing);
    out.field("any", f.any);
    out.field("half", f.half);
    out.field("nine_tenths", f.nine_tenths);
    out.field("often", f.often.size());
    write_share(out, "own", f.own);
    write_share(out, "active", f.active);
    out.key("layers");
    out.begin_array();
    for (std::size_t l = 0; l < f.by_layer.size(); ++l) {
        out.begin_object();
        out.field("layer", l);
        out.field("extreme_updates", view.found.extreme_updates[l]);
        out.field("often", f.by_layer[l]);
        out.end_object();
    }
    out.end_array();
    out.key("neurons");
    out.begin_array();
    for (std::size_t i = 0; i < view.concepts.size(); ++i) {
        const functional_vector& v = f.often[i];
        out.begin_object();
        out.field("neuron", to_string(v.where));
        out.field("dominant", v.counts.dominant);
        out.field("extremes_promoting", v.counts.promotes);
        out.field("extremes_suppressing", v.counts.suppresses);
        write_ends(out, view.model, *view.concepts[i]);
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

}  // namespace

void write_events(json_writer& out, const events_view& view) {
    const event_options& o = view.run.options;
    out.begin_object();
    out.field("model", fmt::format("{:016x}", view.run.model));
    out.field("layers", view.found.layers);
    out.field("inner_width", view.found.inner_width);
    out.field("tokens", view.found.tokens);
    out.field("positions", view.found.positions);
    out.field("windows", view.found.windows);
    out.field("skipped", o.skipped);
    out.field("window", o.window);
    out.field("every", o.every);
    out.field("sub_updates", o.sub_updates);
    out.field("seed", o.seed);
    out.field("projection", o.form == projection::raw ? "raw" : "folded");
    out.field("threshold", o.threshold);
    out.field("measured", o.measured);
    write_settled(out, view.found);
    for (std::size_t s = 0; s < update_sets.size(); ++s) {
        write_set(out, view.found.means[s], update_sets[s]);
    }
    write_functional(out, view);
    if (view.by_cluster) {
        out.key("functional_clusters");
        write_functional_clusters(out, view, *view.by_cluster);
    }
    out.end_object();
}

}  // namespace xlens::program
