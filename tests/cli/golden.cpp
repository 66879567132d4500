// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_golden
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/json_document.hpp"
#include "support/run_program.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

// What the program prints, against transformers' numbers (tests/golden/README.md).

namespace {

using nlohmann::json;

json run(std::vector<std::string> arguments) {
    arguments.push_back("--json");
    const auto result = xlens::test::run_program(arguments);
    BOOST_TEST(result.exit_code == 0, result.err);
    return xlens::test::json_document(result.out);
}

const std::string model = xlens::test::default_model().string();

std::string id_list(const json& ids) {
    std::string out;
    for (const json& id : ids) { out += (out.empty() ? "" : ",") + std::to_string(id.get<int>()); }
    return out;
}

bool close(double a, double b, double relative, double absolute) {
    return std::abs(a - b) <= absolute + relative * std::abs(b);
}

/// The same tokens with about the same number, as long as the golden's order is no near-tie.
void check_tokens(const json& found, const json& golden, const std::string& number,
                  std::size_t count, double relative) {
    for (std::size_t i = 0; i < count; ++i) {
        const double expected = golden[i][number].get<double>();
        BOOST_TEST(close(found[i][number].get<double>(), expected, relative, 1e-6),
                   number << " " << i << ": " << found[i] << " " << golden[i]);
        const auto near = [&](std::size_t j) {
            return j < golden.size() &&
                   close(golden[j][number].get<double>(), expected, relative, 0.0);
        };
        if ((i > 0 && near(i - 1)) || near(i + 1)) { continue; }
        BOOST_TEST(found[i]["id"] == golden[i]["id"]);
    }
}

void check_sub_updates(const json& layer, const json& golden) {
    const auto& all = golden["sub_updates"];
    for (std::size_t i = 0; i < all.size(); ++i) {
        const std::string name = std::to_string(golden["layer"].get<int>()) + ":" +
                                 std::to_string(all[i]["neuron"].get<int>());
        const auto& found = layer["sub_updates"];
        const auto one = std::find_if(found.begin(), found.end(),
                                      [&](const json& s) { return s["neuron"] == name; });
        // The last two may change places with the eleventh.
        if (one == found.end()) {
            BOOST_TEST(i >= 8, name);
            continue;
        }
        for (const std::string key : {"coefficient", "norm", "dominance"}) {
            BOOST_TEST(close((*one)[key].get<double>(), all[i][key].get<double>(), 2e-3, 1e-5),
                       name << " " << key);
        }
        if (!all[i].contains("promotes")) { continue; }
        check_tokens((*one)["promotes"], all[i]["promotes"], "score", 4, 1e-4);
        check_tokens((*one)["suppresses"], all[i]["suppresses"], "score", 4, 1e-4);
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(traces_of_smollm2) {
    for (const std::string name : {"capital", "japanese", "emoji"}) {
        BOOST_TEST_CONTEXT(name) {
            const json golden =
                xlens::test::read_golden(xlens::test::golden_path("smollm2/" + name + ".json"));
            const json trace = run({"trace", model, "--prompt", golden["prompt"]});
            BOOST_REQUIRE(trace["tokens"].size() == golden["ids"].size());
            for (std::size_t i = 0; i < golden["ids"].size(); ++i) {
                BOOST_TEST(trace["tokens"][i]["id"] == golden["ids"][i]);
            }
            const json& position = trace["positions"][0];
            for (std::size_t l = 0; l < golden["layers"].size(); ++l) {
                check_tokens(position["layers"][l]["before"], golden["layers"][l]["before"],
                             "probability", 5, 5e-3);
                check_tokens(position["layers"][l]["after"], golden["layers"][l]["after"],
                             "probability", 5, 5e-3);
                check_sub_updates(position["layers"][l], golden["layers"][l]);
            }
            check_tokens(position["prediction"], golden["prediction"], "probability", 9, 5e-3);
            BOOST_TEST(position["saturation_layer"] == golden["saturation_layer"]);
        }
    }
}

BOOST_AUTO_TEST_CASE(greedy_text_of_smollm2) {
    for (const std::string name : {"capital", "french"}) {
        const json golden =
            xlens::test::read_golden(xlens::test::golden_path("smollm2/" + name + ".json"));
        const json found = run({"generate", model, "--prompt", golden["prompt"], "-n", "16"});
        // The golden goes on after an end token, the program stops there.
        BOOST_TEST(found["ids"].size() > 3U);
        for (std::size_t i = 0; i < found["ids"].size(); ++i) {
            if (golden["greedy_margins"][i].get<double>() < 1e-3) { break; }
            BOOST_TEST(found["ids"][i] == golden["greedy"][i], name << " " << i);
        }
    }
}

BOOST_AUTO_TEST_CASE(concepts_of_smollm2) {
    const json golden = xlens::test::read_golden(xlens::test::golden_path("smollm2/concepts.json"));
    for (const json& one : golden["concepts"]) {
        for (const std::string form : {"raw", "folded", "normed"}) {
            BOOST_TEST_CONTEXT(one["neuron"] << " " << form) {
                const json found = run({"concept", model, one["neuron"], "--projection", form});
                BOOST_TEST(close(found["norm"].get<double>(), one["norm"].get<double>(), 1e-5, 0));
                check_tokens(found["promotes"], one[form]["promotes"], "score", 29, 1e-4);
                check_tokens(found["suppresses"], one[form]["suppresses"], "score", 29, 1e-4);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(perplexity_of_smollm2) {
    const json golden =
        xlens::test::read_golden(xlens::test::golden_path("smollm2/perplexity.json"));
    const json found = run({"perplexity", model, "--file",
                            xlens::test::golden_path("smollm2/perplexity.txt").string()});
    BOOST_TEST(found["tokens"] == golden["predicted"]);
    BOOST_TEST(close(found["nll"].get<double>(), golden["nll_mean"].get<double>(), 1e-4, 0));
    BOOST_TEST(
        close(found["perplexity"].get<double>(), golden["perplexity"].get<double>(), 1e-3, 0));
}

BOOST_AUTO_TEST_CASE(tiny_models_of_every_architecture) {
    for (const std::string name : {"gpt2", "llama", "qwen2", "qwen3", "gpt_neox", "wikilm"}) {
        BOOST_TEST_CONTEXT(name) {
            const auto folder = xlens::test::golden_path("models/" + name);
            const json golden = xlens::test::read_golden(folder / "golden.json");
            const std::string path = (folder / "hf").string();
            const json trace = run({"trace", path, "--ids", id_list(golden["ids"])});
            const json& layers = trace["positions"][0]["layers"];
            for (const json& layer : golden["layers"]) {
                const json& found = layers[layer["layer"].get<std::size_t>()];
                for (const std::string key : {"before", "after"}) {
                    check_tokens(found[key], layer[key], "probability", 5, 1e-3);
                }
                for (std::size_t i = 0; i < layer["dominant"].size(); ++i) {
                    const json& expected = layer["dominant"][i];
                    BOOST_TEST(found["sub_updates"][i]["neuron"] ==
                               std::to_string(layer["layer"].get<int>()) + ":" +
                                   std::to_string(expected["neuron"].get<int>()));
                    BOOST_TEST(close(found["sub_updates"][i]["coefficient"].get<double>(),
                                     expected["coefficient"].get<double>(), 1e-3, 1e-5));
                }
            }
            const json text = run({"generate", path, "--ids", id_list(golden["ids"]), "-n", "8"});
            BOOST_TEST(text["ids"] == golden["greedy"]);
        }
    }
}

BOOST_AUTO_TEST_CASE(edits_reach_the_prediction) {
    const auto folder = xlens::test::golden_path("models/llama");
    const json golden = xlens::test::read_golden(folder / "golden.json");
    for (const json& edited : golden["edited"]) {
        if (edited["positions"] != "all") { continue; }
        const std::string edit = std::to_string(edited["layer"].get<int>()) + ":" +
                                 std::to_string(edited["neuron"].get<int>()) + "=" +
                                 edited["value"].dump();
        const json trace = run({"trace", (folder / "hf").string(), "--ids", id_list(golden["ids"]),
                                "--set", edit, "--top", "5"});
        const auto logits = edited["logits"].back()["values"].get<std::vector<double>>();
        const double highest = *std::max_element(logits.begin(), logits.end());
        double sum = 0.0;
        for (const double z : logits) { sum += std::exp(z - highest); }
        for (const json& token : trace["positions"][0]["prediction"]) {
            const double z = logits[token["id"].get<std::size_t>()];
            BOOST_TEST(
                close(token["probability"].get<double>(), std::exp(z - highest) / sum, 1e-3, 0));
        }
    }
}
