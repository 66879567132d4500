// SPDX-License-Identifier: BSD-3-Clause
// Continues many prompts by beam search, and measures the perplexity of a text, under a recipe of
// interventions: the part of the detoxification experiment that takes time. ./run starts it.
//
// usage: continue MODEL RECIPE beam TOKENS BEAMS BATCH < prompts.json > texts.json
//        continue MODEL RECIPE perplexity WINDOW      < text.txt     > windows.json
//        continue MODEL RECIPE ends K folded|raw      < neurons.json > ends.json
// RECIPE is a file, or - for none. prompts.json: ["..", ..]; texts.json: the continuations.
// windows.json: [[tokens, mean nll], ..] of windows that do not overlap. neurons.json: ["L:I", ..];
// ends.json: of each the K tokens {"promotes": [..], "suppresses": [..]} in that projection.

#include <xlens/generate/beam.hpp>
#include <xlens/generate/perplexity.hpp>
#include <xlens/interventions/make_policies.hpp>
#include <xlens/interventions/neuron_list.hpp>
#include <xlens/interventions/recipe_file.hpp>
#include <xlens/io/load.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/lens/logit_lens.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

namespace {

using namespace xlens;
using nlohmann::json;

struct task {
    const xlens::model& file;
    recipe what;
    std::vector<std::string> arguments;
    std::string input;

    [[nodiscard]] std::size_t number(std::size_t i) const { return std::stoul(arguments.at(i)); }
};

/// The policies of the recipe for a prompt; when the prompt does not matter to it, for any.
dynamic_policies policies_for(const transformer<>& model, const task& t) {
    dynamic_policies out;
    add_interventions(out, t.what, recipe_context{model, &t.file.tokenizer()});
    return out;
}

json continued(const transformer<>& model, const task& t) {
    dynamic_policies policies = policies_for(model, t);
    const tokenizer& text = t.file.tokenizer();
    std::vector<std::vector<token_id>> prompts;
    const json_value input = parse_json("prompts", t.input);
    for (const json_field& prompt : json_field(input, "prompts").items()) {
        prompts.push_back(text.encode_prompt(prompt.string()));
    }
    // As the paper's code has it: exactly so many tokens, none of them the end token.
    const beam_options o{
        .beams = t.number(1), .count = t.number(0), .least = t.number(0), .ends = text.ends()};
    const auto never = [](std::span<const generated>, token_id) { return false; };
    json out = json::array();
    const std::size_t batch = t.number(2);
    for (std::size_t first = 0; first < prompts.size(); first += batch) {
        const auto part =
            std::span(prompts).subspan(first, std::min(batch, prompts.size() - first));
        for (const auto& found : beam_search_each(model, part, o, never, policies)) {
            std::string bytes;
            for (const generated& g : found.front().tokens) { bytes += text.bytes(g.id); }
            out.push_back(replace_invalid(bytes));
        }
    }
    return out;
}

json measured(const transformer<>& model, const task& t) {
    dynamic_policies policies = policies_for(model, t);
    const std::vector<token_id> tokens = t.file.tokenizer().encode(t.input);
    const std::size_t window = std::min(t.number(0), model.config.context);
    json out = json::array();
    for (std::size_t first = 0; first + 1 < tokens.size(); first += window) {
        const auto part = std::span(tokens).subspan(first, std::min(window, tokens.size() - first));
        if (part.size() < 2) { break; }
        const auto found = perplexity(model, std::span<const token_id>(part), window, policies);
        out.push_back({found.tokens, found.nll});
    }
    return out;
}

json texts_of(const task& t, const std::vector<scored>& tokens) {
    json out = json::array();
    for (const scored& s : tokens) {
        out.push_back(t.file.has_tokenizer() ? t.file.tokenizer().text(s.id)
                                             : std::to_string(s.id));
    }
    return out;
}

json ends(const transformer<>& model, const task& t) {
    const auto names = parse_json("neurons", t.input);
    const auto neurons = read_neurons(json_field(names, "neurons"));
    xt::xtensor<float, 2> values = xt::empty<float>({neurons.size(), model.config.width});
    for (std::size_t i = 0; i < neurons.size(); ++i) {
        check_neuron(neurons[i], model.config.layers, model.config.inner_width);
        model.blocks[neurons[i].layer].ffn.value(neurons[i].index, rows<float>(values)[i]);
    }
    const projection form = parse_projection(t.arguments.at(1));
    json out = json::array();
    for (const auto& e : logit_lens(model).project(values, t.number(0), form)) {
        out.push_back(
            {{"promotes", texts_of(t, e.promotes)}, {"suppresses", texts_of(t, e.suppresses)}});
    }
    return out;
}

json run(const task& t, const std::string& what) {
    const auto& model = t.file;
    if (what == "beam") { return continued(model, t); }
    if (what == "perplexity") { return measured(model, t); }
    if (what == "ends") { return ends(model, t); }
    fail("expected beam, perplexity or ends, got '{}'", printable(what));
}

}  // namespace

int main(int count, char** values) {
    try {
        const std::vector<std::string> arguments(values + 1, values + count);
        if (arguments.size() < 4) { fail("usage: continue MODEL RECIPE beam|perplexity|ends N.."); }
        const xlens::model file = load(arguments[0]);
        const recipe what = arguments[1] == "-" ? recipe() : read_recipe(arguments[1]);
        const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
        const task t{file, what, {arguments.begin() + 3, arguments.end()}, input};
        fmt::print("{}\n", run(t, arguments[2]).dump());
        return 0;
    } catch (const std::exception& e) {
        fmt::print(stderr, "continue: {}\n", printable(e.what(), 2000));
        return 2;
    }
}
