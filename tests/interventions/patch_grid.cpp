// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE patch_grid
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/core/attention_head.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/interventions/ban.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/interventions/patch.hpp>
#include <xlens/interventions/patch_grid.hpp>
#include <xlens/interventions/steer.hpp>
#include <xlens/io/load.hpp>
#include <xlens/model/branches.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/rows_of_floats.hpp"
#include "support/tiny_model.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using nlohmann::json;
namespace data = boost::unit_test::data;

namespace {

const std::vector<hook> sites{hook::embedding, hook::attention_out, hook::before, hook::ffn_out,
                              hook::after};

/// Tiny random checkpoints, one an order of things: norms before, after or absent, parallel blocks,
/// experts, windows, slopes, learned positions.
const std::vector<std::string> checkpoints{
    "models/gpt2/hf",      "models/gpt_neox/hf",  "models/llama/hf",    "models/mistral/hf",
    "families/bloom/hf",   "families/cohere2/hf", "families/gemma2/hf", "families/gemma3_text/hf",
    "families/gpt_oss/hf", "families/mixtral/hf", "families/olmo2/hf",  "families/phi3_longrope/hf",
    "families/stablelm/hf"};

struct opened {
    explicit opened(const std::string& name)
        : model(load(golden_path(name))),
          ids(read_golden(golden_path(name.substr(0, name.rfind('/')) + "/golden.json"))["ids"]
                  .get<std::vector<token_id>>()) {
        ids.resize(std::min<std::size_t>(ids.size(), 7));
        for (const token_id id : ids) {
            other.push_back((id * 7 + 3) % static_cast<token_id>(model.config.vocabulary));
        }
    }
    xlens::model model;
    std::vector<token_id> ids;
    std::vector<token_id> other;
};

std::vector<float> logits(const transformer<>& model, std::span<const token_id> ids, patch& with) {
    sequence_state state = model.start();
    model.forward(state, ids, with);
    return {state.logits.begin(), state.logits.end()};
}

/// The grid, cell by cell with a whole pass each.
void check_whole_passes(const opened& m, const patch_values& values, const patch_metric& metric,
                        std::span<const float> reference) {
    for (const std::size_t batch : {std::size_t{1}, std::size_t{512}}) {
        patch_grid_options options;
        options.metric = metric;
        options.batch = batch;
        const patch_grid_result grid = patch_grid(m.model, m.ids, values, options);
        const metric_reader read(metric, m.model.config.vocabulary, reference);
        BOOST_REQUIRE(grid.positions.size() == m.ids.size());
        std::size_t moved = 0;
        for (std::size_t i = 0; i < grid.places.size(); ++i) {
            for (const std::size_t p : grid.positions) {
                patch whole;
                whole.at(grid.places[i].site, grid.places[i].layer, p, values.at(i, p));
                const double expected = read(logits(m.model, m.ids, whole));
                BOOST_TEST(grid.metric(i, p) == expected);
                moved += grid.metric(i, p) != grid.prompt ? 1U : 0U;
            }
        }
        BOOST_TEST(moved > grid.metric.size() / 4);
    }
}

void check_golden(const xlens::model& model, const std::string& file) {
    const json golden = read_golden(golden_path(file));
    const auto prompt = golden["prompt"].get<std::vector<token_id>>();
    const auto source = golden["source"].get<std::vector<token_id>>();
    const auto tokens = golden["tokens"].get<std::vector<token_id>>();
    using enum patch_metric::kind;
    const patch_metric kinds[] = {{logit_difference, tokens[0], tokens[1]},
                                  {probability, tokens[0], 0},
                                  {kl_source, 0, 0},
                                  {kl_prompt, 0, 0}};
    const auto near = [](double found, const json& expected) {
        BOOST_TEST(std::abs(found - expected.get<double>()) < 1e-4,
                   found << " != " << expected.dump());
    };
    std::vector<layer_site> places;
    for (const json& row : golden["grid"]) {
        places.push_back(
            {*find_patch_site(row["site"].get<std::string>()), row["layer"].get<std::size_t>()});
    }
    const patch_values values = source_values(model, places, source, prompt.size());
    for (std::size_t k = 0; k < 4; ++k) {
        patch_grid_options options;
        options.metric = kinds[k];
        const patch_grid_result grid = patch_grid(model, prompt, values, options);
        near(grid.prompt, golden["of_prompt"][k]);
        near(grid.source.value(), golden["of_source"][k]);
        for (std::size_t i = 0; i < places.size(); ++i) {
            for (std::size_t p = 0; p < prompt.size(); ++p) {
                near(grid.metric(i, p), golden["grid"][i]["metrics"][p][k]);
            }
        }
    }
    const auto text = golden["text"].get<std::vector<token_id>>();
    const auto brief = golden["short"].get<std::vector<token_id>>();
    mean_options how;
    how.window = golden["window"].get<std::size_t>();
    how.prefix = golden["start"].get<std::vector<token_id>>();
    const auto check_ablated = [&](const char* key, const patch_values& with) {
        patch_grid_options options;
        options.metric = kinds[0];
        options.positions = golden["ablated"][0]["positions"].get<std::vector<std::size_t>>();
        const patch_grid_result grid = patch_grid(model, prompt, with, options);
        for (std::size_t i = 0; i < places.size(); ++i) {
            for (std::size_t j = 0; j < options.positions.size(); ++j) {
                near(grid.metric(i, j), golden["ablated"][i][key][j][0]);
            }
        }
    };
    check_ablated("zero", zero_values(model, places, prompt.size()));
    check_ablated("mean", mean_values(model, places, text, prompt.size(), how));
    check_ablated("aligned_by_end",
                  source_values(model, places, brief, prompt.size(), patch_align::end));
}

/// One head's numbers in the place of the model's own, at some positions.
struct swapped_head {
    static constexpr hook hooks = hook::head_outputs;
    attention_head which;
    std::size_t size;
    const patch_values& theirs;
    std::size_t place;
    std::vector<std::size_t> positions;
    void head_outputs(const site& where, rows<float> z) {
        for (std::size_t t = 0; where.layer == which.layer && t < z.count(); ++t) {
            if (std::ranges::find(positions, t) == positions.end()) { continue; }
            for (std::size_t k = which.index * size; k < (which.index + 1) * size; ++k) {
                z[t][k] = theirs.at(place, t)[k];
            }
        }
    }
};

/// A grid of heads, cell by cell with a whole pass each.
template <class... P>
void check_heads(const opened& m, const patch_values& values, const patch_grid_options& options,
                 std::span<const float> reference, P&... edits) {
    const std::size_t heads = m.model.config.heads;
    const patch_grid_result grid = patch_grid(m.model, m.ids, values, options, edits...);
    const metric_reader read(options.metric, m.model.config.vocabulary, reference);
    BOOST_TEST(grid.heads == heads);
    BOOST_REQUIRE(grid.columns() == heads);
    BOOST_REQUIRE(grid.places.size() == m.model.config.layers);
    std::size_t moved = 0;
    for (std::size_t l = 0; l < grid.places.size(); ++l) {
        for (std::size_t h = 0; h < heads; ++h) {
            swapped_head one{{l, h}, m.model.config.head_size, values, l, grid.positions};
            sequence_state state = m.model.start();
            m.model.forward(state, m.ids, edits..., one);
            const double expected = read({state.logits.data(), state.logits.size()});
            BOOST_TEST(grid.metric(l, h) == expected, "head " << l << ":" << h);
            moved += expected != grid.prompt ? 1U : 0U;
        }
    }
    BOOST_TEST(moved > grid.metric.size() / 2);
}

void check_heads(const opened& m) {
    using enum patch_metric::kind;
    const auto places = patch_places(std::vector{hook::head_outputs}, {}, m.model.config.layers);
    const patch_values theirs = source_values(m.model, places, m.other, m.ids.size());
    const patch_values zero = zero_values(m.model, places, m.ids.size());
    for (const std::size_t batch : {std::size_t{1}, std::size_t{512}}) {
        patch_grid_options options;
        options.batch = batch;
        options.metric = {kl_source, 0, 0};
        check_heads(m, theirs, options, theirs.logits);
        options.metric = {logit_difference, 3, 5};
        options.positions = {6, 3, 4};  // in any order
        check_heads(m, theirs, options, {});
        options.metric = {probability, 3, 0};
        check_heads(m, zero, options, {});
    }
    patch_grid_options options;
    options.metric = {logit_difference, 3, 5};
    intervene edits;
    edits.set({0, 3}, 2.5F).scale({1, 5}, -3.0F);
    const patch_values edited = source_values(m.model, places, m.other, m.ids.size(), {}, edits);
    check_heads(m, edited, options, {}, edits);
    // The prompt's own heads change nothing, and are not run.
    const patch_values own = source_values(m.model, places, m.ids, m.ids.size());
    const patch_grid_result same = patch_grid(m.model, m.ids, own, options);
    for (const double value : same.metric) { BOOST_TEST(value == same.prompt); }
}

void check_golden_heads(const xlens::model& model, const std::string& file) {
    using enum patch_metric::kind;
    const json golden = read_golden(golden_path(file));
    const auto prompt = golden["prompt"].get<std::vector<token_id>>();
    const auto source = golden["source"].get<std::vector<token_id>>();
    const auto tokens = golden["tokens"].get<std::vector<token_id>>();
    const auto some = golden["positions"].get<std::vector<std::size_t>>();
    const patch_metric kinds[] = {{logit_difference, tokens[0], tokens[1]},
                                  {probability, tokens[0], 0},
                                  {kl_source, 0, 0},
                                  {kl_prompt, 0, 0}};
    std::vector<std::size_t> layers;
    // Layers by heads: of all metrics, or where there are many layers of the first.
    const auto check = [&](const patch_values& with, const std::vector<std::size_t>& positions,
                           const json& rows, const std::string& key) {
        for (std::size_t k = 0; k < (rows.size() > 4 ? 1U : 4U); ++k) {
            if (kinds[k].what == kl_source && key != "metrics") { continue; }
            patch_grid_options options;
            options.metric = kinds[k];
            options.positions = positions;
            const patch_grid_result grid = patch_grid(model, prompt, with, options);
            BOOST_TEST(std::abs(grid.prompt - golden["of_prompt"][k].get<double>()) < 1e-4);
            BOOST_REQUIRE(grid.columns() == rows[0][key].size());
            for (std::size_t i = 0; i < grid.places.size(); ++i) {
                for (std::size_t h = 0; h < grid.columns(); ++h) {
                    const double expected = rows[i][key][h][k];
                    BOOST_TEST(std::abs(grid.metric(i, h) - expected) < 1e-4,
                               key << " of head " << grid.places[i].layer << ":" << h << ": "
                                   << grid.metric(i, h) << " != " << expected);
                }
            }
        }
    };
    const std::vector heads{hook::head_outputs};
    const auto all = patch_places(heads, {}, model.config.layers);
    check(source_values(model, all, source, prompt.size()), {}, golden["grid"], "metrics");
    json some_rows;
    for (const json& row : golden["ablated"]) {
        layers.push_back(row["layer"]);
        some_rows.push_back(golden["grid"][layers.back()]);
    }
    const auto places = patch_places(heads, layers, model.config.layers);
    check(source_values(model, places, source, prompt.size()), {}, some_rows, "metrics");
    mean_options how;
    how.window = golden["window"].get<std::size_t>();
    how.prefix = golden["start"].get<std::vector<token_id>>();
    const auto text = golden["text"].get<std::vector<token_id>>();
    const auto brief = golden["short"].get<std::vector<token_id>>();
    const json& ablated = golden["ablated"];
    check(zero_values(model, places, prompt.size()), some, ablated, "zero");
    check(mean_values(model, places, text, prompt.size(), how), some, ablated, "mean");
    check(source_values(model, places, brief, prompt.size(), patch_align::end), some, ablated,
          "aligned_by_end");
}

/// All layers and positions: z_A - z_B in float32, by site, layer and position.
void check_whole_grid(const xlens::model& model, const std::string& folder) {
    const json golden = read_golden(golden_path(folder + "/patch.json"));
    const auto prompt = golden["prompt"].get<std::vector<token_id>>();
    const auto source = golden["source"].get<std::vector<token_id>>();
    const std::vector<hook> in_file{hook::embedding, hook::attention_out, hook::before,
                                    hook::ffn_out, hook::after};
    const std::vector<layer_site> places = patch_places(in_file, {}, model.config.layers);
    const std::size_t length = prompt.size();
    std::vector<float> expected(places.size() * length + 1);
    std::ifstream in(golden_path(folder + "/patch_grid.bin"), std::ios::binary);
    in.read(reinterpret_cast<char*>(expected.data()),
            static_cast<std::streamsize>(expected.size() * sizeof(float)));
    BOOST_REQUIRE(static_cast<std::size_t>(in.gcount()) == places.size() * length * sizeof(float));
    patch_grid_options options;
    options.metric = {patch_metric::kind::logit_difference, golden["tokens"][0].get<token_id>(),
                      golden["tokens"][1].get<token_id>()};
    const patch_values values = source_values(model, places, source, length);
    const patch_grid_result grid = patch_grid(model, prompt, values, options);
    double worst = 0.0;
    for (std::size_t i = 0; i < places.size(); ++i) {
        for (std::size_t p = 0; p < length; ++p) {
            const double off = std::abs(grid.metric(i, p) - double{expected[i * length + p]});
            BOOST_TEST(off < 1e-4, "layer " << places[i].layer << ", position " << p);
            worst = std::max(worst, off);
        }
    }
    BOOST_TEST_MESSAGE(folder << ": " << worst);
}

/// The edited model is patched: the grid's cells are whole passes with edits, then the patch.
void check_edited(const opened& m) {
    const std::vector<layer_site> places = patch_places(sites, {}, m.model.config.layers);
    intervene edits;
    edits.set({0, 3}, 2.5F).scale({1, 5}, -3.0F);
    steer push(1, std::vector<float>(m.model.config.width, 0.3F), 1.0F, position_set({2, 5}));
    const patch_values theirs =
        source_values(m.model, places, m.other, m.ids.size(), {}, edits, push);
    patch_grid_options options;
    options.metric = {patch_metric::kind::logit_difference, 3, 5};
    const patch_grid_result grid = patch_grid(m.model, m.ids, theirs, options, edits, push);
    const metric_reader read(options.metric, m.model.config.vocabulary, {});
    const auto whole = [&](std::span<const token_id> ids, patch& with) {
        sequence_state state = m.model.start();
        m.model.forward(state, ids, edits, push, with);
        return read(std::span<const float>(state.logits.data(), state.logits.size()));
    };
    patch nothing;
    BOOST_TEST(grid.prompt == whole(m.ids, nothing));
    BOOST_TEST(grid.source.value() == whole(m.other, nothing));
    BOOST_TEST(grid.prompt != patch_grid(m.model, m.ids, theirs, options).prompt);
    for (std::size_t i = 0; i < places.size(); ++i) {
        for (const std::size_t p : grid.positions) {
            patch one;
            one.at(places[i].site, places[i].layer, p, theirs.at(i, p));
            BOOST_TEST(grid.metric(i, p) == whole(m.ids, one));
        }
    }
    ban words(std::vector<std::vector<token_id>>{{3}});
    BOOST_TEST(error_message([&] { (void)patch_grid(m.model, m.ids, theirs, options, words); }) ==
               "patch: expected edits of residuals or coefficients, got one of what is read out");
    const std::vector<layer_site> one_place{{hook::after, 0}};
    keep_sites other_rows(one_place);
    BOOST_TEST(error_message([&] {
                   (void)patch_grid(m.model, m.ids, theirs, options, other_rows);
               }) == "patch: expected edits that look at each row for itself");
}

}  // namespace

BOOST_DATA_TEST_CASE(a_grid_has_the_bits_of_whole_passes, data::make(checkpoints), name) {
    const opened m(name);
    const std::vector<layer_site> places = patch_places(sites, {}, m.model.config.layers);
    BOOST_TEST(places.size() == 1 + 4 * m.model.config.layers);
    const patch_values theirs = source_values(m.model, places, m.other, m.ids.size());
    check_whole_passes(m, theirs, {patch_metric::kind::logit_difference, 3, 5}, {});
    check_whole_passes(m, theirs, {patch_metric::kind::kl_source, 0, 0}, theirs.logits);
    check_whole_passes(m, zero_values(m.model, places, m.ids.size()),
                       {patch_metric::kind::probability, 3, 0}, {});
}

BOOST_DATA_TEST_CASE(a_grid_of_heads_has_the_bits_of_whole_passes, data::make(checkpoints), name) {
    check_heads(opened(name));
}

BOOST_DATA_TEST_CASE(edits_run_in_every_pass, data::make(checkpoints), name) {
    check_edited(opened(name));
}

BOOST_AUTO_TEST_CASE(what_a_whole_prompt_has_makes_its_prediction) {
    const opened m("models/llama/hf");
    const std::size_t layers = m.model.config.layers;
    const std::vector<layer_site> places = patch_places(sites, {}, layers);
    patch_grid_options options;
    options.metric = {patch_metric::kind::logit_difference, 3, 5};
    const patch_values own = source_values(m.model, places, m.ids, m.ids.size());
    const patch_grid_result same = patch_grid(m.model, m.ids, own, options);
    BOOST_TEST(same.source.value() == same.prompt);
    BOOST_TEST(!same.has_scale());
    BOOST_TEST(!same.normalised(0, 0).has_value());
    for (const double value : same.metric) { BOOST_TEST(value == same.prompt); }
    const patch_values theirs = source_values(m.model, places, m.other, m.ids.size());
    const patch_grid_result grid = patch_grid(m.model, m.ids, theirs, options);
    BOOST_REQUIRE(grid.has_scale());
    // The last residual is the prediction; earlier positions of the last layer are not read.
    const std::size_t last = m.ids.size() - 1;
    BOOST_TEST((grid.places.back() == layer_site{hook::after, layers - 1}));
    BOOST_TEST(grid.normalised(grid.places.size() - 1, last).value() == 1.0);
    BOOST_TEST(grid.normalised(grid.places.size() - 1, 0).value() == 0.0);
    const std::size_t threads = max_threads();
    set_threads(1);
    const patch_grid_result alone = patch_grid(m.model, m.ids, theirs, options);
    set_threads(threads);
    BOOST_TEST((alone.metric == grid.metric));
}

BOOST_AUTO_TEST_CASE(positions_are_matched_as_asked) {
    const opened m("models/gpt2/hf");
    const std::vector<layer_site> places{{hook::after, 0}};
    const std::span<const token_id> brief = std::span(m.other).first(5);
    BOOST_TEST(error_message([&] { (void)source_values(m.model, places, brief, 7); }) ==
               "patch: a source of 5 tokens, the prompt has 7; say how they are aligned, by start "
               "or by end");
    const patch_values start = source_values(m.model, places, brief, 7, patch_align::start);
    const patch_values end = source_values(m.model, places, brief, 7, patch_align::end);
    BOOST_TEST((start.positions() == std::vector<std::size_t>{0, 1, 2, 3, 4}));
    BOOST_TEST((end.positions() == std::vector<std::size_t>{2, 3, 4, 5, 6}));
    BOOST_TEST(same_bits(start.at(0, 4), end.at(0, 6)));
    const patch_values longer = source_values(m.model, places, m.other, 5, patch_align::end);
    BOOST_TEST(same_bits(longer.at(0, 4), rows<const float>(longer.rows_of[0])[6]));
    patch_grid_options options;
    options.metric = {patch_metric::kind::logit_difference, 3, 5};
    BOOST_TEST((patch_grid(m.model, m.ids, end, options).positions == end.positions()));
    options.positions = {1};
    BOOST_TEST(error_message([&] { (void)patch_grid(m.model, m.ids, end, options); }) ==
               "patch: position 1 has no partner in the source");
    options.positions = {7};
    BOOST_TEST(error_message([&] { (void)patch_grid(m.model, m.ids, end, options); }) ==
               "patch: position 7, the prompt has positions 0 to 6");
    options.positions = {3, 3};
    BOOST_TEST(error_message([&] { (void)patch_grid(m.model, m.ids, end, options); }) ==
               "patch: position 3 is given twice");
    BOOST_TEST(error_message([&] { (void)patch_grid(m.model, brief, end); }) ==
               "patch: values for 7 positions, the prompt has 5");
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
    const opened m("models/gpt2/hf");
    const auto places = [&](std::vector<hook> s, std::vector<std::size_t> l) {
        return error_message([&] { (void)patch_places(s, l, 2); });
    };
    BOOST_TEST(places({}, {}) == "patch: expected at least 1 site, got 0");
    BOOST_TEST(places({hook::after}, {2}) == "patch: layer 2, the model has layers 0 to 1");
    BOOST_TEST(places({hook::after}, {1, 1}) == "patch: after of layer 1 is given twice");
    BOOST_TEST(places({hook::logits}, {}) ==
               "patch: expected one of the sites embedding, head_outputs, attention_out, before, "
               "ffn_out and after");
    const patch_values zero = zero_values(m.model, {{hook::after, 0}}, m.ids.size());
    patch_grid_options options;
    const patch_values mixed =
        zero_values(m.model, {{hook::head_outputs, 0}, {hook::after, 0}}, m.ids.size());
    BOOST_TEST(error_message([&] { (void)patch_grid(m.model, m.ids, mixed, options); }) ==
               "patch: expected head_outputs alone, whose columns are heads, got other sites too");
    patch_values bad = zero_values(m.model, {{hook::head_outputs, 0}}, m.ids.size());
    bad.rows_of[0](0, 2) = INFINITY;
    options.metric = {patch_metric::kind::kl_prompt, 0, 0};
    BOOST_TEST(error_message([&] {
                   (void)patch_grid(m.model, m.ids, bad, options);
               }).starts_with("patch: number 2 of a head is inf, expected"));
    const auto grid = [&](patch_metric metric) {
        options.metric = metric;
        return error_message([&] { (void)patch_grid(m.model, m.ids, zero, options); });
    };
    using enum patch_metric::kind;
    BOOST_TEST(grid({logit_difference, 4, 4}) == "metric: expected two tokens, got 4 twice");
    BOOST_TEST(grid({kl_source, 0, 0}).starts_with("metric: a divergence from 0 logits"));
    BOOST_TEST(grid({kl_prompt, 0, 0}) == "(no error)");
    BOOST_TEST(grid({probability, 999'999, 0}).starts_with("metric: token 999999"));
    BOOST_TEST(
        error_message([&] {
            mean_options narrow;
            narrow.window = 8;
            (void)mean_values(m.model, {{hook::after, 0}}, std::span(m.ids).first(1), 7, narrow);
        }) == "patch: the mean over a text of 1 tokens: expected at least 2");
    patch far;
    far.at(hook::after, 0, 900'000, std::vector<float>(m.model.config.width, 1.0F));
    BOOST_TEST(error_message([&] {
                   logits(m.model, m.ids, far);
               }).starts_with("patch: position 900000, the model reads positions 0 to "));
    patch late;
    late.at(hook::after, 0, 7, std::vector<float>(m.model.config.width, 1.0F));
    BOOST_TEST(error_message([&] { late.check_positions(7); }) ==
               "patch: position 7, of a text of 7 positions");
    BOOST_TEST(error_message([&] { late.check_positions(8); }) == "(no error)");
}

BOOST_AUTO_TEST_CASE(branches_that_do_not_fit_are_refused) {
    const opened m("models/llama/hf");
    sequence_state state = m.model.start();
    m.model.forward(state, m.ids);
    const std::size_t width = m.model.config.width;
    xt::xtensor<float, 2> x = xt::zeros<float>({std::size_t{2}, width});
    dynamic_policies none;
    const auto refusal = [&](const std::vector<branch>& branches, std::size_t first,
                             std::size_t end) {
        return error_message([&] { run_branches(m.model, state, branches, first, end, x, none); });
    };
    BOOST_TEST(refusal({{5, 2}}, 0, 2) == "(no error)");
    BOOST_TEST(refusal({{6, 2}}, 0, 2) == "branches: 2 positions from 6, of a sequence of 7");
    BOOST_TEST(refusal({{7, 0}}, 0, 2) == "branches: 0 positions from 7, of a sequence of 7");
    BOOST_TEST(refusal({{5, 2}}, 1, 3) == "branches: layers 1 to 3, the model has 2");
    BOOST_TEST(refusal({{6, 1}}, 0, 2) == "branches: rows (2, 32), expected (1, 32)");
}

BOOST_AUTO_TEST_CASE(smollm2_is_patched_as_by_hooks_of_pytorch) {
    const model m = load(default_model());
    check_golden(m, "smollm2/patch.json");
    check_whole_grid(m, "smollm2");
}

BOOST_AUTO_TEST_CASE(heads_of_smollm2_are_patched_as_by_hooks_of_pytorch) {
    check_golden_heads(load(default_model()), "smollm2/patch_heads.json");
}

BOOST_AUTO_TEST_CASE(gemma_is_patched_as_by_hooks_of_pytorch) {
    const auto gemma = gemma_model();
    if (!gemma) { return; }
    const xlens::model model = load(*gemma);
    check_golden(model, "gemma3_270m/patch.json");
    check_whole_grid(model, "gemma3_270m");
    check_golden_heads(model, "gemma3_270m/patch_heads.json");
}
