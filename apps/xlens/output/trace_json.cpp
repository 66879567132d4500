// SPDX-License-Identifier: BSD-3-Clause
#include "output/trace_json.hpp"

#include "output/attribution_json.hpp"
#include "output/json_writer.hpp"
#include "output/token_json.hpp"

#include <xlens/core/neuron.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/trace/attribution.hpp>
#include <xlens/trace/trace.hpp>

#include <cstddef>
#include <map>

namespace xlens::program {

namespace {

void write_layer(json_writer& out, const engine& model, const traced_layer& layer,
                 bool with_concepts) {
    out.begin_object();
    out.field("layer", layer.layer);
    write_reading(out, model, "before", layer.before);
    write_reading(out, model, "after", layer.after);
    out.key("sub_updates");
    out.begin_array();
    for (const traced_sub_update& s : layer.sub_updates) {
        out.begin_object();
        out.field("neuron", to_string(s.where));
        out.field("coefficient", s.coefficient);
        out.field("norm", s.norm);
        out.field("dominance", s.dominance);
        if (with_concepts) { write_ends(out, model, *s.concept_of_value); }
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

/// "concepts": {"L:I": {"promotes", "suppresses"}} of every neuron that the trace names, once.
void write_concepts(json_writer& out, const trace_view& view,
                    std::span<const traced_position> positions) {
    std::map<neuron, const token_ends*> concepts;
    for (const traced_position& position : positions) {
        for (const traced_layer& layer : position.layers) {
            if (!view.shows(layer.layer)) { continue; }
            for (const traced_sub_update& s : layer.sub_updates) {
                concepts[s.where] = s.concept_of_value.get();
            }
        }
    }
    out.key("concepts");
    out.begin_object();
    for (const auto& one : concepts) {
        out.key(to_string(one.first));
        out.begin_object();
        write_ends(out, view.model, *one.second);
        out.end_object();
    }
    out.end_object();
}

}  // namespace

void write_trace(json_writer& out, const trace_view& view,
                 std::span<const traced_position> positions,
                 std::span<const attribution> attributions, concepts_of_rows concepts) {
    const engine& model = view.model;
    const bool in_rows = concepts == concepts_of_rows::each;
    out.begin_object();
    out.key("tokens");
    out.begin_array();
    for (const token_id id : view.tokens) { write_token(out, model, id); }
    out.end_array();
    if (view.form != projection::folded) { out.field("projection", name_of(view.form)); }
    out.key("positions");
    out.begin_array();
    for (std::size_t p = 0; p < positions.size(); ++p) {
        const traced_position& position = positions[p];
        out.begin_object();
        out.field("position", position.position);
        out.key("layers");
        out.begin_array();
        for (const traced_layer& layer : position.layers) {
            if (view.shows(layer.layer)) { write_layer(out, model, layer, in_rows); }
        }
        out.end_array();
        write_reading(out, model, "prediction", position.prediction());
        out.field("saturation_layer", position.saturation_layer);
        if (position.exit_layer) { out.field("exit_layer", *position.exit_layer); }
        if (!attributions.empty()) {
            out.key("attribution");
            write_attribution(out, model, attributions[p]);
        }
        out.end_object();
    }
    out.end_array();
    if (!in_rows) { write_concepts(out, view, positions); }
    out.end_object();
}

}  // namespace xlens::program
