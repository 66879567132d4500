// SPDX-License-Identifier: BSD-3-Clause
#include "output/compare_view.hpp"
#include "output/json_writer.hpp"
#include "output/token_json.hpp"

#include <xlens/core/neuron.hpp>
#include <xlens/text/utf8.hpp>

#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::program {

namespace {

void write_estimate(json_writer& out, std::string_view key, const mean_estimate& e) {
    out.key(key);
    out.begin_object();
    out.field("mean", e.mean);
    out.field("error", e.error);
    out.end_object();
}

void write_position(json_writer& out, const engine& model, const compared_position& p) {
    out.begin_object();
    out.field("predicted", p.predicted);
    out.field("kl", p.kl);
    out.key("read");
    write_token(out, model, p.read);
    if (p.next >= 0) {
        out.key("next");
        write_token(out, model, p.next);
        out.field("probability_a", std::exp(p.log_a));
        out.field("probability_b", std::exp(p.log_b));
    }
    write_reading(out, model, "a", p.a);
    write_reading(out, model, "b", p.b);
    out.end_object();
}

void write_outputs(json_writer& out, const engine& model, const output_difference& o) {
    out.field("positions", o.positions);
    out.key("kl");
    out.begin_object();
    out.field("mean", o.kl.mean);
    out.field("error", o.kl.error);
    out.field("median", o.kl_median);
    out.field("p95", o.kl_95);
    out.field("p99", o.kl_99);
    out.field("max", o.kl_max);
    out.field("max_at", o.kl_max_at);
    out.end_object();
    write_estimate(out, "agreement", o.agreement);
    out.field("log_probability_change", o.log_change);
    out.key("probability_change");
    out.begin_object();
    out.field("mean", o.probability_change.mean);
    out.field("error", o.probability_change.error);
    out.field("rms", o.probability_rms);
    out.end_object();
    out.key("perplexity");
    out.begin_object();
    out.field("a", o.perplexity_a());
    out.field("b", o.perplexity_b());
    out.field("nll_a", o.nll_a);
    out.field("nll_b", o.nll_b);
    out.field("ratio", o.ratio().mean);
    out.field("ratio_error", o.ratio().error);
    out.field("log_ratio", o.log_ratio.mean);
    out.field("log_ratio_error", o.log_ratio.error);
    out.end_object();
    out.key("largest");
    out.begin_array();
    for (const compared_position& p : o.largest) { write_position(out, model, p); }
    out.end_array();
    if (o.end) {
        out.key("end");
        write_position(out, model, *o.end);
    }
}

void write_layer(json_writer& out, std::size_t number, const layer_difference& l) {
    out.begin_object();
    out.field("layer", number);
    out.field("kl", l.kl);
    out.field("agreement", l.agreement);
    out.field("cosine", l.cosine);
    out.field("distance", l.distance);
    out.field("overlap", l.overlap);
    out.field("jaccard", l.jaccard);
    out.field("coefficient_change", l.coefficient_change);
    if (l.values) {
        out.key("values");
        out.begin_object();
        out.field("cosine", l.values->cosine);
        out.field("least", l.values->least);
        out.field("neuron", to_string(neuron{number, l.values->neuron}));
        out.field("promoted", l.values->promoted);
        out.end_object();
    }
    out.end_object();
}

void write_layers(json_writer& out, const compare_view& view) {
    const comparison& found = view.found;
    if (!found.left_out.empty()) { return out.field("left_out", found.left_out); }
    out.key("layers");
    out.begin_array();
    for (std::size_t l = 0; l < found.layers.size(); ++l) { write_layer(out, l, found.layers[l]); }
    out.end_array();
    out.key("saturation");
    out.begin_object();
    out.field("a", found.saturation->a);
    out.field("b", found.saturation->b);
    out.field("shift", found.saturation->shift);
    out.field("unchanged", found.saturation->unchanged);
    out.end_object();
    if (!found.values_left_out.empty()) {
        return out.field("values_left_out", found.values_left_out);
    }
    out.key("values");
    out.begin_array();
    for (const compared_value& v : found.values) {
        out.begin_object();
        out.field("neuron", to_string(v.where));
        out.field("cosine", v.cosine);
        out.field("promoted", v.promoted);
        write_scored(out, view.a, "a", v.a);
        write_scored(out, view.b, "b", v.b);
        out.end_object();
    }
    out.end_array();
}

}  // namespace

void write_comparison(const compare_view& view) {
    json_writer out(record_of(view.a));
    out.begin_object();
    out.field("text", replace_invalid(view.text));
    out.field("tokens", view.tokens.size());
    if (view.window > 0) { out.field("window", view.window); }
    write_outputs(out, view.a, view.found.output);
    write_layers(out, view);
    run_record run_b = record_of(view.b);
    run_b.edits = view.edits;
    write_run(out, run_b, "run_b");
    out.end_object();
}

}  // namespace xlens::program
