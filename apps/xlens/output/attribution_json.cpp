// SPDX-License-Identifier: BSD-3-Clause
#include "output/attribution_json.hpp"

#include "output/token_json.hpp"

#include <xlens/core/attention_head.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/types.hpp>
#include <xlens/trace/attribution.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace xlens::program {

namespace {

void write_layers(json_writer& out, std::string_view key, const std::vector<float>& layers) {
    out.key(key);
    out.begin_array();
    for (const float x : layers) { out.value(x); }
    out.end_array();
}

void write_biases(json_writer& out, const attribution& a) {
    out.field("bias", a.bias());
    out.key("biases");
    out.begin_object();
    out.field("attention", a.attention_bias);
    out.field("ffn", a.ffn_bias);
    out.field("final_norm", a.final_norm_bias);
    out.field("normaliser", a.normaliser);
    out.end_object();
}

/// [{"layer", "heads": [H], "bias", "gap"}]: what each layer's attention is the sum of.
void write_heads(json_writer& out, const attribution& a) {
    if (a.heads.empty()) { return; }
    out.key("heads");
    out.begin_array();
    for (std::size_t l = 0; l < a.heads.size(); ++l) {
        out.begin_object();
        out.field("layer", l);
        write_layers(out, "heads", a.heads[l].heads);
        out.field("bias", a.heads[l].bias);
        out.field("gap", a.heads[l].gap);
        out.end_object();
    }
    out.end_array();
}

/// {"head", "contribution", "sources": [{"position", "token", "weight", "contribution"}], "gap"}
void write_head(json_writer& out, const engine& model, std::span<const token_id> tokens,
                const attribution& a) {
    if (!a.head) { return; }
    out.key("head");
    out.begin_object();
    out.field("head", to_string(a.head->which));
    out.field("contribution", a.head->contribution);
    out.key("sources");
    out.begin_array();
    for (std::size_t s = 0; s < a.head->sources.size(); ++s) {
        out.begin_object();
        out.field("position", s);
        out.key("token");
        write_token(out, model, tokens[s]);
        out.field("weight", a.head->sources[s].weight);
        out.field("contribution", a.head->sources[s].contribution);
        out.end_object();
    }
    out.end_array();
    out.field("gap", a.head->gap);
    out.end_object();
}

}  // namespace

void write_attribution(json_writer& out, const engine& model, const attribution& a,
                       std::span<const token_id> tokens) {
    out.begin_object();
    out.field("position", a.position);
    out.key("token");
    write_token(out, model, a.token);
    if (a.against) {
        out.key("against");
        write_token(out, model, *a.against);
    }
    out.field("logit", a.logit);
    const float cap = model.config().logit_cap;
    if (cap > 0.0F) { out.field("before_cap", cap); }
    out.field("embedding", a.embedding);
    write_layers(out, "attention", a.attention);
    write_layers(out, "ffn", a.ffn);
    write_biases(out, a);
    out.field("gap", a.gap);
    write_heads(out, a);
    write_head(out, model, tokens, a);
    out.key("sub_updates");
    out.begin_array();
    for (const sub_update_contribution& s : a.sub_updates) {
        out.begin_object();
        out.field("neuron", to_string(s.where));
        out.field("coefficient", s.coefficient);
        out.field("contribution", s.contribution);
        if (s.concept_of_value) { write_ends(out, model, *s.concept_of_value); }
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

}  // namespace xlens::program
