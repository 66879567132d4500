// SPDX-License-Identifier: BSD-3-Clause
// Search against plain loops over single weights, in double precision.
#define BOOST_TEST_MODULE search
#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/concepts/concept_control.hpp>
#include <xlens/concepts/random_vectors.hpp>
#include <xlens/concepts/search.hpp>
#include <xlens/concepts/search_control.hpp>
#include <xlens/concepts/search_neurons.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/model/presets.hpp>

#include "support/error_message.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_model.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

using table = std::vector<std::vector<double>>;

double product(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0.0;
    for (std::size_t d = 0; d < a.size(); ++d) { sum += a[d] * b[d]; }
    return sum;
}

/// Rows e_w (V, D) of the unembedding, times γ in the folded projection.
table token_rows(const transformer<>& model, projection form, std::size_t from = 0,
                 std::size_t count = std::size_t(-1)) {
    table out;
    for (const auto& s : model.unembedding.sections) {
        for (std::size_t r = 0; r < s.out.rows(); ++r) {
            if (s.first + r < from || out.size() >= count) { continue; }
            std::vector<double> row(model.config.width);
            for (std::size_t d = 0; d < row.size(); ++d) {
                if (!s.projection) { row[d] = double{s.out(r, d)}; }
                for (std::size_t k = 0; s.projection && k < s.out.cols(); ++k) {
                    row[d] += double{s.out(r, k)} * double{(*s.projection)(k, d)};
                }
                if (form == projection::folded && model.final_norm) {
                    row[d] *= double{model.final_norm->gain(d)};
                }
            }
            out.push_back(std::move(row));
        }
    }
    return out;
}

/// The vector of one neuron, element by element.
std::vector<double> vector_of(const transformer<>& model, const neuron& n,
                              const search_options& options) {
    const auto& block = model.blocks[n.layer];
    std::vector<double> out(model.config.width);
    for (std::size_t d = 0; d < out.size(); ++d) {
        if (options.side == neuron_side::value) {
            out[d] = double{block.ffn.values()(d, n.index)};
            continue;
        }
        out[d] = double{block.ffn.up().front()(n.index, d)};
        if (options.side == neuron_side::gate) {
            out[d] = double{block.ffn.gating().front()(n.index, d)};
        }
        if (options.form == projection::folded) { out[d] *= double{block.ffn_norm->gain(d)}; }
    }
    return out;
}

/// The mean score over the tokens, scaled, by the definition: with all V scores of the vector.
double score_by_loops(const table& e, const std::vector<token_id>& tokens,
                      const std::vector<double>& v, score_scale scale) {
    double mean = 0.0;
    for (const token_id w : tokens) {
        mean += product(e[static_cast<std::size_t>(w)], v) / static_cast<double>(tokens.size());
    }
    if (scale == score_scale::none) { return mean; }
    if (scale == score_scale::norm) { return mean / std::sqrt(product(v, v)); }
    const auto count = static_cast<double>(e.size());
    double all = 0.0;
    double squares = 0.0;
    std::vector<double> scores;
    for (const auto& row : e) { scores.push_back(product(row, v)); }
    for (const double s : scores) { all += s / count; }
    for (const double s : scores) { squares += (s - all) * (s - all) / count; }
    return (mean - all) / std::sqrt(squares);
}

std::vector<neuron_side> sides_of(const transformer<>& model) {
    if (model.blocks.front().ffn.is_gated()) {
        return {neuron_side::value, neuron_side::gate, neuron_side::up};
    }
    return {neuron_side::value, neuron_side::key};
}

template <class Check>
void each_option(const transformer<>& model, Check check) {
    for (const neuron_side side : sides_of(model)) {
        for (const projection form : {projection::raw, projection::folded}) {
            for (const score_scale scale :
                 {score_scale::none, score_scale::norm, score_scale::spread}) {
                check(search_options{side, scale, form});
            }
        }
    }
}

void check_near(double found, double expected, double tolerance) {
    BOOST_REQUIRE_MESSAGE(std::abs(found - expected) <= tolerance,
                          found << " is not " << expected << " within " << tolerance);
}

void equals_the_loops(const std::string& name) {
    const tiny_model<> tiny(name);
    const auto& config = tiny.model.config;
    const concept_search search(tiny.model);
    const auto last = static_cast<token_id>(config.vocabulary - 1);
    const std::vector<token_id> tokens{3, 17, last};
    each_option(tiny.model, [&](const search_options& options) {
        const table e = token_rows(tiny.model, options.form);
        BOOST_REQUIRE(e.size() == config.vocabulary);
        const auto scores = search.scores(search.direction(tokens, options), options);
        double largest = 0.0;
        for (const float s : scores) { largest = std::max(largest, std::abs(double{s})); }
        BOOST_TEST(largest > 0.0);
        for (std::size_t l = 0; l < config.layers; ++l) {
            for (std::size_t i = 0; i < config.inner_width; i += 7) {
                const auto v = vector_of(tiny.model, {l, i}, options);
                check_near(double{scores(l, i)}, score_by_loops(e, tokens, v, options.scale),
                           2e-5 * largest);
            }
        }
    });
}

}  // namespace

BOOST_AUTO_TEST_CASE(scores_equal_plain_loops) {
    equals_the_loops("gpt2/hf");  // f32, stored by input
    equals_the_loops("gpt2/model.gguf");
    equals_the_loops("llama/model.gguf");
    equals_the_loops("llama_mixed/model.gguf");  // many formats
    equals_the_loops("qwen2/hf");                // bf16
    equals_the_loops("qwen3/hf");
    equals_the_loops("gpt_neox/hf");
    equals_the_loops("wikilm/hf");  // adaptive softmax, no final norm
    equals_the_loops("wikilm_final_norm/model.gguf");
}

BOOST_AUTO_TEST_CASE(hits_are_the_best_scores_in_order) {
    const tiny_model<> tiny("llama/hf");
    const concept_search search(tiny.model);
    const std::vector<token_id> tokens{5, 6};
    const auto& config = tiny.model.config;
    for (const search_end end :
         {search_end::promotes, search_end::suppresses, search_end::either}) {
        search_options options;
        options.end = end;
        options.limit = 25;
        const auto scores = search.scores(search.direction(tokens, options), options);
        std::vector<search_hit> all;
        for (std::size_t l = 0; l < config.layers; ++l) {
            for (std::size_t i = 0; i < config.inner_width; ++i) {
                all.push_back({{l, i}, scores(l, i)});
            }
        }
        std::ranges::stable_sort(all, [&](const search_hit& a, const search_hit& b) {
            if (end == search_end::promotes) { return a.score > b.score; }
            if (end == search_end::suppresses) { return a.score < b.score; }
            return std::abs(a.score) > std::abs(b.score);
        });
        all.resize(25);
        const auto hits = search.find(tokens, options);
        BOOST_TEST((hits == all));
        set_threads(1);
        BOOST_TEST((search.find(tokens, options) == hits));
        set_threads(2);

        const auto concepts = search.concepts(hits, 4, options);
        const logit_lens lens(tiny.model);
        for (std::size_t h = 0; h < hits.size(); ++h) {
            xt::xtensor<float, 2> v = xt::empty<float>({std::size_t{1}, config.width});
            tiny.model.blocks[hits[h].where.layer].ffn.value(hits[h].where.index,
                                                             rows<float>(v)[0]);
            const token_ends ends = lens.project(v, 4).front();
            BOOST_TEST(concepts[h].promotes == ends.promotes);
            BOOST_TEST(concepts[h].suppresses == ends.suppresses);
        }
    }
    search_options everything;
    everything.limit = 1'000'000;
    BOOST_TEST(search.find(tokens, everything).size() == config.layers * config.inner_width);
}

BOOST_AUTO_TEST_CASE(like_compares_with_a_value_vector) {
    const tiny_model<> tiny("gpt2/hf");
    const concept_search search(tiny.model);
    const neuron like{1, 9};
    const std::vector<double> u = vector_of(tiny.model, like, {});
    each_option(tiny.model, [&](const search_options& options) {
        const table e = token_rows(tiny.model, options.form);
        const auto scores = search.scores(search.direction(like, options), options);
        const auto centred = [&](const std::vector<double>& v) {
            std::vector<double> out;
            for (const auto& row : e) { out.push_back(product(row, v)); }
            double mean = 0.0;
            for (const double s : out) { mean += s / static_cast<double>(out.size()); }
            for (double& s : out) { s -= mean; }
            return out;
        };
        const auto cosine = [](const std::vector<double>& a, const std::vector<double>& b) {
            return product(a, b) / std::sqrt(product(a, a) * product(b, b));
        };
        for (std::size_t i = 0; i < tiny.model.config.inner_width; i += 11) {
            const auto v = vector_of(tiny.model, {0, i}, options);
            double expected = product(u, v);
            if (options.scale == score_scale::norm) { expected = cosine(u, v); }
            if (options.scale == score_scale::spread) { expected = cosine(centred(u), centred(v)); }
            check_near(double{scores(0, i)}, expected, 2e-5 * std::max(1.0, std::abs(expected)));
        }
        search_options limited = options;
        limited.limit = 10'000;
        const auto hits = search.find(like, limited);
        const bool own = std::ranges::any_of(hits, [&](auto& h) { return h.where == like; });
        BOOST_TEST(own == (options.side != neuron_side::value));
    });
}

BOOST_AUTO_TEST_CASE(what_cannot_be_searched_is_refused) {
    const tiny_model<> llama("llama/hf");
    const tiny_model<> gpt2("gpt2/hf");
    const concept_search search(llama.model);
    const auto of = [](const auto& s, std::vector<token_id> tokens, search_options options = {}) {
        return error_message([&] { static_cast<void>(s.find(tokens, options)); });
    };
    const auto size = static_cast<token_id>(llama.model.config.vocabulary);
    const std::string range = ": expected 0 to " + std::to_string(size - 1);
    BOOST_TEST(of(search, {}) == "search: expected at least 1 token, got 0");
    BOOST_TEST(of(search, {size}) == "search: token " + std::to_string(size) + range);
    BOOST_TEST(of(search, {-1}) == "search: token -1" + range);
    BOOST_TEST(of(search, {1}, {.form = projection::normed}) ==
               "projection: expected folded or raw, which are linear, got normed");
    BOOST_TEST(of(search, {1}, {.side = neuron_side::key}) ==
               "side: the layers are gated: expected value, gate or up, got key");
    BOOST_TEST(of(concept_search(gpt2.model), {1}, {.side = neuron_side::gate}) ==
               "side: the layers have no gate: expected value or key, got gate");
    BOOST_TEST(of(concept_search(gpt2.model), {1}, {.side = neuron_side::up}) ==
               "side: the layers have no gate: expected value or key, got up");
    const auto other = [&] { static_cast<void>(search.find(neuron{99, 0}, {})); };
    BOOST_TEST(error_message(other).starts_with("neuron 99:0: layer 99, the model has layers 0 "));
    BOOST_TEST(error_message([&] { parse_side("values"); }) ==
               "side: expected value, key, gate or up, got 'values'");
    BOOST_TEST(error_message([&] { parse_scale("std"); }) ==
               "normalise: expected none, norm or spread, got 'std'");
}

BOOST_AUTO_TEST_CASE(random_vectors_are_scored_as_neurons_are) {
    const tiny_model<> tiny("gpt2/hf");
    const concept_search search(tiny.model);
    const std::vector<token_id> tokens{1, 2, 30};
    const auto nothing = [](std::size_t, std::size_t) {};
    each_option(tiny.model, [&](search_options options) {
        for (const search_end end :
             {search_end::promotes, search_end::suppresses, search_end::either}) {
            options.end = end;
            const table e = token_rows(tiny.model, options.form);
            const auto direction = search.direction(tokens, options);
            const random_scores found =
                score_random_vectors(search, direction, options, 3, 8, nothing);
            std::vector<double> expected;
            for (std::size_t l = 0; l < tiny.model.config.layers; ++l) {
                const xt::xtensor<float, 2> real = search.layer(l, options).columns();
                const auto drawn = random_vectors(vector_moments(real), 8, l * 3).some(0, 3);
                for (std::size_t n = 0; n < 3; ++n) {
                    std::vector<double> v(drawn.shape(1));
                    for (std::size_t d = 0; d < v.size(); ++d) { v[d] = double{drawn(n, d)}; }
                    const double score = score_by_loops(e, tokens, v, options.scale);
                    expected.push_back(end == search_end::either       ? std::abs(score)
                                       : end == search_end::suppresses ? -score
                                                                       : score);
                }
            }
            BOOST_TEST(found.count() == expected.size());
            const double best = std::ranges::max(expected);
            check_near(double{found.best()}, best, 2e-5 * std::max(1.0, std::abs(best)));
        }
    });
}

BOOST_AUTO_TEST_CASE(a_concept_beside_random_vectors) {
    const tiny_model<> tiny("llama/hf");
    const neuron where{1, 5};
    constexpr std::size_t k = 6;
    for (const projection form : {projection::raw, projection::folded}) {
        const table e = token_rows(tiny.model, form);
        std::vector<double> mean(tiny.model.config.width);
        for (const auto& row : e) {
            for (std::size_t d = 0; d < mean.size(); ++d) {
                mean[d] += row[d] / static_cast<double>(e.size());
            }
        }
        const auto v = vector_of(tiny.model, where, {.form = form});
        std::vector<std::pair<double, std::size_t>> ranked;
        for (std::size_t w = 0; w < e.size(); ++w) { ranked.emplace_back(-product(e[w], v), w); }
        std::ranges::sort(ranked);
        double sum = 0.0;
        const auto unit = [&](std::size_t place) {
            std::vector<double> out = e[ranked[place].second];
            for (std::size_t d = 0; d < out.size(); ++d) { out[d] -= mean[d]; }
            const double length = std::sqrt(product(out, out));
            for (double& x : out) { x /= length; }
            return out;
        };
        for (std::size_t a = 0; a < k; ++a) {
            for (std::size_t b = 0; b < k; ++b) { sum += a == b ? 0.0 : product(unit(a), unit(b)); }
        }
        const auto best = static_cast<token_id>(ranked.front().second);
        const concept_control control(tiny.model, form);
        const controlled_concept found = control.compare(where, k, 40, 2);
        check_near(double{found.promotes.coherence.value}, sum / (k * (k - 1)), 1e-5);
        check_near(double{found.promotes.peak.value},
                   score_by_loops(e, {best}, v, score_scale::spread), 1e-4);

        // The random figures are those of the vectors themselves.
        const search_options options{.form = form};
        const xt::xtensor<float, 2> real =
            concept_search(tiny.model).layer(where.layer, options).columns();
        const auto drawn = random_vectors(vector_moments(real), 2, where.layer * 40).some(0, 40);
        double total = 0.0;
        for (const concept_quality& q : control.measure(drawn, k)) {
            total += double{q.suppresses.peak} / 40.0;
        }
        check_near(found.suppresses.peak.random_mean, total, 1e-6);
        BOOST_TEST(found.suppresses.peak.random_share >= 0.0);
        BOOST_TEST(found.suppresses.peak.random_share <= 1.0);
    }
    BOOST_TEST(error_message([&] { concept_control(tiny.model, projection::normed); }) ==
               "control: projection: expected folded or raw, got normed");
}

BOOST_AUTO_TEST_CASE(a_report_is_its_parts) {
    const tiny_model<> tiny("qwen2/hf");
    const concept_search search(tiny.model);
    const std::vector<token_id> tokens = {3, 5};
    search_neurons_options options;
    options.search = {.end = search_end::either, .limit = 6};
    options.top = 4;
    options.control = 7;
    options.seed = 11;
    const auto check = [&](const search_report& found, const auto& like) {
        const auto hits = search.find(like, options.search);
        const auto concepts = search.concepts(hits, options.top, options.search);
        const random_scores random =
            score_random_vectors(search, search.direction(like, options.search), options.search, 7,
                                 11, [](std::size_t, std::size_t) {});
        BOOST_TEST(found.random_vectors == 7 * tiny.model.config.layers);
        BOOST_TEST(found.random_best == random.best());
        BOOST_TEST_REQUIRE(found.hits.size() == 6U);
        for (std::size_t i = 0; i < hits.size(); ++i) {
            const search_report::hit& hit = found.hits[i];
            BOOST_TEST((hit.where == hits[i].where));
            BOOST_TEST(hit.score == hits[i].score);
            BOOST_TEST((hit.ends.promotes == concepts[i].promotes));
            BOOST_TEST_REQUIRE(hit.random_share.has_value());
            BOOST_TEST(*hit.random_share == random.share(std::abs(hit.score)));
            const auto v = vector_of(tiny.model, hit.where, options.search);
            check_near(double{hit.norm}, std::sqrt(product(v, v)), 1e-5);
        }
    };
    check(search_neurons(tiny.model, tokens, options), std::span<const token_id>(tokens));
    check(search_neurons(tiny.model, neuron{1, 2}, options), neuron{1, 2});
    options.control = 0;
    const search_report alone = search_neurons(tiny.model, tokens, options);
    BOOST_TEST(alone.random_vectors == 0U);
    BOOST_TEST(!alone.hits.front().random_share.has_value());
    BOOST_TEST(error_message([&] {
                   (void)search_neurons(tiny.model, std::vector<token_id>{}, options);
               }) == "search: expected at least 1 token, got 0");
}

BOOST_AUTO_TEST_CASE(a_report_reads_an_index_of_its_own_vectors) {
    const tiny_model<> tiny("qwen2/hf");
    const temporary_directory folder;
    const auto path = folder.path() / "index";
    write_index(tiny.model, 1, 5, projection::raw, path, {});
    const concept_index index(path, 1);
    const std::vector<token_id> tokens = {3};
    search_neurons_options options;
    options.search.form = projection::raw;
    options.top = 5;
    options.control = 0;
    const search_report computed = search_neurons(tiny.model, tokens, options);
    options.index = &index;
    const search_report read = search_neurons(tiny.model, tokens, options);
    for (std::size_t i = 0; i < computed.hits.size(); ++i) {
        BOOST_TEST((read.hits[i].ends.suppresses == computed.hits[i].ends.suppresses));
    }
    options.search.side = neuron_side::gate;
    BOOST_TEST(error_message([&] { (void)search_neurons(tiny.model, tokens, options); }) ==
               "index: holds value vectors, expected the side value, got gate");
    options.search.side = neuron_side::value;
    options.search.form = projection::folded;
    BOOST_TEST(error_message([&] { (void)search_neurons(tiny.model, tokens, options); }) ==
               path.string() + ": index: projection: expected folded, got raw");
}

BOOST_AUTO_TEST_CASE(smollm2_equals_plain_loops) {
    const checkpoint file = open_checkpoint(default_model());
    const auto model = assemble(file);
    const concept_search search(model);
    const std::vector<token_id> tokens{504, 3575, 49151};
    table picked;
    for (const token_id w : tokens) {
        std::vector<double> row;
        for (std::size_t d = 0; d < model.config.width; ++d) {
            row.push_back(
                double{model.unembedding.sections[0].out(static_cast<std::size_t>(w), d)} *
                double{model.final_norm->gain(d)});
        }
        picked.push_back(std::move(row));
    }
    for (const neuron_side side : {neuron_side::value, neuron_side::gate, neuron_side::up}) {
        const search_options options{.side = side};
        const auto scores = search.scores(search.direction(tokens, options), options);
        BOOST_REQUIRE(scores.size() == 46'080U);
        for (std::size_t n = 0; n < scores.size(); n += 313) {
            const neuron where{n / 1536, n % 1536};
            const auto v = vector_of(model, where, options);
            check_near(double{scores(where.layer, where.index)},
                       score_by_loops(picked, {0, 1, 2}, v, score_scale::none), 1e-5);
        }
    }
}

namespace {

/// Mean and standard deviation of the V scores of each vector, by a projection of each. e (V, D)
/// flat, in double.
struct score_spread {
    double mean = 0.0;
    double deviation = 0.0;
};
std::vector<score_spread> spreads_by_projection(const std::vector<double>& e, std::size_t width,
                                                const table& vectors) {
    std::vector<score_spread> out(vectors.size());
    const std::size_t vocabulary = e.size() / width;
    parallel_for(vectors.size(), e.size(), [&](std::size_t n) {
        std::vector<double> scores(vocabulary);
        const double* v = vectors[n].data();
        double sum = 0.0;
        for (std::size_t w = 0; w < vocabulary; ++w) {
            const double* row = &e[w * width];
            double lanes[8] = {};
            for (std::size_t d = 0; d < width; d += 8) {
                for (std::size_t k = 0; k < 8; ++k) { lanes[k] += row[d + k] * v[d + k]; }
            }
            for (const double x : lanes) { scores[w] += x; }
            sum += scores[w];
        }
        out[n].mean = sum / static_cast<double>(vocabulary);
        double squares = 0.0;
        for (const double s : scores) { squares += (s - out[n].mean) * (s - out[n].mean); }
        out[n].deviation = std::sqrt(squares / static_cast<double>(vocabulary));
    });
    return out;
}

/// Some neurons in every layer.
std::vector<neuron> some_neurons(std::size_t step) {
    std::vector<neuron> out;
    for (std::size_t n = 5; n < 46'080; n += step) { out.push_back({n / 1536, n % 1536}); }
    return out;
}

}  // namespace

// Norms and spreads over the whole vocabulary of a real model; which of the picked neurons are best
// at either end. A layer's spreads come from a covariance of D·D: here from V scores a neuron.
BOOST_AUTO_TEST_CASE(smollm2_scaled_scores_equal_full_projections) {
    const checkpoint file = open_checkpoint(default_model());
    const auto model = assemble(file);
    const concept_search search(model);
    const std::vector<token_id> tokens{504, 3575, 49151};
    const std::size_t width = model.config.width;
    for (const projection form : {projection::folded, projection::raw}) {
        std::vector<double> e(model.config.vocabulary * width);
        std::vector<float> row(width);
        for (std::size_t w = 0; w < model.config.vocabulary; ++w) {
            model.unembedding.sections[0].out.row(w, row);
            for (std::size_t d = 0; d < width; ++d) {
                const double gain =
                    form == projection::folded ? double{model.final_norm->gain(d)} : 1.0;
                e[w * width + d] = double{row[d]} * gain;
            }
        }
        for (const neuron_side side : {neuron_side::value, neuron_side::gate, neuron_side::up}) {
            search_options options{.side = side, .form = form};
            const std::vector<neuron> neurons =
                some_neurons(form == projection::raw ? 1931 : 463);  // 24 and 100
            table vectors;
            for (const neuron& n : neurons) { vectors.push_back(vector_of(model, n, options)); }
            const auto spreads = spreads_by_projection(e, width, vectors);
            for (const score_scale scale : {score_scale::norm, score_scale::spread}) {
                options.scale = scale;
                const auto scores = search.scores(search.direction(tokens, options), options);
                std::vector<double> expected;
                for (std::size_t i = 0; i < neurons.size(); ++i) {
                    double mean = 0.0;
                    for (const token_id w : tokens) {
                        for (std::size_t d = 0; d < width; ++d) {
                            mean +=
                                e[static_cast<std::size_t>(w) * width + d] * vectors[i][d] / 3.0;
                        }
                    }
                    expected.push_back(scale == score_scale::norm
                                           ? mean / std::sqrt(product(vectors[i], vectors[i]))
                                           : (mean - spreads[i].mean) / spreads[i].deviation);
                    check_near(double{scores(neurons[i].layer, neurons[i].index)}, expected.back(),
                               2e-4);
                }
                // The order at both ends, among the neurons that were picked.
                xt::xtensor<float, 2> only = xt::empty<float>({std::size_t{1}, neurons.size()});
                for (std::size_t i = 0; i < neurons.size(); ++i) {
                    only(0, i) = scores(neurons[i].layer, neurons[i].index);
                }
                for (const search_end end : {search_end::promotes, search_end::suppresses}) {
                    options.end = end;
                    options.limit = 5;
                    const auto hits = concept_search::best(only, options);
                    std::vector<std::size_t> order(neurons.size());
                    for (std::size_t i = 0; i < order.size(); ++i) { order[i] = i; }
                    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
                        return end == search_end::promotes ? expected[a] > expected[b]
                                                           : expected[a] < expected[b];
                    });
                    for (std::size_t h = 0; h < hits.size(); ++h) {
                        check_near(expected[hits[h].where.index], expected[order[h]], 2e-4);
                    }
                }
            }
        }
    }
}
