// SPDX-License-Identifier: BSD-3-Clause
// Every architecture, from safetensors and from GGUF, against transformers (wikilm: torch).
#define BOOST_TEST_MODULE architectures
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/checkpoints.hpp"
#include "support/compare_heads.hpp"
#include "support/golden.hpp"

#include <xlens/generate/generate.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/io/families.hpp>
#include <xlens/reference/attention.hpp>
#include <xlens/trace/attribute.hpp>
#include <xlens/trace/observe.hpp>
#include <xlens/trace/observe_updates.hpp>
#include <xlens/trace/trace.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <span>
#include <string>
#include <vector>

using namespace xlens;
using nlohmann::json;
using xlens::test::checkpoints;
using xlens::test::opened;
namespace data = boost::unit_test::data;

namespace {

/// Logits of all positions of the golden's ids, with these policies.
xt::xtensor<float, 2> all_logits(const opened& o, dynamic_policies& policies) {
    const auto& m = o.model;
    sequence_state state = m.start();
    state.wanted = logit_rows::all;
    m.forward(state, o.ids, policies);
    return state.logits;
}

std::vector<traced_position> traced(const opened& o) {
    const auto& m = o.model;
    return trace(m, std::span<const token_id>(o.ids), {5, 10, observe::positions::last});
}

std::vector<generated> continued(const opened& o, std::size_t count) {
    const auto& m = o.model;
    return generate(m, o.ids, {.count = count}).tokens;
}

/// Logits of all positions, each token read in a pass of its own.
xt::xtensor<float, 2> logits_token_by_token(const opened& o) {
    const auto& m = o.model;
    sequence_state state = m.start();
    xt::xtensor<float, 2> out = xt::empty<float>({o.ids.size(), m.config.vocabulary});
    for (std::size_t t = 0; t < o.ids.size(); ++t) {
        m.forward(state, std::span<const token_id>(&o.ids[t], 1));
        std::copy(state.logits.begin(), state.logits.end(), rows<float>(out)[t].begin());
    }
    return out;
}

void check_logits(const json& expected, const xt::xtensor<float, 2>& logits) {
    for (const json& row : expected) {
        const auto values = row["values"].get<std::vector<float>>();
        const auto found = rows<const float>(logits)[row["position"].get<std::size_t>()];
        BOOST_TEST_INFO("position " << row["position"]);
        BOOST_TEST(xlens::test::max_difference(found, values) <
                   1e-4 * std::max(1.0, xlens::test::largest_magnitude(values)));
    }
}

void check_tokens(const json& expected, const reading& found) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
        BOOST_TEST(found.top[i].id == expected[i]["id"].get<token_id>());
        const double probability = expected[i]["probability"];
        BOOST_TEST(std::abs(found.probability(found.top[i]) - probability) < 1e-5);
    }
}

/// What a layer's FFN reads at the last position: its norm of `before`, or with a parallel residual
/// of what entered the layer.
xt::xtensor<float, 1> ffn_input(const transformer<>& model, std::size_t layer, const observe& seen,
                                const observe_updates& updates) {
    const auto& block = model.blocks[layer];
    const rows<const float> entered =
        layer == 0 ? updates.embedding() : rows<const float>(seen.layer(layer - 1).after);
    const rows<const float> x =
        block.parallel_residual ? entered : rows<const float>(seen.layer(layer).before);
    xt::xtensor<float, 1> out = xt::empty<float>({model.config.width});
    normalise(block.ffn_norm, x, as_rows(std::span<float>(out.data(), out.size())));
    return out;
}

}  // namespace

// A list that is read from a folder can be empty.
BOOST_AUTO_TEST_CASE(there_are_checkpoints_of_every_family) {
    BOOST_TEST(checkpoints.size() >= 115U);
    std::set<std::string> families;
    for (const std::string& name : checkpoints) {
        families.insert(opened(name).model.config.family);
    }
    for (const family& f : xlens::families()) {
        BOOST_TEST(families.contains(std::string(f.name)), f.name);
    }
}

BOOST_DATA_TEST_CASE(parts_are_as_the_configuration_says, data::make(checkpoints), name) {
    BOOST_CHECK_NO_THROW(check_parts(opened(name).model));
}

BOOST_DATA_TEST_CASE(logits_equal_the_reference, data::make(checkpoints), name) {
    const opened o(name);
    dynamic_policies none;
    check_logits(o.golden["logits"], all_logits(o, none));
}

BOOST_DATA_TEST_CASE(layers_read_as_in_the_reference, data::make(checkpoints), name) {
    const opened o(name);
    const auto positions = traced(o);
    BOOST_TEST_REQUIRE(positions.size() == 1U);
    BOOST_TEST_REQUIRE(positions[0].layers.size() == o.golden["layers"].size());
    for (std::size_t l = 0; l < positions[0].layers.size(); ++l) {
        const traced_layer& found = positions[0].layers[l];
        const json& expected = o.golden["layers"][l];
        check_tokens(expected["before"], found.before);
        check_tokens(expected["after"], found.after);
        for (std::size_t i = 0; i < expected["dominant"].size(); ++i) {
            const json& e = expected["dominant"][i];
            const sub_update& f = found.sub_updates[i];
            BOOST_TEST(f.where.index == e["neuron"].get<std::size_t>());
            BOOST_TEST(f.coefficient == e["coefficient"].get<float>(),
                       boost::test_tools::tolerance(1e-3F));
            BOOST_TEST(f.norm == e["norm"].get<float>(), boost::test_tools::tolerance(1e-4F));
        }
    }
}

BOOST_DATA_TEST_CASE(greedy_text_equals_the_reference, data::make(checkpoints), name) {
    const opened o(name);
    const auto expected = o.golden["greedy"].get<std::vector<token_id>>();
    const auto found = continued(o, expected.size());
    BOOST_TEST_REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) { BOOST_TEST(found[i].id == expected[i]); }
}

BOOST_DATA_TEST_CASE(edited_coefficients_change_what_they_change_there, data::make(checkpoints),
                     name) {
    const opened o(name);
    for (const json& e : o.golden["edited"]) {
        edit change{{e["layer"].get<std::size_t>(), e["neuron"].get<std::size_t>()},
                    edit::kind::set,
                    e["value"].get<float>(),
                    {}};
        if (e["positions"] == "last") { change.positions = {o.ids.size() - 1}; }
        dynamic_policies policies;
        policies.add(intervene({change}));
        check_logits(e["logits"], all_logits(o, policies));
    }
}

// The rows of sub_updates, scaled as the position is, are with the bias what the layer adds to the
// residual: behind norms and multipliers too.
BOOST_DATA_TEST_CASE(sub_updates_add_up_to_what_the_layer_adds, data::make(checkpoints), name) {
    const opened o(name);
    observe seen(o.model);
    observe_updates updates;
    sequence_state state = o.model.start();
    o.model.forward(state, o.ids, seen, updates);
    for (std::size_t l = 0; l < o.model.blocks.size(); ++l) {
        const auto& ffn = o.model.blocks[l].ffn;
        const xt::xtensor<float, 1> x = ffn_input(o.model, l, seen, updates);
        const auto e = ffn.sub_updates(x);
        const xt::xtensor<float, 2> all = e;
        const value_matrix<any_matrix> values = ffn.values();
        float largest = 1.0F;
        for (const float v : seen.layer(l).after) { largest = std::max(largest, std::abs(v)); }
        for (std::size_t d = 0; d < o.model.config.width; ++d) {
            double sum = 0.0;
            for (std::size_t i = 0; i < all.shape(0); ++i) { sum += double{all(i, d)}; }
            if (ffn.output_bias().size() > 0) {
                const double gain = values.gain().empty() ? 1.0 : double{values.gain()[d]};
                sum += gain * double{ffn.output_bias()(d)};
            }
            const double added = double{seen.layer(l).after(0, d) - seen.layer(l).before(0, d)};
            BOOST_TEST(std::abs(sum * double{e.scale()} - added) < 1e-5 * double{largest});
        }
    }
}

BOOST_DATA_TEST_CASE(an_attribution_adds_up_to_the_logit, data::make(checkpoints), name) {
    const opened o(name);
    const attribution a = attribute(o.model, o.ids);
    double largest = std::abs(double{a.logit});
    for (const float part : a.ffn) { largest = std::max(largest, std::abs(double{part})); }
    BOOST_TEST(std::abs(double{a.gap}) < 1e-4 * largest, a.gap << " of " << a.logit);
}

// Weights are those of the queries and keys that hooks see, outputs those of weights and values.
BOOST_DATA_TEST_CASE(hooks_of_attention_agree_with_each_other, data::make(checkpoints), name) {
    const opened o(name);
    xlens::test::record_heads seen;
    sequence_state state = o.model.start();
    o.model.forward(state, o.ids, seen);
    for (std::size_t l = 0; l < o.model.blocks.size(); ++l) {
        const auto& block = o.model.blocks[l];
        const auto& shape = block.attention.shape;
        const auto& found = seen.layers[l];
        xt::xtensor<float, 2> outputs = xt::empty<float>(found.outputs.shape());
        reference::attention(shape, found.queries, found.keys, found.values, 0, outputs);
        const double size = std::max(
            1.0, xlens::test::largest_magnitude({found.values.data(), found.values.size()}));
        BOOST_TEST(xlens::test::max_difference({outputs.data(), outputs.size()},
                                               {found.outputs.data(), found.outputs.size()}) <
                   1e-5 * size);
        for (std::size_t t = 0; t < o.ids.size(); ++t) {
            for (std::size_t h = 0; h < shape.heads; ++h) {
                const auto weights =
                    rows<const float>(found.pattern)[t].subspan(h * o.ids.size(), o.ids.size());
                double sum = 0.0;
                for (std::size_t s = 0; s < weights.size(); ++s) {
                    BOOST_TEST((weights[s] >= 0.0F));
                    if (!reference::attends(shape, t, s)) { BOOST_TEST(weights[s] == 0.0F); }
                    sum += double{weights[s]};
                }
                BOOST_TEST((shape.sinks.empty() ? std::abs(sum - 1.0) < 1e-5 : sum < 1.0));
                const std::size_t d = h * shape.head_size;
                const std::size_t kv = h * shape.kv_heads / shape.heads * shape.head_size;
                double mixed = 0.0;
                for (std::size_t s = 0; s < weights.size(); ++s) {
                    mixed += double{weights[s]} * double{found.values(s, kv)};
                }
                BOOST_TEST(std::abs(mixed - double{found.outputs(t, d)}) < 1e-5 * size);
            }
        }
    }
}

// Heads, and the output bias behind a norm, sum to their layer's attention; the positions that a
// head reads to the head. The attribution says what is missing.
BOOST_DATA_TEST_CASE(heads_add_up_to_the_attention, data::make(checkpoints), name) {
    const opened o(name);
    double largest = 0.0;
    for (std::size_t l = 0; l < o.model.blocks.size(); ++l) {
        attribution_options options;
        options.head = attention_head{l, l % o.model.config.heads};
        const attribution a = attribute(o.model, o.ids, options);
        largest = std::max(largest, std::abs(double{a.logit}));
        for (const float part : a.attention) {
            largest = std::max(largest, std::abs(double{part}));
        }
        BOOST_TEST_REQUIRE(a.heads.size() == a.attention.size());
        for (std::size_t i = 0; i < a.heads.size(); ++i) {
            double sum = double{a.heads[i].bias};
            for (const float h : a.heads[i].heads) { sum += double{h}; }
            BOOST_TEST(std::abs(sum - double{a.attention[i]}) < 1e-4 * largest);
            BOOST_TEST(std::abs(double{a.heads[i].gap}) < 1e-4 * largest);
        }
        BOOST_TEST_REQUIRE(a.head.has_value());
        BOOST_TEST(a.head->sources.size() == o.ids.size());
        double sum = 0.0;
        for (const head_source& s : a.head->sources) { sum += double{s.contribution}; }
        const float head = a.heads[l].heads[options.head->index];
        BOOST_TEST(a.head->contribution == head);
        BOOST_TEST(std::abs(sum - double{head}) < 1e-4 * largest);
        BOOST_TEST(std::abs(double{a.head->gap}) < 1e-4 * largest);
    }
}

// A prompt in chunks of another length than the windows of its layers.
BOOST_DATA_TEST_CASE(one_pass_and_chunks_give_the_same_bits, data::make(checkpoints), name) {
    const opened o(name);
    dynamic_policies none;
    const auto together = all_logits(o, none);
    sequence_state state = o.model.start();
    state.wanted = logit_rows::all;
    const std::span<const token_id> ids = o.ids;
    for (std::size_t at = 0; at < ids.size(); at += 5) {
        const auto part = ids.subspan(at, std::min<std::size_t>(5, ids.size() - at));
        o.model.forward(state, part);
        for (std::size_t t = 0; t < part.size(); ++t) {
            const auto apart = rows<const float>(state.logits)[t];
            BOOST_TEST(std::ranges::equal(apart, rows<const float>(together)[at + t]));
        }
    }
}

BOOST_DATA_TEST_CASE(one_pass_and_token_by_token_give_the_same_bits, data::make(checkpoints),
                     name) {
    const opened o(name);
    dynamic_policies none;
    const auto together = all_logits(o, none);
    const auto apart = logits_token_by_token(o);
    BOOST_TEST(std::equal(together.begin(), together.end(), apart.begin()));
}

BOOST_DATA_TEST_CASE(threads_do_not_change_a_bit, data::make(checkpoints), name) {
    const opened o(name);
    dynamic_policies none;
    set_threads(1);
    const auto one = all_logits(o, none);
    set_threads(2);
    const auto two = all_logits(o, none);
    BOOST_TEST(std::equal(one.begin(), one.end(), two.begin()));
}
