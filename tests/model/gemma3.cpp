// SPDX-License-Identifier: BSD-3-Clause
// Gemma 3 270M, base model, against transformers in float32 on the same dequantised weights, and
// SentencePiece. Left out where the model has not been fetched.
#define BOOST_TEST_MODULE gemma3
#define BOOST_TEST_NO_MAIN
#define BOOST_TEST_ALTERNATIVE_INIT_API
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/check_examples.hpp"
#include "support/compare_heads.hpp"
#include "support/golden.hpp"
#include "support/rankings.hpp"

#include <xlens/core/neuron.hpp>
#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/early_exit/verified.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/generate/perplexity.hpp>
#include <xlens/io/load.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/text/tokenizer.hpp>
#include <xlens/trace/attribute.hpp>
#include <xlens/trace/observe.hpp>
#include <xlens/trace/observe_updates.hpp>
#include <xlens/trace/trace.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <span>
#include <string>
#include <vector>

using namespace xlens;
using nlohmann::json;
using xlens::test::check_ends;
using xlens::test::check_layers;
using xlens::test::check_ranking;
namespace data = boost::unit_test::data;

namespace {

const xlens::model& gemma() {
    static const xlens::model m = load(xlens::test::variable("XLENS_GEMMA"));
    return m;
}

const json& golden() {
    static const json all =
        xlens::test::read_golden(xlens::test::golden_path("gemma3_270m/golden.json"));
    return all;
}

const std::vector<std::string> prompts = {"river",   "opposite", "code",    "german",
                                          "scripts", "bytes",    "numbers", "window"};

struct prompt {
    explicit prompt(const std::string& name)
        : expected(*std::ranges::find_if(golden()["prompts"],
                                         [&](const json& p) { return p["name"] == name; })),
          ids(expected["ids"].get<std::vector<token_id>>()) {}
    const json& expected;
    std::vector<token_id> ids;
};

std::string text_of(const char* name) {
    std::ifstream in(xlens::test::golden_path(name));
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

// A prompt longer than the window, read in one pass and in chunks; a layer with it and one without.
BOOST_AUTO_TEST_CASE(heads_are_as_transformers_computes_them) {
    const json heads = xlens::test::read_golden(xlens::test::golden_path("heads/gemma3_270m.json"));
    xlens::test::check_hooks(gemma(), heads, false, 1e-3);
    xlens::test::check_shares(gemma(), heads, 1e-3);
    xlens::test::check_ablation(gemma(), heads, 1e-4);
}

BOOST_AUTO_TEST_CASE(the_file_says_what_it_is) {
    const hyperparameters& p = gemma().config;
    BOOST_TEST(p.family == "gemma3_text");
    BOOST_TEST(p.vocabulary == 262144U);
    BOOST_TEST(p.layers == 18U);
    BOOST_TEST(p.heads == 4U);
    BOOST_TEST(p.kv_heads == 1U);
    BOOST_TEST(p.head_size == 256U);
}

BOOST_DATA_TEST_CASE(the_tokenizer_gives_the_ids, data::make(prompts), name) {
    const prompt p(name);
    const auto text = p.expected["prompt"].get<std::string>();
    BOOST_TEST(gemma().tokenizer().encode_prompt(text) == p.ids, boost::test_tools::per_element());
    const std::span<const token_id> after_start = std::span(p.ids).subspan(1);
    BOOST_TEST(gemma().tokenizer().decode(after_start) == text);
}

BOOST_DATA_TEST_CASE(every_layer_reads_as_in_the_reference, data::make(prompts), name) {
    const prompt p(name);
    const auto traced =
        trace(gemma(), std::span<const token_id>(p.ids), {10, 10, observe::positions::last});
    BOOST_TEST_REQUIRE(traced.size() == 1U);
    BOOST_TEST(traced[0].saturation_layer == p.expected["saturation_layer"].get<std::size_t>());
    check_ranking(p.expected["prediction"], traced[0].prediction(), 9);
    BOOST_TEST_REQUIRE(traced[0].layers.size() == 18U);
    check_layers(p.expected["layers"], traced[0]);
}

BOOST_DATA_TEST_CASE(greedy_continuations_are_equal, data::make(prompts), name) {
    const prompt p(name);
    const auto expected = p.expected["greedy"].get<std::vector<token_id>>();
    BOOST_TEST_REQUIRE(expected.size() == 32U);
    for (const bool probabilities : {true, false}) {
        const auto found =
            generate(gemma(), p.ids, {.count = 32, .probabilities = probabilities}).tokens;
        BOOST_TEST_REQUIRE(found.size() == 32U);
        for (std::size_t i = 0; i < 32; ++i) { BOOST_TEST(found[i].id == expected[i]); }
    }
}

// Behind the norm after the FFN the sub-updates add up once they are divided by ρ.
BOOST_DATA_TEST_CASE(sub_updates_are_scaled_as_the_position_is, data::make({"river", "bytes"}),
                     name) {
    const prompt p(name);
    observe seen(gemma());
    observe_updates updates;
    sequence_state state = gemma().start();
    gemma().forward(state, p.ids, seen, updates);
    for (std::size_t l = 0; l < gemma().blocks.size(); ++l) {
        const auto& block = gemma().blocks[l];
        xt::xtensor<float, 1> x = xt::empty<float>({gemma().config.width});
        normalise(block.ffn_norm, rows<const float>(seen.layer(l).before),
                  as_rows(std::span<float>(x.data(), x.size())));
        const auto e = block.ffn.sub_updates(x);
        BOOST_TEST(1.0F / e.scale() == p.expected["layers"][l]["rho"].get<float>(),
                   boost::test_tools::tolerance(1e-3F));
    }
}

BOOST_DATA_TEST_CASE(an_attribution_adds_up_to_the_logit, data::make({"river", "window"}), name) {
    const attribution a = attribute(gemma(), prompt(name).ids);
    BOOST_TEST(std::abs(double{a.gap}) < 1e-4 * std::abs(double{a.logit}),
               a.gap << " of " << a.logit);
}

// The text is twice as long as the window of 512.
BOOST_DATA_TEST_CASE(perplexity_is_within_a_tenth_of_a_percent,
                     data::make({"with_start", "without_start"}), name) {
    const json& expected = golden()["perplexity"][name];
    const std::string text = text_of("gemma3_270m/perplexity.txt");
    const bool start = std::string(name) == "with_start";
    const auto ids =
        start ? gemma().tokenizer().encode_prompt(text) : gemma().tokenizer().encode(text);
    BOOST_TEST_REQUIRE(ids.size() == expected["tokens"].get<std::size_t>());
    const auto found = perplexity(gemma(), std::span<const token_id>(ids), 2048);
    BOOST_TEST(found.tokens == expected["predicted"].get<std::size_t>());
    BOOST_TEST(found.perplexity() == expected["perplexity"].get<double>(),
               boost::test_tools::tolerance(1e-3));
}

// As `xlens perplexity` reads it: the start token is no token of the text but begins the window.
BOOST_AUTO_TEST_CASE(a_window_that_begins_with_the_start_token_is_that_text) {
    const json& expected = golden()["perplexity"]["with_start"];
    const auto ids = gemma().tokenizer().encode(text_of("gemma3_270m/perplexity.txt"));
    perplexity_windows windows(2048);
    windows.prefix = gemma().prefix();
    windows.stride = 2047;
    const auto found = perplexity(gemma(), std::span<const token_id>(ids), windows);
    BOOST_TEST(found.tokens == expected["predicted"].get<std::size_t>());
    BOOST_TEST(found.perplexity() == expected["perplexity"].get<double>(),
               boost::test_tools::tolerance(1e-3));
}

BOOST_AUTO_TEST_CASE(neurons_fire_where_transformers_says) {
    xlens::test::check_examples(gemma(), "gemma3_270m.json");
}

BOOST_AUTO_TEST_CASE(a_turn_ends_a_text_too) {
    BOOST_TEST((gemma().ends() == std::vector<token_id>{1, 106}));  // <eos>, <end_of_turn>
}

BOOST_AUTO_TEST_CASE(concepts_are_equal) {
    const logit_lens lens(gemma());
    for (const json& e : golden()["concepts"]) {
        BOOST_TEST_CONTEXT(e["neuron"]) {
            const neuron n = parse_neuron(e["neuron"].get<std::string>(), "golden");
            xt::xtensor<float, 2> value = xt::empty<float>({std::size_t{1}, gemma().config.width});
            gemma().blocks[n.layer].ffn.value(n.index, rows<float>(value)[0]);
            const auto ends = lens.project(value, 10, parse_projection("folded"))[0];
            check_ends(e["promotes"], ends.promotes);
            check_ends(e["suppresses"], ends.suppresses);
        }
    }
}

// Windows of 512 that a prompt of 600 has passed, and of which drafts stand at the end.
BOOST_AUTO_TEST_CASE(verified_exits_write_the_text_of_the_whole_model) {
    for (const precision how : {precision::f32, precision::native}) {
        const xlens::model m = load(xlens::test::variable("XLENS_GEMMA"), {.precision = how});
        early_exit::fitted_exit exit = early_exit::unfitted(m, "confidence");
        exit.threshold = 0.3F;
        std::vector<token_id> text(600);
        for (std::size_t i = 0; i < text.size(); ++i) {
            text[i] = static_cast<token_id>(1000 + 37 * i % 613);
        }
        const continuation plain = generate(m, text, {.count = 24});
        sequence_state state = m.start();
        dynamic_policies none;
        const auto found = early_exit::detail::verify_with(m, state, text, {.count = 24}, exit,
                                                           early_exit::drafting::always, none);
        BOOST_TEST(found.counts.drafts > 0U);
        BOOST_TEST_REQUIRE(found.tokens.size() == plain.tokens.size());
        for (std::size_t i = 0; i < plain.tokens.size(); ++i) {
            BOOST_TEST_REQUIRE(found.tokens[i].id == plain.tokens[i].id);
            BOOST_TEST_REQUIRE(found.tokens[i].probability == plain.tokens[i].probability);
        }
    }
}

int main(int count, char** arguments) {
    if (!xlens::test::gemma_model()) { return 77; }  // what Meson takes for a test that was skipped
    return boost::unit_test::unit_test_main(init_unit_test, count, arguments);
}
