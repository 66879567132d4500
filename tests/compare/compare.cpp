// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE compare
#include <boost/test/unit_test.hpp>

#include <xlens/compare/compare.hpp>
#include <xlens/compare/compare_logits.hpp>
#include <xlens/compare/compare_values.hpp>
#include <xlens/compare/layer_collector.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/generate/perplexity.hpp>
#include <xlens/interventions/ban.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_hyperparameters.hpp>

#include "support/error_message.hpp"
#include "support/tiny_model.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using nlohmann::json;

// The goldens: tests/golden/make_compare.py, by torch and NumPy.

namespace {

constexpr double near = 1e-5;

/// Within 1e-5 of the golden, or of it times 1e-5 where it is larger than 1.
void check_near(double found, const json& golden, std::string_view what) {
    const auto expected = golden.get<double>();
    BOOST_TEST(std::abs(found - expected) <= near * std::max(1.0, std::abs(expected)),
               what << ": " << found << ", expected " << expected);
}

intervene edits_of(const json& golden) {
    intervene out;
    for (const auto& one : golden["set"]) {
        out.set(parse_neuron(one["neuron"].get<std::string>(), "golden"),
                one["value"].get<float>());
    }
    return out;
}

void check_output(const output_difference& found, const json& golden) {
    BOOST_TEST(found.positions == golden["kl_each"].size());
    check_near(found.kl.mean, golden["kl"], "KL");
    check_near(found.kl.error, golden["kl_error"], "error of the KL");
    check_near(found.kl_median, golden["kl_quantiles"][0], "median");
    check_near(found.kl_95, golden["kl_quantiles"][1], "95 %");
    check_near(found.kl_99, golden["kl_quantiles"][2], "99 %");
    check_near(found.kl_max, golden["kl_max"], "largest KL");
    BOOST_TEST(found.kl_max_at == golden["kl_max_at"].get<std::size_t>());
    check_near(found.agreement.mean, golden["agreement"], "agreement");
    check_near(found.agreement.error, golden["agreement_error"], "error of the agreement");
    check_near(found.log_change, golden["log_change"], "|Δ log p|");
    check_near(found.probability_change.mean, golden["probability_change"], "Δp");
    check_near(found.probability_change.error, golden["probability_error"], "error of Δp");
    check_near(found.probability_rms, golden["probability_rms"], "rms of Δp");
    check_near(found.perplexity_a(), golden["perplexity_a"], "perplexity of A");
    check_near(found.perplexity_b(), golden["perplexity_b"], "perplexity of B");
    check_near(found.log_ratio.mean, golden["log_ratio"], "ratio");
    check_near(found.log_ratio.error, golden["log_ratio_error"], "error of the ratio");
    BOOST_TEST(found.ratio().mean == std::exp(found.log_ratio.mean));
    BOOST_TEST(found.ratio().error == found.ratio().mean * found.log_ratio.error);
}

/// The positions that were kept are those of largest KL.
void check_largest(const output_difference& found, const json& golden) {
    std::vector<std::pair<double, std::size_t>> all;
    for (std::size_t t = 0; t < found.positions; ++t) {
        all.emplace_back(-golden["kl_each"][t].get<double>(),
                         golden["predicted"][t].get<std::size_t>());
    }
    std::sort(all.begin(), all.end());
    for (std::size_t i = 0; i < found.largest.size(); ++i) {
        BOOST_TEST(found.largest[i].predicted == all[i].second);
        BOOST_TEST(std::abs(found.largest[i].kl + all[i].first) <=
                   near * std::max(1.0, found.largest[i].kl));
    }
}

void check_layers(const comparison& found, const json& golden) {
    BOOST_TEST_REQUIRE(found.layers.size() == golden["layers"].size());
    for (std::size_t l = 0; l < found.layers.size(); ++l) {
        const json& expected = golden["layers"][l];
        const layer_difference& layer = found.layers[l];
        BOOST_TEST_CONTEXT("layer " << l) {
            check_near(layer.kl, expected["kl"], "KL");
            check_near(layer.agreement, expected["agreement"], "agreement");
            check_near(layer.cosine, expected["cosine"], "cosine");
            check_near(layer.distance, expected["distance"], "distance");
            check_near(layer.overlap, expected["overlap"], "overlap");
            check_near(layer.jaccard, expected["jaccard"], "Jaccard");
            check_near(layer.coefficient_change, expected["coefficient_change"], "|Δm|/|m|");
        }
    }
    const json& saturation = golden["saturation"];
    check_near(found.saturation->a, saturation["a"], "saturation of A");
    check_near(found.saturation->b, saturation["b"], "saturation of B");
    check_near(found.saturation->shift,
               saturation["b"].get<double>() - saturation["a"].get<double>(), "shift");
    check_near(found.saturation->unchanged, saturation["unchanged"], "unchanged");
}

void check_values(const comparison& found, const json& golden) {
    std::vector<std::pair<double, neuron>> all;
    for (std::size_t l = 0; l < found.layers.size(); ++l) {
        const json& expected = golden[l];
        const value_difference& layer = found.layers[l].values.value();
        check_near(layer.cosine, expected["cosine"], "cosine of value vectors");
        check_near(layer.least, expected["least"], "least cosine");
        BOOST_TEST(layer.neuron == expected["neuron"].get<std::size_t>());
        check_near(layer.promoted, expected["promoted"], "promoted tokens");
        for (std::size_t i = 0; i < expected["each"].size(); ++i) {
            all.emplace_back(expected["each"][i].get<double>(), neuron{l, i});
        }
    }
    std::sort(all.begin(), all.end());
    BOOST_TEST_REQUIRE(found.values.size() == 10U);
    for (std::size_t i = 0; i < found.values.size(); ++i) {
        BOOST_TEST(to_string(found.values[i].where) == to_string(all[i].second));
        check_near(found.values[i].cosine, all[i].first, "cosine of a value vector");
        BOOST_TEST(found.values[i].a.size() == 10U);
        BOOST_TEST(found.values[i].b.size() == 10U);
    }
}

/// `b` with the case's edits beside `a`.
void check_case(const transformer<>& a, const transformer<>& b, const json& golden) {
    BOOST_TEST_CONTEXT(golden["name"]) {
        const auto ids = golden["ids"].get<std::vector<token_id>>();
        const compare_options options({golden["window"], golden["stride"]});
        intervene edits = edits_of(golden);
        const comparison found = compare(a, b, ids, options, edits);
        check_output(found.output, golden["output"]);
        check_largest(found.output, golden["output"]);
        BOOST_TEST(found.left_out.empty() == golden.contains("layers"));
        if (golden.contains("layers")) { check_layers(found, golden); }
        BOOST_TEST(found.values_left_out.empty() == golden.contains("values"));
        if (golden.contains("values")) { check_values(found, golden["values"]); }
        // As perplexity has it, which reads in f32 too.
        BOOST_TEST(found.output.nll_a == perplexity(a, ids, options.windows).nll,
                   boost::test_tools::tolerance(1e-6));
        BOOST_TEST(found.output.nll_b == perplexity(b, ids, options.windows, edits).nll,
                   boost::test_tools::tolerance(1e-6));
    }
}

json cases(const std::string& name) {
    return read_golden(golden_path("compare/" + name + ".json"))["cases"];
}

const tiny_model<>& llama() {
    static const tiny_model<> m("llama/hf");
    return m;
}
const tiny_model<>& qwen2() {
    static const tiny_model<> m("qwen2/hf");
    return m;
}

/// All figures of a comparison.
std::vector<double> numbers_of(const comparison& c) {
    const output_difference& o = c.output;
    std::vector<double> out{o.kl.mean,       o.kl.error,     o.kl_median,       o.kl_95,
                            o.kl_99,         o.kl_max,       o.agreement.mean,  o.log_change,
                            o.nll_a,         o.nll_b,        o.log_ratio.error, o.probability_rms,
                            c.saturation->a, c.saturation->b};
    for (const layer_difference& l : c.layers) {
        out.insert(out.end(), {l.kl, l.agreement, l.cosine, l.distance, l.overlap, l.jaccard,
                               l.coefficient_change});
        if (l.values) { out.insert(out.end(), {l.values->cosine, l.values->promoted}); }
    }
    for (const compared_position& p : o.largest) { out.push_back(p.kl); }
    for (const compared_value& v : c.values) { out.push_back(v.cosine); }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(tiny_checkpoints_differ_as_torch_says) {
    const json all = cases("tiny");
    BOOST_TEST_REQUIRE(all.size() == 4U);
    for (const json& golden : all) {
        const auto name = golden["name"].get<std::string>();
        const std::string first = name.substr(0, name.find(' '));
        const tiny_model<> a(first + "/hf");
        if (first == name) {
            check_case(a.model, a.model, golden);
        } else {
            check_case(a.model, tiny_model<>(name.substr(name.find(' ') + 1) + "/hf").model,
                       golden);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_default_model_under_edits_differs_as_torch_says) {
    const checkpoint file{gguf_file(default_model())};
    const transformer<> model = assemble(file);
    check_case(model, model, cases("smollm2")[0]);
}

BOOST_AUTO_TEST_CASE(a_model_differs_from_itself_by_exactly_nothing) {
    const tiny_model<> twice("llama/hf");
    const comparison found = compare(llama().model, twice.model, llama().ids, compare_options(9));
    BOOST_TEST(found.output.kl.mean == 0.0);
    BOOST_TEST(found.output.kl_max == 0.0);
    BOOST_TEST(found.output.agreement.mean == 1.0);
    BOOST_TEST(found.output.log_change == 0.0);
    BOOST_TEST(found.output.ratio().mean == 1.0);
    BOOST_TEST(found.output.ratio().error == 0.0);
    BOOST_TEST(found.output.largest.empty());
    for (const layer_difference& l : found.layers) {
        BOOST_TEST(l.kl == 0.0);
        BOOST_TEST(l.agreement == 1.0);
        BOOST_TEST(l.cosine == 1.0);
        BOOST_TEST(l.distance == 0.0);
        BOOST_TEST(l.overlap == 1.0);
        BOOST_TEST(l.jaccard == 1.0);
        BOOST_TEST(l.coefficient_change == 0.0);
        BOOST_TEST(l.values->cosine == 1.0);
        BOOST_TEST(l.values->promoted == 1.0);
    }
    BOOST_TEST(found.saturation->shift == 0.0);
    BOOST_TEST(found.saturation->unchanged == 1.0);
    BOOST_TEST(found.values.empty());
}

// As GGUF, where rows of queries and keys stand in another order: sums round otherwise, no more.
BOOST_AUTO_TEST_CASE(the_same_weights_in_another_file_differ_by_rounding) {
    const tiny_model<> gguf("llama/model.gguf");
    const comparison found = compare(llama().model, gguf.model, llama().ids, compare_options(16));
    BOOST_TEST(found.output.kl_max < 1e-8);
    BOOST_TEST(found.output.agreement.mean == 1.0);
    for (const layer_difference& l : found.layers) {
        BOOST_TEST(l.distance < 1e-5);
        BOOST_TEST(l.overlap == 1.0);
        BOOST_TEST(l.values->least == 1.0);
        BOOST_TEST(l.values->promoted == 1.0);
    }
    BOOST_TEST(found.values.empty());
}

BOOST_AUTO_TEST_CASE(neither_threads_nor_passes_change_a_bit) {
    compare_options options({16, 6});
    options.windows.prefix = {3, 5};
    const auto with = [&](std::size_t threads, std::size_t pass) {
        set_threads(threads);
        options.windows.pass = pass;
        return numbers_of(compare(llama().model, qwen2().model, llama().ids, options));
    };
    const std::size_t before = max_threads();
    const std::vector<double> expected = with(1, 64);
    BOOST_TEST(with(3, 64) == expected);
    BOOST_TEST(with(2, 5) == expected);
    set_threads(before);
}

BOOST_AUTO_TEST_CASE(the_end_of_a_prompt_is_read_beside_its_positions) {
    const std::vector<token_id> ids(llama().ids.begin(), llama().ids.begin() + 6);
    compare_options options(ids.size());
    options.to_end = true;
    const comparison found = compare(llama().model, qwen2().model, ids, options);
    BOOST_TEST(found.output.positions == 5U);
    BOOST_REQUIRE(found.output.end.has_value());
    const compared_position& end = *found.output.end;
    BOOST_TEST(end.predicted == 6U);
    BOOST_TEST(end.read == ids.back());
    BOOST_TEST(end.next == -1);
    // By the logits of a plain pass.
    const auto logits = [&](const transformer<>& model) {
        sequence_state state = model.start();
        model.forward(state, ids);
        return std::vector<double>(state.logits.begin(), state.logits.end());
    };
    const std::vector<double> a = logits(llama().model);
    const std::vector<double> b = logits(qwen2().model);
    const auto log_sum = [](const std::vector<double>& z) {
        double sum = 0.0;
        for (const double v : z) { sum += std::exp(v); }
        return std::log(sum);
    };
    double kl = 0.0;
    for (std::size_t w = 0; w < a.size(); ++w) {
        const double log_a = a[w] - log_sum(a);
        kl += std::exp(log_a) * (log_a - (b[w] - log_sum(b)));
    }
    BOOST_TEST(end.kl == kl, boost::test_tools::tolerance(1e-9));
    BOOST_TEST(end.a.top.size() == 5U);
    BOOST_TEST(static_cast<double>(end.a.top[0].score) == *std::ranges::max_element(a));
    // What the last token predicts counts in no mean.
    options.to_end = false;
    BOOST_TEST(compare(llama().model, qwen2().model, ids, options).output.kl.mean ==
               found.output.kl.mean);
}

BOOST_AUTO_TEST_CASE(rows_of_logits_by_hand) {
    const std::vector<float> a{0.0F, 0.0F};            // 1/2, 1/2
    const std::vector<float> b{std::log(3.0F), 0.0F};  // 3/4, 1/4
    const logit_difference d = compare_logits(a, b);
    BOOST_TEST(d.kl == 0.5 * std::log(4.0 / 3.0), boost::test_tools::tolerance(1e-7));
    BOOST_TEST(d.log_sum_a == std::log(2.0), boost::test_tools::tolerance(1e-12));
    BOOST_TEST(d.top_a == 0);  // the lower of equals
    BOOST_TEST(d.same_top());
    // Shifted logits are the same distribution; far apart ones neither overflow nor vanish.
    const std::vector<float> shifted{1000.0F, 1000.0F};
    BOOST_TEST(compare_logits(a, shifted).kl == 0.0);
    const std::vector<float> sure{2000.0F, -2000.0F};
    BOOST_TEST(compare_logits(a, sure).kl == 2000.0 - std::log(2.0),
               boost::test_tools::tolerance(1e-12));
    BOOST_TEST(compare_logits(sure, a).kl == std::log(2.0), boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(dominant_sub_updates_that_add_nothing_do_not_count) {
    const auto of = [](std::size_t i, float m) { return make_sub_update({0, i}, m, 1.0F); };
    const std::vector<sub_update> a{of(4, 2.0F), of(7, -1.0F), of(1, 0.0F)};
    const std::vector<sub_update> b{of(7, -3.0F), of(2, 1.0F), of(4, 2.5F), of(1, 0.5F)};
    const detail::dominant_difference d = detail::compare_dominant(a, b);
    BOOST_TEST(d.shared == 2U);
    BOOST_TEST(d.overlap == 0.5);
    BOOST_TEST(d.jaccard == 0.5);
    BOOST_TEST(d.change == 0.25 + 2.0);
    BOOST_TEST(detail::compare_dominant({}, {}).overlap == 1.0);
    BOOST_TEST(detail::compare_dominant(a, {}).jaccard == 0.0);
    const std::vector<float> zero{0.0F, 0.0F};
    const std::vector<float> one{3.0F, 4.0F};
    BOOST_TEST(cosine(zero, zero) == 1.0);
    BOOST_TEST(cosine(zero, one) == 0.0);
    BOOST_TEST(cosine(one, std::vector<float>{-3.0F, -4.0F}) == -1.0);
    BOOST_TEST(relative_distance(zero, zero) == 0.0);
    BOOST_TEST(relative_distance(one, zero) == 1.0);
    BOOST_TEST(std::isinf(relative_distance(zero, one)));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_compared_is_refused_or_left_out) {
    const tiny_model<> gpt2("gpt2/hf");
    const auto refusal = [](const transformer<>& a, const transformer<>& b,
                            std::span<const token_id> ids, const compare_options& options) {
        return error_message([&] { (void)compare(a, b, ids, options); });
    };
    const transformer<>& a = llama().model;
    const std::span<const token_id> ids = llama().ids;
    BOOST_TEST(refusal(a, gpt2.model, ids, compare_options(8)) ==
               "compare: vocabulary: 288 tokens in A and 300 in B, expected the same");
    BOOST_TEST(refusal(a, a, ids.first(1), compare_options(8)) ==
               "compare: 1 tokens, expected at least 2");
    BOOST_TEST(refusal(a, a, ids, compare_options(65)) == "window: expected 2 to 64, got 65");
    transformer<> small = qwen2().model;
    small.config.context = 8;
    BOOST_TEST(refusal(a, small, ids, compare_options(16)) ==
               "compare: window: 16 tokens, B reads at most 8");
    // A ban makes a logit -inf.
    ban words(std::vector<std::vector<token_id>>{{ids[0]}});
    BOOST_TEST(error_message([&] {
                   (void)compare(a, a, ids, compare_options(8), words);
               }).starts_with("compare: B: position 0: the logit of token "));
    const tiny_model<> neox("gpt_neox/hf");
    const comparison found = compare(a, neox.model, ids, compare_options(8));
    BOOST_TEST(found.left_out == "inner width: 48 and 64");
    BOOST_TEST(found.values_left_out == found.left_out);
    BOOST_TEST(found.layers.empty());
    BOOST_TEST(!found.saturation);
    compare_options alone(8);
    alone.layers = false;
    BOOST_TEST(compare(a, a, ids, alone).left_out == "not asked for");
}

// A window of one token more than the last whole one has nothing to predict.
BOOST_AUTO_TEST_CASE(a_last_window_of_one_token_is_passed_over) {
    const std::span<const token_id> ids = std::span(llama().ids).first(9);
    const comparison found = compare(llama().model, llama().model, ids, compare_options(8));
    BOOST_TEST(found.output.positions == 7U);
    BOOST_TEST(perplexity(llama().model, ids, 8).tokens == 7U);
}
