// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE perplexity
#include <boost/test/unit_test.hpp>

#include <xlens/core/neuron.hpp>
#include <xlens/generate/perplexity.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_hyperparameters.hpp>

#include "support/error_message.hpp"
#include "support/tiny_model.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

/// Perplexity with the edits of each run of a golden is what transformers computed, with a hook
/// that makes the same edits.
void check_runs(const transformer<>& model, std::span<const token_id> ids,
                const nlohmann::json& runs, std::size_t count) {
    BOOST_TEST_REQUIRE(runs.size() == count);
    for (const auto& run : runs) {
        intervene edits;
        for (const auto& one : run["set"]) {
            edit e{parse_neuron(one["neuron"].get<std::string>(), "golden"), edit::kind::set,
                   one["value"].get<float>()};
            if (run["site"] == "pre_activation") { e.on = edit::site::pre_activation; }
            edits.add(e);
        }
        const perplexity_windows windows(run["window"], run["stride"]);
        const auto found = perplexity(model, ids, windows, edits);
        BOOST_TEST_CONTEXT(run) {
            BOOST_TEST(found.tokens == run["tokens"].get<std::size_t>());
            BOOST_TEST(found.nll == run["nll_mean"].get<double>(),
                       boost::test_tools::tolerance(1e-5));
        }
    }
}

void check_tiny(const std::string& name) {
    const tiny_model<> m(name + "/hf");
    const auto golden = read_golden(golden_path("models/" + name + "/control.json"));
    const auto ids = golden["ids"].get<std::vector<token_id>>();
    check_runs(m.model, ids, golden["runs"], 3);
}

}  // namespace

BOOST_AUTO_TEST_CASE(with_edits_and_overlapping_windows_it_is_that_of_the_reference) {
    check_tiny("gpt2");
    check_tiny("llama");
    const checkpoint file{gguf_file(default_model())};
    const auto ids =
        read_golden(golden_path("smollm2/perplexity.json"))["ids"].get<std::vector<token_id>>();
    check_runs(assemble(file), ids, read_golden(golden_path("smollm2/control.json"))["runs"], 6);
}

BOOST_AUTO_TEST_CASE(every_window_of_one_stride_predicts_one_token) {
    const tiny_model<> m("llama/hf");
    const std::span<const token_id> ids = m.ids;
    const auto found = perplexity(m.model, ids, {8, 1});
    BOOST_TEST(found.tokens == ids.size() - 1);
    // Each token given the seven before it.
    double total = 0.0;
    for (std::size_t t = 1; t < ids.size(); ++t) {
        const std::size_t first = t < 8 ? 0 : t - 7;
        sequence_state state = m.model.start();
        m.model.forward(state, ids.subspan(first, t - first));
        double sum = 0.0;
        for (const float z : state.logits) { sum += std::exp(double{z}); }
        total += std::log(sum) - double{state.logits(0, static_cast<std::size_t>(ids[t]))};
    }
    BOOST_TEST(found.nll == total / static_cast<double>(ids.size() - 1),
               boost::test_tools::tolerance(1e-5));
    BOOST_TEST(error_message([&] {
                   (void)perplexity(m.model, ids, {8, 9});
               }) == "stride: expected 1 to 8, the window, got 9");
    BOOST_TEST(error_message([&] {
                   (void)perplexity(m.model, ids, {8, 0});
               }) == "stride: expected 1 to 8, the window, got 0");
    BOOST_TEST(error_message([&] { (void)perplexity(m.model, ids.first(1), 8); }) ==
               "perplexity: 1 tokens, expected at least 2");
}

// The windows are those of `with_prefixes`, read one by one.
BOOST_AUTO_TEST_CASE(the_positions_that_are_read_are_those_of_the_longest_window) {
    const tiny_model<> m("llama/hf");
    const std::vector<token_id> ids(23, 1);
    for (std::size_t window = 2; window <= 27; ++window) {
        for (std::size_t before = 0; before < std::min<std::size_t>(window - 1, 3); ++before) {
            for (std::size_t stride = 1; stride <= window - before; ++stride) {
                for (const bool to_end : {false, true}) {
                    perplexity_windows cut(window, stride);
                    cut.prefix.assign(before, 2);
                    cut.pass = 5;
                    std::size_t most = 0;
                    each_prediction(m.model, ids, cut, to_end, "text",
                                    [&](sequence_state& state, const predicting_pass& pass) {
                                        most = std::max(most, pass.position + pass.tokens.size());
                                        m.model.forward(state, pass.tokens);
                                    });
                    BOOST_REQUIRE_EQUAL(positions_read(cut, ids.size(), to_end), most);
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(every_window_begins_with_the_prefix) {
    const tiny_model<> m("llama/hf");
    const std::span<const token_id> ids = m.ids;
    perplexity_windows windows(5);
    windows.stride = 4;
    windows.prefix = {3};
    windows.pass = 2;
    const auto found = perplexity(m.model, ids, windows);
    BOOST_TEST(found.tokens == ids.size());
    double total = 0.0;
    for (std::size_t t = 0; t < ids.size(); ++t) {
        std::vector<token_id> before{3};
        for (std::size_t i = t - t % 4; i < t; ++i) { before.push_back(ids[i]); }
        sequence_state state = m.model.start();
        m.model.forward(state, before);
        double sum = 0.0;
        for (const float z : state.logits) { sum += std::exp(double{z}); }
        const std::size_t last = state.logits.shape(0) - 1;
        total += std::log(sum) - double{state.logits(last, static_cast<std::size_t>(ids[t]))};
    }
    BOOST_TEST(found.nll == total / static_cast<double>(ids.size()),
               boost::test_tools::tolerance(1e-5));
    windows.stride = 2;  // each predicts what no window before it has
    BOOST_TEST(perplexity(m.model, ids, windows).tokens == ids.size());
    windows.stride = 5;
    BOOST_TEST(error_message([&] { (void)perplexity(m.model, ids, windows); }) ==
               "stride: expected 1 to 4, the window without what begins it, got 5");
    windows = 1;
    windows.prefix = {3};
    BOOST_TEST(error_message([&] { (void)perplexity(m.model, ids, windows); }) ==
               "window: expected 2 to 64, got 1");
}
