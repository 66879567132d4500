// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE interventions
#include <boost/test/unit_test.hpp>

#include <xlens/interventions/ban.hpp>
#include <xlens/interventions/direction.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/interventions/make_policies.hpp>
#include <xlens/interventions/neuron_list.hpp>
#include <xlens/interventions/recipe_file.hpp>
#include <xlens/interventions/steer.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/trace/keep_sites.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_model.hpp"

#include <string>
#include <vector>

// Recipes: what is read from JSON, what is refused, and what a model makes of it.

using namespace xlens;
using namespace xlens::test;

namespace {

const tiny_model<>& gpt2() {  // 2 layers, 128 neurons each, no tokenizer
    static const tiny_model<> m("gpt2/hf");
    return m;
}

recipe read(const std::string& steps) {
    return read_recipe(parse_json("r.json", "{\"interventions\": [" + steps + "]}"), "r.json");
}
std::string refusal(const std::string& steps) {
    return error_message([&] { (void)read(steps); });
}
dynamic_policies made(const recipe& r, std::optional<std::size_t> prompt = {}) {
    dynamic_policies out;
    add_interventions(out, r, recipe_context{gpt2().model, nullptr, prompt});
    return out;
}
std::string misfit(const std::string& steps, std::optional<std::size_t> prompt = {}) {
    const recipe r = read(steps);
    return error_message([&] { (void)made(r, prompt); });
}
template <class... P>
std::vector<float> logits_with(P&... policies) {
    sequence_state state = gpt2().model.start();
    gpt2().model.forward(state, gpt2().ids, policies...);
    return {state.logits.begin(), state.logits.end()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_recipe_is_the_policies_that_one_would_write) {
    const std::size_t prompt = 6;
    dynamic_policies pack = made(read(R"(
        {"do": "set", "neurons": ["0:3", "1:4"], "value": 2.5},
        {"do": "scale", "neurons": [{"neuron": "0:3"}], "value": -1, "positions": [4, 0]},
        {"do": "add", "neurons": ["0:9"], "value": 1, "when": "generating"},
        {"do": "zero", "neurons": ["1:5"], "when": "prompt"},
        {"do": "clamp", "neurons": ["1:6", "1:7"], "least": 0.5, "most": 1, "on": "pre_activation"},
        {"do": "steer", "layer": 1, "strength": 2, "along": "0:11", "when": "always"},
        {"do": "steer", "layer": 0, "strength": -3, "toward": 17, "away": 4},
        {"do": "ban", "ids": [[3], [1, 2]]})"),
                                 prompt);
    intervene edits;
    edits.set({0, 3}, 2.5F).set({1, 4}, 2.5F);
    edits.add({{0, 3}, edit::kind::scale, -1.0F, position_set({0, 4})});
    edits.add({{0, 9}, edit::kind::add, 1.0F, position_set::from(5)});
    edits.add({{1, 5}, edit::kind::set, 0.0F, position_set::before(6)});
    for (const std::size_t i : {6U, 7U}) {
        edits.add({{1, i}, edit::kind::clamp, 0.5F, {}, edit::site::pre_activation, 1.0F});
    }
    steer along(1, value_direction(gpt2().model, {0, 11}), 2.0F);
    // γ⊙(e_17 - e_4), from the weights.
    std::vector<float> difference(gpt2().model.config.width);
    std::vector<float> other = difference;
    gpt2().model.unembedding.direction(17, difference);
    gpt2().model.unembedding.direction(4, other);
    for (std::size_t d = 0; d < other.size(); ++d) {
        const float gain = gpt2().model.final_norm->gain(d);
        difference[d] = difference[d] * gain - other[d] * gain;
    }
    steer towards(0, difference, -3.0F);
    ban words({{3}, {1, 2}});
    const auto expected = logits_with(edits, along, towards, words);
    const auto found = logits_with(pack);
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (i != 3) { BOOST_TEST(std::abs(found[i] - expected[i]) < 1e-5F); }
    }
    BOOST_TEST(found[3] == -INFINITY);
    BOOST_TEST(!same_bits(found, logits_with(edits, along, words)));
}

BOOST_AUTO_TEST_CASE(neurons_come_from_files_that_search_and_cluster_write) {
    const temporary_directory folder;
    folder.write("hits.json", R"({"hits": [{"neuron": "0:1", "score": 2.0}, {"neuron": "1:2"},
        {"neuron": "0:1", "score": -1.0}]})");  // named twice, changed once
    folder.write("clusters.json", R"({"clusters": [
        {"id": 0, "neurons": ["0:5"]}, {"id": 7, "size": 2, "neurons": ["1:9", "0:8"]}]})");
    folder.write("plain.json", R"(["1:1"])");
    const auto path = folder.write("recipe.json", R"({"interventions": [
        {"do": "zero", "neurons": {"file": "hits.json"}},
        {"do": "zero", "neurons": {"file": "clusters.json", "cluster": 7}},
        {"do": "zero", "neurons": {"file": "plain.json"}}]})");
    std::vector<neuron> found;
    for (const recipe::step& step : read_recipe(path).steps) {
        const auto& neurons = std::get<edit_step>(step).neurons;
        found.insert(found.end(), neurons.begin(), neurons.end());
    }
    const std::vector<neuron> expected{{0, 1}, {1, 2}, {1, 9}, {0, 8}, {1, 1}};
    BOOST_TEST((found == expected));
    const std::string clusters = (folder.path() / "clusters.json").string();
    BOOST_TEST(error_message([&] { (void)read_neuron_file(clusters, 3); }) ==
               clusters + ": clusters: expected a cluster with id 3, got none");
    BOOST_TEST(error_message([&] { (void)read_neuron_file(clusters); }) ==
               clusters + ": expected the id of one cluster, got none");
}

// Every file once, in the order of the steps; what stands in the recipe itself needs none.
BOOST_AUTO_TEST_CASE(a_recipe_says_which_files_it_names) {
    const temporary_directory folder;
    folder.write("hits.json", R"(["0:1"])");
    folder.write("sae/cfg.json", "{}");
    const auto path = folder.write("recipe.json", R"({"interventions": [
        {"do": "steer", "file": "d.gguf", "strength": 2},
        {"do": "zero", "neurons": ["0:5"]},
        {"do": "zero", "neurons": {"file": "hits.json"}},
        {"do": "steer", "sae": "sae", "feature": 3, "strength": 1},
        {"do": "patch", "site": "after", "layers": [0], "positions": [1], "ablate": "zero"},
        {"do": "patch", "site": "after", "layers": [0], "positions": [1], "ablate": "mean",
         "file": "text.txt"},
        {"do": "scale", "neurons": {"file": "hits.json"}, "value": 2},
        {"do": "steer", "layer": 1, "strength": 2, "along": "0:11"},
        {"do": "ban", "ids": [[3]]}]})");
    std::vector<std::string> found;
    for (const auto& file : read_recipe(path).files()) {
        found.push_back(file.lexically_relative(folder.path()).string());
    }
    const std::vector<std::string> expected{"d.gguf", "hits.json", "sae/cfg.json",
                                            "sae/sae_weights.safetensors", "text.txt"};
    BOOST_TEST(found == expected, boost::test_tools::per_element());
    BOOST_TEST(recipe().files().empty());
}

BOOST_AUTO_TEST_CASE(neurons_come_from_what_attribute_writes) {
    const temporary_directory folder;
    folder.write("paris.json", R"({"position": 4, "token": {"id": 7, "text": " Paris"},
        "sub_updates": [
            {"neuron": "1:2", "coefficient": 3.5, "contribution": 2.5, "promotes": []},
            {"neuron": "0:9", "coefficient": 1.0, "contribution": -1.5},
            {"neuron": "1:1", "coefficient": -1.0, "contribution": 0.5},
            {"neuron": "0:3", "coefficient": -1.0, "contribution": -0.25}]})");
    folder.write("plain.json", R"(["1:1"])");
    const auto neurons = [&](const std::string& which) {
        const auto path = folder.write("recipe.json", R"({"interventions": [
            {"do": "zero", "neurons": {"file": )" + which +
                                                          "}}]}");
        return std::get<edit_step>(read_recipe(path).steps.front()).neurons;
    };
    using list = std::vector<neuron>;
    BOOST_TEST((neurons(R"("paris.json")") == list{{1, 2}, {0, 9}, {1, 1}, {0, 3}}));
    BOOST_TEST((neurons(R"("paris.json", "limit": 2)") == list{{1, 2}, {0, 9}}));
    BOOST_TEST((neurons(R"("paris.json", "sign": "positive")") == list{{1, 2}, {1, 1}}));
    BOOST_TEST((neurons(R"("paris.json", "sign": "negative", "limit": 1)") == list{{0, 9}}));
    BOOST_TEST((neurons(R"("paris.json", "limit": 9)").size() == 4U));
    folder.write("twice.json", R"({"sub_updates": [
        {"neuron": "1:2", "contribution": 1.0}, {"neuron": "1:2", "contribution": 0.5},
        {"neuron": "0:9", "contribution": 0.25}]})");
    BOOST_TEST((neurons(R"("twice.json", "limit": 2)") == list{{1, 2}, {0, 9}}));
    const auto refused = [&](const std::string& which) {
        return error_message([&] { (void)neurons(which); });
    };
    const std::string path = (folder.path() / "recipe.json").string();
    BOOST_TEST(refused(R"("paris.json", "limit": 0)") ==
               path + ": interventions[0].neurons: expected at least 1 neuron, got 0");
    BOOST_TEST(refused(R"("paris.json", "sign": "both")") ==
               path +
                   ": interventions[0].neurons.sign: expected one of positive, negative, got "
                   "'both'");
    BOOST_TEST(refused(R"("plain.json", "sign": "positive")") ==
               (folder.path() / "plain.json").string() +
                   ": sign: expected a document of attribute, with sub_updates, got another");
}

BOOST_AUTO_TEST_CASE(what_a_recipe_cannot_be_is_refused_where_it_stands) {
    const std::string at = "r.json: interventions[0]";
    BOOST_TEST(error_message([] { (void)read_recipe(parse_json("r.json", "[1]"), "r.json"); }) ==
               "r.json: expected an object, got array");
    BOOST_TEST(error_message([] {
                   (void)read_recipe(parse_json("r.json", R"({"edits": []})"), "r.json");
               }) == "r.json: unknown key 'edits', expected one of interventions");
    BOOST_TEST(refusal(R"({"neurons": []})") == at + ".do is missing");
    BOOST_TEST(
        refusal(R"({"do": "sett"})") ==
        at + ".do: expected one of set, scale, add, zero, clamp, steer, patch, ban, got 'sett'");
    BOOST_TEST(refusal(R"({"do": "set", "neurons": ["0:1"]})") == at + ".value is missing");
    BOOST_TEST(refusal(R"({"do": "set", "neurons": ["0:1"], "valu": 1})") ==
               at +
                   ": unknown key 'valu', expected one of do, neurons, value, on, when, positions");
    BOOST_TEST(refusal(R"({"do": "zero", "neurons": ["0:1"], "value": 1})") ==
               at + ": unknown key 'value', expected one of do, neurons, on, when, positions");
    BOOST_TEST(refusal(R"({"do": "set", "neurons": ["0:1"], "value": "3"})") ==
               at + ".value: expected a number that a float holds, got \"3\"");
    BOOST_TEST(refusal(R"({"do": "set", "neurons": ["0:1"], "value": 1e99})") ==
               at + ".value: expected a number that a float holds, got 1e+99");
    BOOST_TEST(refusal(R"({"do": "zero", "neurons": ["0-1"]})") ==
               at + ".neurons[0]: expected a neuron LAYER:INDEX such as 12:1033, got '0-1'");
    BOOST_TEST(refusal(R"({"do": "zero", "neurons": 5})") ==
               at + ".neurons: expected an object, got 5");
    BOOST_TEST(refusal(R"({"do": "zero", "neurons": ["0:1"], "on": "m"})") ==
               at + ".on: expected one of coefficient, pre_activation, got 'm'");
    BOOST_TEST(refusal(R"({"do": "zero", "neurons": ["0:1"], "when": "later"})") ==
               at + ".when: expected one of always, prompt, generating, got 'later'");
    BOOST_TEST(
        refusal(R"({"do": "zero", "neurons": ["0:1"], "when": "prompt", "positions": [1]})") ==
        at + ": expected when or positions, got both");
    BOOST_TEST(refusal(R"({"do": "zero", "neurons": ["0:1"], "positions": [-1]})") ==
               at + ".positions[0]: expected an id from 0 to 2147483647, got -1");
    BOOST_TEST(refusal(R"({"do": "clamp", "neurons": ["0:1"], "least": 2, "most": 1})") ==
               at + ".most: expected at least 2, which is least, got 1");
    BOOST_TEST(refusal(R"({"do": "steer", "layer": 0, "strength": 1})") ==
               at + ": expected along, or toward and away, got neither");
    BOOST_TEST(
        refusal(R"({"do": "steer", "layer": 0, "strength": 1, "along": "0:0", "away": 1})") ==
        at + ": expected along, or toward and away, got both");
    const std::string patch =
        R"({"do": "patch", "site": "after", "layers": "0", "positions": [1], )";
    BOOST_TEST(refusal(patch + R"("ablate": "mean"})") == at + ".file is missing");
    BOOST_TEST(refusal(patch + R"("ablate": "zero", "file": "a.txt"})") ==
               at + ".file: expected \"ablate\": \"mean\" with it, got none");
    BOOST_TEST(refusal(patch + R"("ids": [3], "file": "a.txt"})") ==
               at + ".file: expected \"ablate\": \"mean\" with it, got none");
    BOOST_TEST(refusal(patch + R"("ablate": "mean", "file": "a.txt", "from": [0]})") ==
               at + ".from: expected a source, got a mean");
    BOOST_TEST(misfit(patch + R"("ablate": "mean", "file": "a.txt"})") ==
               at + ": the model has no tokenizer; give token ids");
    BOOST_TEST(refusal(patch + R"("ablate": "zero", "heads": [1]})") ==
               at + ".heads: expected \"site\": \"head_outputs\" with it, got \"after\"");
    const std::string heads =
        R"({"do": "patch", "site": "head_outputs", "layers": [0], "positions": [1], )";
    BOOST_TEST(refusal(heads + R"("ablate": "zero", "heads": []})") ==
               at + ".heads: expected at least 1 number, got 0");
    BOOST_TEST(refusal(heads + R"("ablate": "zero", "heads": 1})") ==
               at + ".heads: expected a list, got 1");
    BOOST_TEST(misfit(heads + R"("ablate": "zero", "heads": [0, 4]})") ==
               at + ".heads: expected 0 to 3, got 4");
    BOOST_TEST(refusal(R"({"do": "ban"})") == at + ": expected words or ids to ban, got neither");
    BOOST_TEST(refusal(R"({"do": "ban", "words": [""]})") ==
               at + ".words[0]: expected a word, got \"\"");
    BOOST_TEST(refusal(R"({"do": "ban", "ids": [[]]})") ==
               at + ".ids[0]: expected at least 1 token id, got array");
}

namespace {

/// Numbers of heads of layer 0: what a source has at positions 1 and 2, at positions 2 and 5.
struct swapped {
    static constexpr hook hooks = hook::head_outputs;
    const xt::xtensor<float, 2>& source;
    std::size_t begin;
    std::size_t end;
    void head_outputs(const site& where, rows<float> z) const {
        for (std::size_t k = begin; where.layer == 0 && k < end; ++k) {
            z[2][k] = source(1, k);
            z[5][k] = source(2, k);
        }
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_step_patches_the_heads_that_it_names) {
    const auto& config = gpt2().model.config;
    const std::size_t size = config.head_size;
    const auto logits_of = [&](const std::string& heads) {
        dynamic_policies pack =
            made(read(R"({"do": "patch", "site": "head_outputs", "layers": [0], "positions": [2, 5],
                          "ids": [9, 8, 7], "from": [1, 2])" +
                      heads + "}"));
        return logits_with(pack);
    };
    keep_sites keep({{hook::head_outputs, 0}});
    sequence_state state = gpt2().model.start();
    gpt2().model.forward(state, std::vector<token_id>{9, 8, 7}, keep);
    const xt::xtensor<float, 2> theirs = keep.kept(0).tensor();
    swapped two{theirs, 2 * size, 4 * size};
    swapped all{theirs, 0, config.heads * size};
    BOOST_TEST(same_bits(logits_of(R"(, "heads": [3, 2])"), logits_with(two)));
    BOOST_TEST(same_bits(logits_of(""), logits_with(all)));
    BOOST_TEST(!same_bits(logits_with(two), logits_with(all)));
    BOOST_TEST(!same_bits(logits_with(two), logits_with()));
}

BOOST_AUTO_TEST_CASE(what_the_model_does_not_have_is_refused) {
    const std::string at = "r.json: interventions[0]";
    const std::string sizes = ": expected layers 0 to 1 and neurons 0 to 127";
    BOOST_TEST(misfit(R"({"do": "zero", "neurons": ["0:1", "2:1"]})") ==
               at + ".neurons: neuron 2:1" + sizes);
    BOOST_TEST(misfit(R"({"do": "zero", "neurons": ["0:128"]})") ==
               at + ".neurons: neuron 0:128" + sizes);
    BOOST_TEST(misfit(R"({"do": "steer", "layer": 2, "strength": 1, "toward": 1})") ==
               at + ".layer: expected 0 to 1, got 2");
    BOOST_TEST(misfit(R"({"do": "steer", "layer": 0, "strength": 1, "along": "9:1"})") ==
               at + ".along: neuron 9:1" + sizes);
    const auto vocabulary = std::to_string(gpt2().model.config.vocabulary - 1);
    BOOST_TEST(misfit(R"({"do": "steer", "layer": 0, "strength": 1, "away": 99999})") ==
               at + ".away: token 99999: expected 0 to " + vocabulary);
    BOOST_TEST(misfit(R"({"do": "steer", "layer": 0, "strength": 1, "toward": " a"})") ==
               at + ".toward: the model has no tokenizer; give token ids");
    BOOST_TEST(misfit(R"({"do": "ban", "ids": [[1, 99999]]})") ==
               at + ".ids: token 99999: expected 0 to " + vocabulary);
    BOOST_TEST(misfit(R"({"do": "ban", "words": ["a"]})") ==
               at + ": the model has no tokenizer; give token ids");
    const std::string later = R"({"do": "zero", "neurons": ["0:1"], "when": "generating"})";
    BOOST_TEST(misfit(later) ==
               at + ".when: expected always, for there is no one prompt here, got generating");
    BOOST_TEST(misfit(later, 3) == "(no error)");
}

BOOST_AUTO_TEST_CASE(a_step_that_selects_nothing_is_refused) {
    const std::string at = "r.json: interventions[0]";
    BOOST_TEST(refusal(R"({"do": "zero", "neurons": []})") ==
               at + ".neurons: expected at least 1 neuron, got 0");
    BOOST_TEST(refusal(R"({"do": "zero", "neurons": ["0:1"], "positions": []})") ==
               at + ".positions: expected at least 1 position, got 0");
    const recipe late = read(R"({"do": "zero", "neurons": ["0:1"], "positions": [2, 500]})");
    dynamic_policies pack;
    const recipe_context short_run{.model = gpt2().model, .prompt_length = 10, .positions = 10};
    BOOST_TEST(error_message([&] { add_interventions(pack, late, short_run); }) ==
               at + ".positions: position 500: expected 0 to 9");
    const recipe ban_ids = read(R"({"do": "ban", "ids": [[1]]})");
    const recipe_context reads{.model = gpt2().model, .writes = false};
    BOOST_TEST(error_message([&] { add_interventions(pack, ban_ids, reads); }) ==
               at + ": a ban acts on a text that is written (generate), and here none is");
}
