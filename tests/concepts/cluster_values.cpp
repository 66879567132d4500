// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cluster_values
#include <boost/test/unit_test.hpp>

#include <xlens/concepts/cluster_values.hpp>
#include <xlens/concepts/standard_scores.hpp>
#include <xlens/io/assemble.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_hyperparameters.hpp>
#include <xlens/model/presets.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/tiny_model.hpp"

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

constexpr auto no_progress = [](std::size_t, std::size_t) {};

vector_groups golden_labels(const std::string& name) {
    std::ifstream in(golden_path("clusters/" + name + ".txt"));
    vector_groups out;
    for (std::uint32_t label = 0; in >> label;) { out.push_back(label); }
    return out;
}

cluster_options options(std::size_t k) {
    cluster_options out;
    out.clusters = k;
    out.top = 4;
    return out;
}

/// The clusters of a tiny model, with its value vectors.
struct clustered {
    explicit clustered(const cluster_options& how)
        : tiny("qwen3/hf"), report(cluster_values(tiny.model, 7, how, no_progress)) {}
    tiny_model<> tiny;
    cluster_report report;
};

}  // namespace

// As tests/golden/make_clusters.py samples.
BOOST_AUTO_TEST_CASE(complete_linkage_of_smollm2_is_that_of_scipy) {
    const checkpoint file{gguf_file(default_model())};
    const auto model = assemble(file);
    const auto all = all_neurons(model);
    std::vector<neuron> sample;
    for (std::size_t j = 0; j < 2000; ++j) { sample.push_back(all[j * all.size() / 2000]); }
    const auto vectors = value_vectors(model, sample, no_progress);
    for (const std::string name : {"raw", "projected", "centred", "standard"}) {
        const bool standard = name == "standard";
        const value_space space(model, parse_cluster_space(standard ? "projected" : name),
                                standard ? projection::standard : projection::folded, no_progress);
        const unit_directions found = space(vectors);
        const vector_groups labels = complete_linkage(found.unit, {}, no_progress).cut(200);
        const vector_groups golden = golden_labels(name);
        BOOST_REQUIRE(golden.size() == 2000U);
        BOOST_TEST(adjusted_rand_index(labels, golden) == 1.0, name);
    }
}

BOOST_AUTO_TEST_CASE(every_neuron_is_in_one_cluster_with_its_figures) {
    for (const auto method : {cluster_method::k_means, cluster_method::complete}) {
        for (const auto space :
             {cluster_space::raw, cluster_space::projected, cluster_space::centred}) {
            auto how = options(6);
            how.method = method;
            how.space = space;
            const clustered run(how);
            const clusters& found = run.report.found;
            BOOST_TEST(found.count() == 6U);
            BOOST_TEST(found.neurons() == all_neurons(run.tiny.model).size());
            BOOST_TEST(found.origin().model == 7U);
            BOOST_TEST((found.origin().space == space));
            const logit_lens lens(run.tiny.model);
            std::size_t last = found.neurons();
            for (std::size_t id = 0; id < 6; ++id) {
                const cluster& c = found.all()[id];
                BOOST_TEST(c.neurons.size() <= last);
                last = c.neurons.size();
                BOOST_TEST(std::ranges::is_sorted(c.neurons));
                BOOST_TEST(c.cohesion > 0.0);
                BOOST_TEST(c.cohesion < 1.0 + 1e-9);
                for (const neuron& n : c.neurons) { BOOST_REQUIRE(found.of(n) == id); }
                // The concept is what the lens says of the centroid.
                xt::xtensor<float, 2> centroid =
                    xt::empty<float>({std::size_t{1}, std::size_t{32}});
                BOOST_REQUIRE(c.centroid.size() == 32U);
                std::ranges::copy(c.centroid, centroid.begin());
                const token_ends ends = lens.project(centroid, 4).front();
                for (std::size_t t = 0; t < 4; ++t) {
                    BOOST_TEST(c.concept_of_centroid.promotes[t].id == ends.promotes[t].id);
                    BOOST_TEST(c.concept_of_centroid.suppresses[t].id == ends.suppresses[t].id);
                }
            }
        }
    }
}

// Of scores less what μ has, each token's over its deviation (concepts/standard_scores.hpp).
BOOST_AUTO_TEST_CASE(standard_clusters_are_of_standard_scores) {
    auto how = options(5);
    how.form = projection::standard;
    for (const auto space : {cluster_space::raw, cluster_space::projected}) {
        how.space = space;
        const clustered run(how);
        const auto& model = run.tiny.model;
        const standard_scores scores(model);
        const auto project = [&](std::span<const float> v, std::span<const float> origin) {
            std::vector<double> out(model.config.vocabulary);
            std::vector<float> q(v.size());
            for (std::size_t w = 0; w < out.size(); ++w) {
                scores.direction(static_cast<token_id>(w), q);
                for (std::size_t d = 0; d < v.size(); ++d) {
                    out[w] +=
                        double{q[d]} * (double{v[d]} - (origin.empty() ? 0.0 : double{origin[d]}));
                }
            }
            return out;
        };
        const auto length = [](const auto& x) {
            double squares = 0.0;
            for (const double one : x) { squares += one * one; }
            return std::sqrt(squares);
        };
        for (const cluster& c : run.report.found.all()) {
            const std::vector<double> centroid = project(c.centroid, {});
            std::vector<double> sum(centroid.size());
            std::vector<float> v(model.config.width);
            for (const neuron& n : c.neurons) {
                model.blocks[n.layer].ffn.value(n.index, v);
                const std::vector<double> one = project(v, scores.moments().mean());
                const double by = space == cluster_space::raw ? length(v) : length(one);
                for (std::size_t w = 0; w < sum.size(); ++w) { sum[w] += one[w] / by; }
            }
            double dot = 0.0;
            for (std::size_t w = 0; w < sum.size(); ++w) { dot += sum[w] * centroid[w]; }
            BOOST_TEST(dot / (length(sum) * length(centroid)) > 1.0 - 1e-6);
            if (space == cluster_space::projected) {
                BOOST_TEST(std::abs(c.cohesion -
                                    length(sum) / static_cast<double>(c.neurons.size())) < 1e-5);
            }
            const auto best = std::ranges::max_element(centroid) - centroid.begin();
            BOOST_TEST(c.concept_of_centroid.promotes[0].id == best);
            BOOST_TEST(std::abs(double{c.concept_of_centroid.promotes[0].score} -
                                centroid[static_cast<std::size_t>(best)]) < 1e-3);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_centroid_projects_to_the_mean_of_unit_projections) {
    auto how = options(5);
    how.space = cluster_space::projected;
    for (const auto form : {projection::raw, projection::folded, projection::normed}) {
        how.form = form;
        const clustered run(how);
        const auto& model = run.tiny.model;
        const auto project = [&](std::span<const float> v) {
            std::vector<double> out(model.config.vocabulary);
            std::vector<float> e(v.size());
            for (std::size_t w = 0; w < out.size(); ++w) {
                model.unembedding.direction(static_cast<token_id>(w), e);
                for (std::size_t d = 0; d < v.size(); ++d) {
                    const double gain =
                        form == projection::raw ? 1.0 : double{model.final_norm->gain(d)};
                    out[w] += double{e[d]} * gain * double{v[d]};
                }
            }
            double squares = 0.0;
            for (const double x : out) { squares += x * x; }
            for (double& x : out) { x /= std::sqrt(squares); }
            return out;
        };
        for (const cluster& c : run.report.found.all()) {
            const std::vector<double> centroid = project(c.centroid);
            std::vector<double> sum(centroid.size());
            std::vector<float> v(model.config.width);
            for (const neuron& n : c.neurons) {
                model.blocks[n.layer].ffn.value(n.index, v);
                const auto unit = project(v);
                for (std::size_t w = 0; w < sum.size(); ++w) { sum[w] += unit[w]; }
            }
            double length = 0.0;
            double dot = 0.0;
            for (std::size_t w = 0; w < sum.size(); ++w) {
                length += sum[w] * sum[w];
                dot += sum[w] * centroid[w];
            }
            length = std::sqrt(length);
            BOOST_TEST(dot / length > 1.0 - 1e-6);
            BOOST_TEST(std::abs(c.cohesion - length / static_cast<double>(c.neurons.size())) <
                       1e-5);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_sample_is_drawn_by_the_seed) {
    auto how = options(3);
    how.sample = 20;
    const auto neurons = [&](std::uint64_t seed) {
        how.seed = seed;
        const clustered run(how);
        BOOST_TEST(run.report.found.neurons() == 20U);
        std::vector<std::vector<neuron>> out;
        for (const cluster& c : run.report.found.all()) { out.push_back(c.neurons); }
        return out;
    };
    BOOST_TEST((neurons(1) == neurons(1)));
    BOOST_TEST((neurons(1) != neurons(2)));
}

BOOST_AUTO_TEST_CASE(a_shuffle_of_real_vectors_has_looser_clusters) {
    const checkpoint file{gguf_file(default_model())};
    const auto model = assemble(file);
    auto how = options(40);
    how.sample = 2000;
    how.shuffle = true;
    const cluster_report report = cluster_values(model, 1, how, no_progress);
    const cluster_quality real = report.found.quality();
    BOOST_TEST(report.shuffled.has_value());
    BOOST_TEST(report.shuffled->inertia > real.inertia);
    BOOST_TEST(report.shuffled->cohesion < real.cohesion);
    BOOST_TEST(!cluster_values(
                    model, 1,
                    [&] {
                        auto without = how;
                        without.shuffle = false;
                        return without;
                    }(),
                    no_progress)
                    .shuffled.has_value());
}

BOOST_AUTO_TEST_CASE(bad_input_is_refused_before_the_work) {
    const tiny_model<> tiny("qwen3/hf");
    const auto message = [&](const cluster_options& how) {
        return error_message([&] {
            return cluster_values(tiny.model, 7, how, [](std::size_t, std::size_t) {
                BOOST_TEST(false, "work has begun");
            });
        });
    };
    const std::size_t n = all_neurons(tiny.model).size();
    BOOST_TEST(message(options(n + 1)) == "clusters: expected 1 to " + std::to_string(n) +
                                              ", the number of vectors, got " +
                                              std::to_string(n + 1));
    auto how = options(9);
    how.sample = 8;
    BOOST_TEST(message(how) == "clusters: expected 1 to 8, the number of vectors, got 9");
    how = options(2);
    how.method = cluster_method::complete;
    how.linkage.memory = 1000;
    BOOST_TEST(
        message(how).starts_with("complete linkage: " + std::to_string(n) + " vectors need "));
    BOOST_TEST(error_message([] { return parse_cluster_method("single"); }) ==
               "method: expected kmeans or complete, got 'single'");
}
