// SPDX-License-Identifier: BSD-3-Clause
// Hooks of attention, and what heads and the positions that they read add to a logit, against
// transformers (tests/golden/heads). Every architecture: tests/model/architectures.cpp.
#define BOOST_TEST_MODULE heads
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/compare_heads.hpp"
#include "support/error_message.hpp"
#include "support/golden.hpp"

#include <xlens/core/attention_head.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/io/load.hpp>
#include <xlens/trace/attribute.hpp>
#include <xlens/trace/observe_sources.hpp>

#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using nlohmann::json;
namespace data = boost::unit_test::data;

namespace {

const std::vector<std::string> compared = {
    "models/gpt2/hf",           "models/gpt2/model.gguf",
    "models/llama/hf",          "models/llama/model.gguf",
    "families/gemma2/hf",       "families/gemma2/model.gguf",
    "families/gpt_oss/hf",      "families/gpt_oss/model.gguf",
    "families/granite_bias/hf", "families/bloom_six_heads/hf",
    "families/falcon_new/hf",   "families/stablelm_parallel/hf"};

struct opened {
    explicit opened(const std::string& name) : model(load(golden_path(name))) {
        const std::string folder = name.substr(0, name.rfind('/'));
        golden =
            read_golden(golden_path("heads/" + folder.substr(folder.rfind('/') + 1) + ".json"));
        pairs = name.ends_with(".gguf") && model.position.rotary.style == rope_style::pairs;
    }
    xlens::model model;
    json golden;
    bool pairs;
};

const xlens::model& smollm2() {
    static const xlens::model m = load(default_model());
    return m;
}

/// Keeps the patterns of one position each, of any sequence.
struct record_patterns {
    static constexpr hook hooks = hook::pattern;
    static constexpr bool rowwise = true;
    std::vector<std::vector<float>> patterns;
    void pattern(const site&, rows<float> p) { patterns.emplace_back(p[0].begin(), p[0].end()); }
};

}  // namespace

BOOST_DATA_TEST_CASE(hooks_see_what_transformers_computes, data::make(compared), name) {
    const opened o(name);
    check_hooks(o.model, o.golden, o.pairs, 2e-5);
}

BOOST_DATA_TEST_CASE(heads_and_positions_add_what_they_add_there, data::make(compared), name) {
    const opened o(name);
    check_shares(o.model, o.golden, 1e-4);
}

BOOST_DATA_TEST_CASE(a_head_left_out_changes_what_it_changes_there, data::make(compared), name) {
    const opened o(name);
    check_ablation(o.model, o.golden, 1e-5);
}

BOOST_AUTO_TEST_CASE(smollm2_is_as_transformers_computes_it) {
    const json golden = read_golden(golden_path("heads/smollm2.json"));
    check_hooks(smollm2(), golden, true, 2e-4);
    check_shares(smollm2(), golden, 1e-3);
    check_ablation(smollm2(), golden, 1e-4);
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_a_bit) {
    const json golden = read_golden(golden_path("heads/smollm2.json"));
    const auto ids = golden["ids"].get<std::vector<token_id>>();
    attribution_options options;
    options.head = attention_head{20, 4};
    set_threads(1);
    const attribution one = attribute(smollm2(), ids, options);
    set_threads(2);
    const attribution two = attribute(smollm2(), ids, options);
    for (std::size_t l = 0; l < one.heads.size(); ++l) {
        BOOST_TEST(one.heads[l].heads == two.heads[l].heads, boost::test_tools::per_element());
        BOOST_TEST(one.heads[l].gap == two.heads[l].gap);
    }
    for (std::size_t s = 0; s < one.head->sources.size(); ++s) {
        BOOST_TEST(one.head->sources[s].contribution == two.head->sources[s].contribution);
    }
}

// Rows of many sequences: each sees its own pattern.
BOOST_AUTO_TEST_CASE(sequences_read_together_have_the_bits_that_they_have_alone) {
    const xlens::model m = load(golden_path("families/gpt_oss/hf"));
    const std::vector<token_id> first = {3, 1, 4};
    const std::vector<token_id> second = {5, 9, 2, 6, 5};
    const auto begun = [&](const std::vector<token_id>& ids) {
        sequence_state state = m.start();
        m.forward(state, ids);
        return state;
    };
    std::vector<std::vector<float>> alone;
    std::vector<std::vector<float>> logits;
    const std::vector<token_id> next = {7, 8};
    for (const auto& [ids, token] : {std::pair{first, next[0]}, {second, next[1]}}) {
        sequence_state state = begun(ids);
        record_patterns record;
        m.forward(state, {token}, record);
        alone.insert(alone.end(), record.patterns.begin(), record.patterns.end());
        logits.emplace_back(state.logits.begin(), state.logits.end());
    }
    sequence_state a = begun(first);
    sequence_state b = begun(second);
    std::vector<sequence_state*> both = {&a, &b};
    record_patterns record;
    m.forward_each(both, next, record);
    BOOST_TEST_REQUIRE(record.patterns.size() == alone.size());
    const std::size_t layers = m.blocks.size();
    for (std::size_t l = 0; l < layers; ++l) {  // layer by layer; alone one after the other
        BOOST_TEST(record.patterns[2 * l] == alone[l]);
        BOOST_TEST(record.patterns[2 * l + 1] == alone[layers + l]);
    }
    BOOST_TEST(std::equal(a.logits.begin(), a.logits.end(), logits[0].begin()));
    BOOST_TEST(std::equal(b.logits.begin(), b.logits.end(), logits[1].begin()));
}

BOOST_AUTO_TEST_CASE(what_is_not_there_is_refused) {
    const xlens::model m = load(golden_path("models/llama/hf"));
    const std::vector<token_id> ids = {1, 2, 3};
    const auto message = [&](const attention_head& head) {
        attribution_options options;
        options.head = head;
        return error_message([&] { (void)attribute(m, ids, options); });
    };
    BOOST_TEST(message({2, 0}) == "head 2:0: layer 2, the model has layers 0 to 1");
    BOOST_TEST(message({1, 4}) == "head 1:4: index 4, a layer has heads 0 to 3");
    BOOST_TEST(error_message([] { (void)parse_head("3", "--head"); }) ==
               "--head: expected a head LAYER:HEAD such as 12:3, got '3'");
    observe_sources late({1, 0}, 4, 2);
    sequence_state state = m.start();
    m.forward(state, ids);
    m.forward(state, {4}, late);
    BOOST_TEST(error_message([&] { (void)late.source_values(); }) ==
               "head 1:0: values of 1 positions were seen, it reads 4");
}
