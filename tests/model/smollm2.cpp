// SPDX-License-Identifier: BSD-3-Clause
// SmolLM2-135M-Instruct against transformers in float32, on the same dequantised weights.
#define BOOST_TEST_MODULE smollm2
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/rankings.hpp"

#include <xlens/core/neuron.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/generate/perplexity.hpp>
#include <xlens/io/load.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/text/tokenizer.hpp>
#include <xlens/trace/trace.hpp>

#include <fstream>
#include <string>
#include <vector>

using namespace xlens;
using nlohmann::json;
using xlens::test::check_ends;
using xlens::test::check_layers;
using xlens::test::check_ranking;
namespace data = boost::unit_test::data;

namespace {

const std::vector<std::string> prompts = {"breakfast", "capital", "chat",     "chinese",
                                          "code",      "emoji",   "french",   "japanese",
                                          "long",      "numbers", "opposite", "single"};

const xlens::model& smollm2() {
    static const xlens::model m = load(xlens::test::default_model());
    return m;
}

/// Those whose goldens keep the logits of the whole vocabulary.
const std::vector<std::string> prompts_with_logits = {"capital", "chat",     "code", "emoji",
                                                      "french",  "japanese", "long", "single"};

struct prompt {
    explicit prompt(const std::string& name)
        : golden(xlens::test::read_golden(xlens::test::golden_path("smollm2/" + name + ".json"))),
          ids(golden["ids"].get<std::vector<token_id>>()) {}
    json golden;
    std::vector<token_id> ids;
};

}  // namespace

BOOST_DATA_TEST_CASE(the_tokenizer_gives_the_ids, data::make(prompts), name) {
    const prompt p(name);
    const auto text = p.golden["prompt"].get<std::string>();
    const auto ids = smollm2().tokenizer().encode(text, {.special = true});
    BOOST_TEST(ids == p.ids, boost::test_tools::per_element());
}

BOOST_DATA_TEST_CASE(logits_are_within_2e_3, data::make(prompts_with_logits), name) {
    const prompt p(name);
    std::vector<float> expected(smollm2().config.vocabulary);
    const auto path = xlens::test::golden_path("smollm2/" + p.golden["logits"].get<std::string>());
    std::ifstream in(path, std::ios::binary);
    in.read(reinterpret_cast<char*>(expected.data()),
            static_cast<std::streamsize>(expected.size() * sizeof(float)));
    BOOST_TEST_REQUIRE(in.good());
    sequence_state state = smollm2().start();
    smollm2().forward(state, p.ids);
    const double error =
        xlens::test::max_difference({state.logits.data(), state.logits.size()}, expected);
    BOOST_TEST_MESSAGE(name << ": logits differ by at most " << error);
    BOOST_TEST(error < 2e-3);
}

BOOST_DATA_TEST_CASE(every_layer_reads_as_in_the_reference, data::make(prompts), name) {
    const prompt p(name);
    const auto traced =
        trace(smollm2(), std::span<const token_id>(p.ids), {10, 10, observe::positions::last});
    BOOST_TEST_REQUIRE(traced.size() == 1U);
    BOOST_TEST(traced[0].saturation_layer == p.golden["saturation_layer"].get<std::size_t>());
    check_ranking(p.golden["prediction"], traced[0].prediction(), 9);
    BOOST_TEST_REQUIRE(traced[0].layers.size() == 30U);
    check_layers(p.golden["layers"], traced[0]);
}

BOOST_DATA_TEST_CASE(greedy_continuations_are_equal, data::make(prompts), name) {
    const prompt p(name);
    const auto expected = p.golden["greedy"].get<std::vector<token_id>>();
    BOOST_TEST_REQUIRE(expected.size() == 32U);
    for (const bool probabilities : {true, false}) {
        const auto found =
            generate(smollm2(), p.ids, {.count = 32, .probabilities = probabilities}).tokens;
        BOOST_TEST_REQUIRE(found.size() == 32U);
        for (std::size_t i = 0; i < 32; ++i) { BOOST_TEST(found[i].id == expected[i]); }
    }
}

BOOST_AUTO_TEST_CASE(perplexity_is_within_a_tenth_of_a_percent) {
    const json golden =
        xlens::test::read_golden(xlens::test::golden_path("smollm2/perplexity.json"));
    std::ifstream in(xlens::test::golden_path("smollm2/perplexity.txt"));
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const auto ids = smollm2().tokenizer().encode(text);
    BOOST_TEST_REQUIRE(ids.size() == golden["tokens"].get<std::size_t>());
    const auto found = perplexity(smollm2(), std::span<const token_id>(ids), 1024);
    BOOST_TEST(found.tokens == golden["predicted"].get<std::size_t>());
    BOOST_TEST(found.perplexity() == golden["perplexity"].get<double>(),
               boost::test_tools::tolerance(1e-3));
}

BOOST_AUTO_TEST_CASE(concepts_are_equal_in_all_three_projections) {
    const json golden = xlens::test::read_golden(xlens::test::golden_path("smollm2/concepts.json"));
    const logit_lens lens(smollm2());
    for (const json& e : golden["concepts"]) {
        const neuron n = parse_neuron(e["neuron"].get<std::string>(), "golden");
        xt::xtensor<float, 2> value = xt::empty<float>({std::size_t{1}, smollm2().config.width});
        smollm2().blocks[n.layer].ffn.value(n.index, rows<float>(value)[0]);
        for (const std::string form : {"raw", "folded", "normed"}) {
            BOOST_TEST_CONTEXT(e["neuron"] << ' ' << form) {
                const auto ends = lens.project(value, 30, parse_projection(form))[0];
                check_ends(e[form]["promotes"], ends.promotes);
                check_ends(e[form]["suppresses"], ends.suppresses);
            }
        }
    }
}
