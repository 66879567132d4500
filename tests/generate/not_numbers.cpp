// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE not_numbers
#include <boost/test/unit_test.hpp>

#include <xlens/concepts/search.hpp>
#include <xlens/events/event_reader.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/generate/perplexity.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/interventions/steer.hpp>
#include <xlens/trace/attribute.hpp>
#include <xlens/trace/trace.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"
#include "support/stored_matrix.hpp"
#include "support/tiny_model.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

// Weights and residuals that are no numbers: whatever reads them says so in one line, and gives no
// figure.

using namespace xlens;
using namespace xlens::test;

namespace {

constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

const tiny_model<>& gpt2() {
    static const tiny_model<> m("gpt2/hf");
    return m;
}

/// The model with rows of the unembedding that can be changed.
struct changed {
    changed() : model(gpt2().model) {
        auto& section = model.unembedding.sections.front();
        const std::size_t width = model.config.width;
        rows_of_e.resize(section.out.rows() * width);
        for (std::size_t w = 0; w < section.out.rows(); ++w) {
            section.out.row(w, std::span(rows_of_e).subspan(w * width, width));
        }
        section.out = any_matrix(matrix_of(rows_of_e, section.out.rows(), width));
    }
    std::vector<float> rows_of_e;
    transformer<> model;
};

struct named_use {
    std::string name;
    std::function<void(dynamic_policies&)> use;
};
using uses = std::vector<named_use>;

/// What reads residuals in a pass.
uses passes(const transformer<>& model) {
    const std::vector<token_id>& ids = gpt2().ids;
    return {
        {"perplexity", [&](auto& p) { perplexity(model, ids, perplexity_windows(8), p); }},
        {"trace", [&](auto& p) { trace(model, ids, {}, p); }},
        {"attribute", [&](auto& p) { attribute(model, ids, {}, p); }},
        {"predictions", [&](auto& p) { attribute_predictions(model, ids, {}, p); }},
        {"generate", [&](auto& p) { generate(model, ids, {.count = 3}, p); }},
    };
}
/// What takes no policies.
uses others(const transformer<>& model) {
    const auto events = [&](auto&) {
        event_options options;
        options.window = 16;
        event_reader reader(model, options);
        reader.read(gpt2().ids, 0, [](const text_event&) {});
    };
    const auto search = [&](auto&) {
        const concept_search all(model);
        const token_id word = 3;
        const auto hits = all.find(std::span(&word, 1), {});
        (void)all.concepts(hits, 5, {});
    };
    const auto concept_of = [&](auto&) {
        const logit_lens lens(model);
        std::vector<float> v(model.config.width);
        model.blocks[1].ffn.value(7, v);
        (void)lens.project(as_rows(std::span<const float>(v)), 5);
    };
    return {{"events", events}, {"search", search}, {"concept", concept_of}};
}

void all_refuse(const uses& what, const std::string& expected, dynamic_policies& policies) {
    for (const named_use& one : what) {
        const std::string message = error_message([&] { one.use(policies); });
        BOOST_TEST(message.find(expected) != std::string::npos, one.name + ": '" + message + "'");
        BOOST_TEST(message.find('\n') == std::string::npos);
    }
}
void all_refuse(const transformer<>& model, const std::string& expected) {
    dynamic_policies none;
    all_refuse(passes(model), expected, none);
    all_refuse(others(model), expected, none);
}

}  // namespace

BOOST_AUTO_TEST_CASE(as_they_are_none_refuses) {
    const changed m;
    for (const auto& all : {passes(m.model), others(m.model)}) {
        for (const named_use& one : all) {
            dynamic_policies none;
            BOOST_TEST(error_message([&] { one.use(none); }) == "(no error)", one.name);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_nan_in_the_final_norm) {
    changed m;
    m.model.final_norm->gain(3) = nan_value;
    all_refuse(m.model, "is nan, expected a finite number");
}

BOOST_AUTO_TEST_CASE(a_row_of_the_unembedding_with_an_infinity_or_a_nan) {
    for (const float bad : {infinity, -infinity, nan_value}) {
        changed m;
        m.rows_of_e[11 * m.model.config.width + 4] = bad;
        all_refuse(m.model, "unembedding: the score of token 11 is no finite number");
    }
}

BOOST_AUTO_TEST_CASE(an_edit_that_overflows) {
    dynamic_policies edits;
    edits.add(intervene().scale({1, 5}, 3e38F).set({1, 5}, 3e38F));
    all_refuse(passes(gpt2().model), "layer 1, position ", edits);
}

BOOST_AUTO_TEST_CASE(a_residual_whose_square_overflows) {
    dynamic_policies push;
    push.add(steer(1, std::vector<float>(gpt2().model.config.width, 1.0F), 1e22F));
    all_refuse(passes(gpt2().model), "the mean square of the residual is inf", push);
}
