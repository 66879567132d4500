// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE value_directions
#include <boost/test/unit_test.hpp>

#include <xlens/concepts/value_directions.hpp>
#include <xlens/io/assemble.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_hyperparameters.hpp>
#include <xlens/model/presets.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/tiny_model.hpp"

#include <cmath>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

constexpr auto no_progress = [](std::size_t, std::size_t) {};
using scores = std::vector<std::vector<double>>;

/// Projections of vectors over the whole vocabulary, in double and in plain loops.
scores explicit_projections(const transformer<>& model, const xt::xtensor<float, 2>& vectors,
                            projection form, bool centred) {
    const std::size_t width = vectors.shape(1);
    scores prepared(vectors.shape(0), std::vector<double>(width));
    for (std::size_t i = 0; i < prepared.size(); ++i) {
        double squares = 0.0;
        for (std::size_t d = 0; d < width; ++d) { squares += std::pow(double{vectors(i, d)}, 2); }
        const double rms =
            std::sqrt(squares / static_cast<double>(width) + double{model.config.norm_epsilon});
        for (std::size_t d = 0; d < width; ++d) {
            prepared[i][d] = double{vectors(i, d)};
            if (form != projection::raw) { prepared[i][d] *= double{model.final_norm->gain(d)}; }
            if (form == projection::normed) { prepared[i][d] /= rms; }
        }
    }
    scores out(prepared.size(), std::vector<double>(model.config.vocabulary));
    std::vector<float> e(width);
    for (std::size_t w = 0; w < model.config.vocabulary; ++w) {
        model.unembedding.direction(static_cast<token_id>(w), e);
        for (std::size_t i = 0; i < out.size(); ++i) {
            double sum = 0.0;
            for (std::size_t d = 0; d < width; ++d) { sum += double{e[d]} * prepared[i][d]; }
            out[i][w] = sum;
        }
    }
    for (auto& row : out) {
        double mean = 0.0;
        for (const double x : row) { mean += x / static_cast<double>(row.size()); }
        for (double& x : row) { x -= centred ? mean : 0.0; }
    }
    return out;
}

template <class A, class B>
double cosine(const A& a, const B& b) {
    double dot = 0.0;
    double aa = 0.0;
    double bb = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        dot += double{a[i]} * double{b[i]};
        aa += double{a[i]} * double{a[i]};
        bb += double{b[i]} * double{b[i]};
    }
    return dot / std::sqrt(aa * bb);
}

/// Largest difference of cosines between what the space says and explicit projections.
double largest_difference(const transformer<>& model, std::span<const neuron> neurons,
                          cluster_space kind, projection form) {
    const auto vectors = value_vectors(model, neurons, no_progress);
    const value_space space(model, kind, form, no_progress);
    const unit_directions found = space(vectors);
    BOOST_REQUIRE(found.count() == neurons.size());
    const scores slow = explicit_projections(model, vectors, form, kind == cluster_space::centred);
    double most = 0.0;
    for (std::size_t i = 0; i < slow.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            const rows<const float> unit = found.unit;
            const double difference = cosine(unit[i], unit[j]) - cosine(slow[i], slow[j]);
            most = std::isnan(difference) ? INFINITY : std::max(most, std::abs(difference));
        }
    }
    return most;
}

std::vector<neuron> some_neurons(std::size_t layers, std::size_t inner, std::size_t count) {
    std::vector<neuron> out;
    for (std::size_t j = 0; j < count; ++j) {
        const std::size_t number = j * layers * inner / count;
        out.push_back({number / inner, number % inner});
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(cosines_are_those_of_explicit_projections_of_smollm2) {
    const checkpoint file{gguf_file(default_model())};
    const auto model = assemble(file);
    const auto neurons = some_neurons(30, 1536, 40);
    for (const auto kind : {cluster_space::projected, cluster_space::centred}) {
        BOOST_TEST(largest_difference(model, neurons, kind, projection::folded) < 1e-5);
    }
    BOOST_TEST(largest_difference(model, neurons, cluster_space::projected, projection::raw) <
               1e-5);
}

BOOST_AUTO_TEST_CASE(every_form_of_a_tiny_model) {
    const tiny_model<> tiny("llama/hf");
    const auto& config = tiny.model.config;
    const auto neurons = some_neurons(config.layers, config.inner_width, 50);
    for (const auto kind : {cluster_space::projected, cluster_space::centred}) {
        for (const auto form : {projection::raw, projection::folded, projection::normed}) {
            BOOST_TEST(largest_difference(tiny.model, neurons, kind, form) < 1e-5);
        }
    }
}

BOOST_AUTO_TEST_CASE(an_adaptive_softmax_has_projections_too) {
    const tiny_model<> tiny("wikilm/hf");  // no final norm
    const auto& config = tiny.model.config;
    const auto neurons = some_neurons(config.layers, config.inner_width, 30);
    BOOST_TEST(largest_difference(tiny.model, neurons, cluster_space::projected, projection::raw) <
               1e-5);
}

BOOST_AUTO_TEST_CASE(raw_directions_are_those_of_the_values) {
    const auto check = [](const auto& model) {
        const auto neurons = all_neurons(model);
        BOOST_TEST(neurons.size() == model.config.layers * model.config.inner_width);
        const auto vectors = value_vectors(model, neurons, no_progress);
        const value_space space(model, cluster_space::raw, projection::folded, no_progress);
        const unit_directions found = space(vectors);
        std::vector<float> v(model.config.width);
        for (std::size_t i = 0; i < neurons.size(); ++i) {
            model.blocks[neurons[i].layer].ffn.value(neurons[i].index, v);
            BOOST_REQUIRE(std::ranges::equal(v, rows<const float>(vectors)[i]));
            BOOST_REQUIRE(cosine(v, rows<const float>(found.unit)[i]) > 1.0 - 1e-6);
        }
    };
    check(tiny_model<>("llama/hf").model);
    check(tiny_model<>("llama_mixed/model.gguf").model);
    check(tiny_model<>("gpt2/hf").model);  // stored transposed
}

BOOST_AUTO_TEST_CASE(neurons_ascend_and_are_there) {
    const tiny_model<> tiny("llama/hf");
    const auto message = [&](const std::vector<neuron>& neurons) {
        return error_message([&] { value_vectors(tiny.model, neurons, no_progress); });
    };
    BOOST_TEST(message({{0, 3}, {0, 3}}) == "neurons: expected ascending ones, got 0:3 before 0:3");
    BOOST_TEST(message({{1, 0}, {0, 3}}) == "neurons: expected ascending ones, got 1:0 before 0:3");
    BOOST_TEST(message({{9, 0}}) == "neuron 9:0: layer 9, the model has layers 0 to 1");
    BOOST_TEST(message({}) == "(no error)");
}

BOOST_AUTO_TEST_CASE(names_of_spaces) {
    for (const auto space :
         {cluster_space::raw, cluster_space::projected, cluster_space::centred}) {
        BOOST_TEST((parse_cluster_space(name_of(space)) == space));
    }
    BOOST_TEST(error_message([] { return parse_cluster_space("flat"); }) ==
               "space: expected raw, projected or centred, got 'flat'");
}
