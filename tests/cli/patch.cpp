// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_patch
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/program_json.hpp"
#include "support/run_program.hpp"

#include <cmath>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

// `xlens patch`, `xlens direction`, and what goes with them: --steer, and steps of recipes.

namespace {

using nlohmann::json;
using xlens::test::check_keys;
using xlens::test::golden_path;
using xlens::test::json_of;
using xlens::test::read_golden;
using xlens::test::run_program;
using xlens::test::temporary_directory;
using arguments = std::vector<std::string>;

const std::string model = xlens::test::default_model().string();
const std::string tiny = golden_path("models/llama/hf").string();  // 2 layers, no tokenizer
const std::string control_vector = golden_path("directions/llama_cpp.gguf").string();

arguments operator+(arguments a, const arguments& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
std::string ids_of(const json& list) {
    std::string out;
    for (const json& id : list) { out += (out.empty() ? "" : ",") + std::to_string(id.get<int>()); }
    return out;
}
/// Exit code 2 and this one line.
void check_refusal(const arguments& given, const std::string& message) {
    const auto result = run_program(given);
    BOOST_TEST(result.exit_code == 2, message);
    BOOST_TEST(result.out == "");
    BOOST_TEST(result.err == "xlens: " + message + "\n");
}

const arguments patch{"patch", tiny, "--ids", "1,2,3,4"};
const arguments patched = patch + arguments{"--source-ids", "1,7,3,4"};

}  // namespace

BOOST_AUTO_TEST_CASE(a_grid_is_that_of_pytorch) {
    const json golden = read_golden(golden_path("smollm2/patch.json"));
    const std::string tokens = "#" + golden["tokens"][0].dump() + ",#" + golden["tokens"][1].dump();
    const arguments given{"patch",        model,
                          "--ids",        ids_of(golden["prompt"]),
                          "--source-ids", ids_of(golden["source"]),
                          "--tokens",     tokens,
                          "--sites",      "attention_out,before,ffn_out,after",
                          "--layers",     "0,6,17,29",
                          "--positions",  "1,10-13"};
    const json found = json_of(given);
    check_keys(found, {"metric", "metric_tokens", "prompt", "source", "positions", "grid", "run"});
    BOOST_TEST(found["metric"] == "logit-difference");
    BOOST_TEST(found["metric_tokens"][0]["text"] == " John");
    BOOST_TEST((found["positions"] == json{1, 10, 11, 12, 13}));
    const double prompt = golden["of_prompt"][0];
    const double source = golden["of_source"][0];
    BOOST_TEST(std::abs(found["prompt"]["metric"].get<double>() - prompt) < 1e-4);
    BOOST_TEST(std::abs(found["source"]["metric"].get<double>() - source) < 1e-4);
    BOOST_REQUIRE(found["grid"].size() == 16);
    for (std::size_t i = 0; i < 16; ++i) {
        const json& row = found["grid"][i];
        const json& expected = golden["grid"][i + 1];  // the first is the embedding
        check_keys(row, {"site", "layer", "metric", "normalised"});
        BOOST_TEST(row["site"] == expected["site"]);
        BOOST_TEST(row["layer"] == expected["layer"]);
        for (std::size_t j = 0; j < 5; ++j) {
            const double value = expected["metrics"][found["positions"][j].get<std::size_t>()][0];
            BOOST_TEST(std::abs(row["metric"][j].get<double>() - value) < 1e-4);
            const double share = (value - prompt) / (source - prompt);
            BOOST_TEST(std::abs(row["normalised"][j].get<double>() - share) < 1e-4);
        }
    }
}

// Columns are heads, in JSON, table and page.
BOOST_AUTO_TEST_CASE(a_grid_of_heads_is_that_of_pytorch) {
    const json golden = read_golden(golden_path("smollm2/patch_heads.json"));
    const temporary_directory folder;
    const std::string page = (folder.path() / "p.html").string();
    const std::string tokens = "#" + golden["tokens"][0].dump() + ",#" + golden["tokens"][1].dump();
    const arguments given{"patch",        model,
                          "--ids",        ids_of(golden["prompt"]),
                          "--source-ids", ids_of(golden["source"]),
                          "--tokens",     tokens,
                          "--sites",      "head_outputs",
                          "--layers",     "19,23"};
    const json found = json_of(given + arguments{"--html", page});
    check_keys(found, {"metric", "metric_tokens", "prompt", "source", "positions", "heads", "grid",
                       "run"});
    BOOST_TEST(found["positions"].size() == 14);
    BOOST_TEST((found["heads"] == json{0, 1, 2, 3, 4, 5, 6, 7, 8}));
    BOOST_REQUIRE(found["grid"].size() == 2);
    const double prompt = golden["of_prompt"][0];
    const double source = golden["of_source"][0];
    for (const json& row : found["grid"]) {
        check_keys(row, {"site", "layer", "metric", "normalised"});
        BOOST_TEST(row["site"] == "head_outputs");
        BOOST_REQUIRE(row["metric"].size() == 9);
        for (std::size_t h = 0; h < 9; ++h) {
            const double value = golden["grid"][row["layer"].get<std::size_t>()]["metrics"][h][0];
            BOOST_TEST(std::abs(row["metric"][h].get<double>() - value) < 1e-4);
            const double share = (value - prompt) / (source - prompt);
            BOOST_TEST(std::abs(row["normalised"][h].get<double>() - share) < 1e-4);
        }
    }
    const std::string html = xlens::test::detail::contents(page);
    BOOST_TEST(html.find("<th><small>head</small><bdi>8</bdi></th></tr>") != std::string::npos);
    BOOST_TEST(html.find("title=\"head_outputs 23, head 8: ") != std::string::npos);
    BOOST_TEST(html.find("at all positions together") != std::string::npos);
    const auto table = run_program(given + arguments{"--positions", "10,13"});
    BOOST_TEST(table.out.find("heads   each at positions 10, 13 together\n") != std::string::npos);
    BOOST_TEST(table.out.find("head_outputs, by layer and head\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(without_tokens_the_metric_is_of_what_is_predicted) {
    const std::string prompt = "When Mary and John went to the store, Mary gave a drink to";
    const std::string source = "When Mary and John went to the store, John gave a drink to";
    const temporary_directory folder;
    const std::string page = (folder.path() / "p.html").string();
    const json found = json_of({"patch", model, "--prompt", prompt, "--source", source, "--sites",
                                "embedding", "--html", page});
    BOOST_TEST(found["metric_tokens"][0]["text"] == " Mary");
    BOOST_TEST(found["metric_tokens"][1]["text"] == " John");
    BOOST_REQUIRE(found["grid"].size() == 1);
    const json& row = found["grid"][0];
    // Only one token differs.
    for (std::size_t p = 0; p < 14; ++p) {
        BOOST_TEST((row["normalised"][p].get<double>() == 0.0) == (p != 9));
    }
    BOOST_TEST(std::abs(row["normalised"][9].get<double>() - 1.0) < 1e-6);
    const std::string html = xlens::test::detail::contents(page);
    BOOST_TEST(html.find("<figcaption>embedding</figcaption>") != std::string::npos);
    BOOST_TEST(html.find("position 9: 1; metric") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(ablations_are_told_as_differences) {
    const temporary_directory folder;
    const json zero = json_of(patch + arguments{"--ablate", "zero", "--sites", "after"});
    BOOST_TEST(zero["metric"] == "kl-prompt");
    BOOST_TEST(zero["ablate"] == "zero");
    BOOST_TEST(zero["prompt"]["metric"] == 0.0);
    check_keys(zero["grid"][0], {"site", "layer", "metric"});
    const auto table = run_program(patch + arguments{"--ablate", "zero", "--sites", "after"});
    BOOST_TEST(table.exit_code == 0);
    BOOST_TEST(table.out.find("cells   ablated - prompt\n") != std::string::npos);
    const std::string text = xlens::test::source_path("LICENSE").string();
    const json mean = json_of({"patch", model, "--prompt", "The capital of France is", "--ablate",
                               "mean", "--file", text, "--layers", "3", "--sites", "ffn_out"});
    BOOST_TEST(mean["grid"][0]["metric"][4].get<double>() > 0.0);
    const json drawn = json_of(patched + arguments{"--ablate", "resample", "--layers", "1"});
    BOOST_TEST(drawn["ablate"] == "resample");
    BOOST_TEST(drawn.contains("source"));
    // Nothing to share out where both prompts are the same.
    const json same = json_of(patch + arguments{"--source-ids", "1,2,3,4", "--tokens", "#1,#2"});
    BOOST_TEST(same["grid"][0]["normalised"].is_null());
}

// What trace says of the edited model is what a grid begins and ends with.
BOOST_AUTO_TEST_CASE(edits_are_of_both_prompts) {
    const std::string prompt = "The capital of France is";
    const std::string source = "The capital of Italy is";
    const arguments edits{"--set", "24:1005=3", "--scale", "27:700=-2"};
    const auto chance = [&](const std::string& of) {
        const json traced =
            json_of(arguments{"trace", model, "--prompt", of, "--top", "200"} + edits);
        for (const json& token : traced["positions"][0]["prediction"]) {
            if (token["text"] == " Paris") { return token["probability"].get<double>(); }
        }
        return -1.0;
    };
    const arguments given{"patch",    model,         "--prompt",    prompt,   "--source", source,
                          "--metric", "probability", "--tokens",    " Paris", "--sites",  "ffn_out",
                          "--layers", "24",          "--positions", "4"};
    const json found = json_of(given + edits);
    BOOST_TEST(std::abs(found["prompt"]["metric"].get<double>() - chance(prompt)) < 1e-6);
    BOOST_TEST(std::abs(found["source"]["metric"].get<double>() - chance(source)) < 1e-6);
    BOOST_TEST(found["run"]["edits"]["set"][0]["neuron"] == "24:1005");
    const json plain = json_of(given);
    BOOST_TEST(plain["run"]["edits"] == json::object());
    BOOST_TEST(std::abs(plain["prompt"]["metric"].get<double>() - chance(prompt)) > 1e-4);
    const auto refused = run_program(given + arguments{"--set", "99:0=1"});
    BOOST_TEST(refused.exit_code == 2);
    BOOST_TEST(refused.err ==
               run_program({"trace", model, "--prompt", prompt, "--set", "99:0=1"}).err);
}

// The step of a recipe puts there what the command does.
BOOST_AUTO_TEST_CASE(a_recipe_ablates_by_the_mean_over_a_text) {
    const temporary_directory folder;
    const std::string text = xlens::test::source_path("LICENSE").string();
    const std::string prompt = "The capital of France is";
    const json grid = json_of({"patch", model, "--prompt", prompt, "--ablate", "mean", "--file",
                               text, "--metric", "probability", "--tokens", " Paris", "--sites",
                               "before", "--layers", "20", "--positions", "3"});
    std::filesystem::copy(text, folder.path() / "text.txt");
    const std::string recipe =
        folder
            .write("r.json", R"({"interventions": [{"do": "patch", "site": "before", "layers": [20],
                "positions": [3], "ablate": "mean", "file": "text.txt"}]})")
            .string();
    const json traced =
        json_of({"trace", model, "--prompt", prompt, "--top", "200", "--recipe", recipe});
    double found = -1.0;
    for (const json& token : traced["positions"][0]["prediction"]) {
        if (token["text"] == " Paris") { found = token["probability"].get<double>(); }
    }
    BOOST_TEST(std::abs(found - grid["grid"][0]["metric"][0].get<double>()) < 1e-6);
    BOOST_TEST(std::abs(found - grid["prompt"]["metric"].get<double>()) > 1e-4);
}

// Steps that patch and ablate a head are the grid's cells.
BOOST_AUTO_TEST_CASE(a_recipe_patches_heads) {
    const temporary_directory folder;
    const std::string prompt = "The capital of France is";
    const auto chance = [&](const std::string& step) {
        const std::string recipe =
            folder
                .write("r.json", R"({"interventions": [{"do": "patch", "site": "head_outputs", )"
                                 R"("layers": "23", "positions": [1, 3, 4], )" +
                                     step + "}]}")
                .string();
        const json traced =
            json_of({"trace", model, "--prompt", prompt, "--top", "200", "--recipe", recipe});
        for (const json& token : traced["positions"][0]["prediction"]) {
            if (token["text"] == " Paris") { return token["probability"].get<double>(); }
        }
        return -1.0;
    };
    const auto cell = [&](const arguments& what, std::size_t head) {
        const json grid =
            json_of(arguments{"patch", model, "--prompt", prompt, "--metric", "probability",
                              "--tokens", " Paris", "--sites", "head_outputs", "--layers", "23",
                              "--positions", "1,3-4"} +
                    what);
        const double found = grid["grid"][0]["metric"][head];
        BOOST_TEST(std::abs(found - grid["prompt"]["metric"].get<double>()) > 1e-3);
        return found;
    };
    BOOST_TEST(std::abs(chance(R"("heads": [4], "source": "The capital of Italy is")") -
                        cell({"--source", "The capital of Italy is"}, 4)) < 1e-6);
    BOOST_TEST(std::abs(chance(R"("heads": [3], "ablate": "zero")") -
                        cell({"--ablate", "zero"}, 3)) < 1e-6);
    const std::string text = xlens::test::source_path("LICENSE").string();
    std::filesystem::copy(text, folder.path() / "text.txt");
    BOOST_TEST(std::abs(chance(R"("heads": [4], "ablate": "mean", "file": "text.txt")") -
                        cell({"--ablate", "mean", "--file", text}, 4)) < 1e-6);
}

BOOST_AUTO_TEST_CASE(each_bad_patch_is_one_line) {
    const auto refused = [](const arguments& more, const std::string& message) {
        check_refusal(patched + more, message);
    };
    check_refusal(patch, "--source, --source-ids: expected one of the two, got neither");
    refused({"--source", "a"}, "--source, --source-ids: expected one of the two, got both");
    refused({"--ablate", "zero"}, "--source: expected no --ablate zero with it, got one");
    refused({"--file", "x"}, "--file: expected --ablate mean with it, got none");
    refused({"--sites", "after,mlp"},
            "--sites: expected some of embedding, attention_out, before, ffn_out and after, or "
            "head_outputs, got 'mlp'");
    refused({"--sites", "after,head_outputs"},
            "--sites: expected head_outputs alone, whose columns are heads, got after too");
    refused({"--layers", "2"},
            "--layers: expected numbers and ranges from 0 to 1 such as 3,5-8, got '2'");
    refused({"--layers", "-1"},
            "--layers: expected numbers and ranges from 0 to 1 such as 3,5-8, got '-1'");
    refused({"--positions", "4"},
            "--positions: expected numbers and ranges from 0 to 3 such as 3,5-8, got '4'");
    refused({"--tokens", "#1", "--metric", "kl-source"},
            "--tokens: expected no --metric kl-source with it, got one");
    refused({"--html", ""}, "--html: expected a file to write, got ''");
    check_refusal(patch + arguments{"--ablate", "mean"},
                  "--file: expected a text file, got nothing");
    check_refusal(patch + arguments{"--align", "end", "--ablate", "zero"},
                  "--align: expected --source with it, got none");
    check_refusal(patch + arguments{"--ablate", "zero", "--metric", "kl-source"},
                  "--metric: kl-source: expected --source with it, got none");
    const auto late = [](const arguments& given, const std::string& message) {
        const auto result = run_program(given);  // behind the note that names the model
        BOOST_TEST(result.exit_code == 2, message);
        BOOST_TEST(result.err.ends_with("\nxlens: " + message + "\n"), result.err);
    };
    late(patch + arguments{"--source-ids", "1,2,3"},
         "--source: 3 tokens, the prompt has 4; --align says how they are matched");
    late(patched + arguments{"--tokens", "#1"}, "--tokens: expected 2 for logit-difference, got 1");
    late(patched + arguments{"--tokens", "#1,#1"}, "--tokens: expected two tokens, got '' twice");
    late(patch + arguments{"--source-ids", "1,2,3", "--align", "end", "--positions", "0",
                           "--tokens", "#1,#2"},
         "patch: position 0 has no partner in the source");
}

BOOST_AUTO_TEST_CASE(directions_are_made_and_steer) {
    const temporary_directory folder;
    const std::string pairs =
        folder
            .write("p.jsonl", R"({"positive": "I am so happy", "negative": "I am so sad"}
{"positive": "What a joy", "negative": "What a pain"}
{"positive": "We laughed", "negative": "We cried"})")
            .string();
    const std::string own = (folder.path() / "d.safetensors").string();
    const std::string theirs = (folder.path() / "d.gguf").string();
    const arguments make{"direction", model, "--pairs", pairs};
    const json found = json_of(make + arguments{"-o", own, "--layers", "9-11"});
    check_keys(found, {"pairs", "site", "position", "method", "layers", "separation", "run"});
    BOOST_TEST((found["layers"] == json{9, 10, 11}));
    check_keys(found["separation"][0],
               {"layer", "length", "held_out", "margin", "random", "random_high"});
    const json all = json_of(make + arguments{"-o", theirs});
    BOOST_TEST(all["layers"].size() == 29);  // all but layer 0
    const arguments write{"generate", model, "--prompt", "Today I feel", "-n", "6"};
    const auto ids = [&](const arguments& more) { return json_of(write + more)["ids"]; };
    const json plain = ids({});
    BOOST_TEST(ids({"--steer", own + "=0"}) == plain);
    BOOST_TEST(ids({"--steer", own + "=4"}) != plain);
    BOOST_TEST(ids({"--steer", own + "=4"}) == ids({"--steer", theirs + ":9-11=4"}));
    const json run = json_of(write + arguments{"--steer", own + ":10=-1"})["run"];
    BOOST_TEST(run["edits"]["steer"][0]["file"] == own);
    BOOST_TEST((run["edits"]["steer"][0]["layers"] == json{10}));
    BOOST_TEST(run["edits"]["steer"][0]["strength"] == -1.0);
    const std::string recipe =
        folder
            .write("r.json", R"({"interventions": [{"do": "steer", "file": "d.gguf",
                                 "layers": "9-11", "strength": 4}]})")
            .string();
    BOOST_TEST(ids({"--recipe", recipe}) == ids({"--steer", own + "=4"}));
    check_refusal(make + arguments{"-o", pairs},
                  pairs + ": expected a name that ends in .gguf or .safetensors");
    check_refusal(make + arguments{"-o", theirs, "--layers", "0-3"},
                  "--layers: expected 1 to 29 for a .gguf, which has no layer 0, got 0");
    check_refusal(make + arguments{"-o", theirs, "--site", "before"},
                  "--site: expected after for a .gguf, got before");
    check_refusal({"direction", model, "-o", own},
                  "--pairs, --positive: expected one of the two, got neither");
    check_refusal({"direction", model, "-o", own, "--positive", pairs},
                  "--negative: expected a file of lines, got nothing");
}

// A file that we wrote, added by llama.cpp, and one that ggml wrote, added by us.
BOOST_AUTO_TEST_CASE(control_vectors_make_the_text_of_llama_cpp) {
    const json golden = read_golden(golden_path("directions/control_vectors.json"));
    const auto text = [&](const json& prompt, const std::string& steer) {
        arguments given{"generate", model, "--ids", ids_of(prompt), "-n", "24"};
        if (!steer.empty()) { given = given + arguments{"--steer", steer}; }
        return json_of(given)["ids"];
    };
    const std::size_t count = golden["prompts"].size();
    BOOST_REQUIRE(count == 3);
    for (std::size_t i = 0; i < count; ++i) {
        BOOST_TEST(text(golden["prompts"][i], "") == golden["plain"][i], "prompt " << i);
    }
    BOOST_REQUIRE(golden["runs"].size() == 4);
    for (const json& run : golden["runs"]) {
        const std::string steer =
            golden_path("directions/" + run["file"].get<std::string>()).string() + ":" +
            run["layers"].get<std::string>() + "=" + run["strength"].dump();
        for (std::size_t i = 0; i < count; ++i) {
            BOOST_TEST(run["texts"][i] != golden["plain"][i]);
            BOOST_TEST(text(golden["prompts"][i], steer) == run["texts"][i],
                       steer << ", prompt " << i);
        }
    }
}

// What was given to llama.cpp is what `xlens direction` writes; another processor may round
// otherwise.
BOOST_AUTO_TEST_CASE(a_control_vector_is_written_as_llama_cpp_was_given_it) {
    const temporary_directory folder;
    const auto path = folder.path() / "d.gguf";
    const std::string pairs = xlens::test::source_path("examples/happy_sad.jsonl").string();
    (void)json_of({"direction", model, "--pairs", pairs, "-o", path.string(), "--layers", "11-13"});
    const std::string found = xlens::test::detail::contents(path);
    const std::string given = xlens::test::detail::contents(golden_path("directions/xlens.gguf"));
    constexpr std::size_t bytes = std::size_t{3} * 576 * sizeof(float);  // at the end of the file
    BOOST_REQUIRE(found.size() == given.size());
    BOOST_TEST((found.substr(0, found.size() - bytes) == given.substr(0, given.size() - bytes)));
    const auto numbers = [](const std::string& file) {
        std::vector<float> out(bytes / sizeof(float));
        std::memcpy(out.data(), file.data() + file.size() - bytes, bytes);
        return out;
    };
    BOOST_TEST(xlens::test::max_difference(numbers(found), numbers(given)) < 1e-3);
}

BOOST_AUTO_TEST_CASE(each_bad_steering_is_one_line) {
    const auto refused = [](const std::string& steer, const std::string& message) {
        check_refusal({"generate", tiny, "--ids", "1", "--steer", steer}, message);
    };
    refused(control_vector + "=nan", "--steer: expected a finite number, got 'nan'");
    refused(control_vector + ":-1=2",
            "--steer: expected numbers and ranges from 0 to 65535 such as 3,5-8, got '-1'");
    refused("=2", "--steer: expected FILE[:LAYERS][=NUMBER], got no file");
    refused(control_vector, control_vector + ": directions: width 20, the model has 32");
    const auto missing = run_program({"generate", tiny, "--ids", "1", "--steer", "no.gguf"});
    BOOST_TEST(missing.exit_code == 2);
    BOOST_TEST(missing.err.starts_with("xlens: no.gguf: "), missing.err);
}

BOOST_AUTO_TEST_CASE(a_recipe_patches) {
    const temporary_directory folder;
    const auto recipe = [&](const std::string& step) {
        return folder.write("r.json", R"({"interventions": [{"do": "patch", )" + step + "}]}")
            .string();
    };
    // The residual that another prompt ends with makes its prediction.
    const std::string last = recipe(R"("site": "after", "layers": [1], "positions": [3],
                                       "ids": [9, 8, 7], "from": [2])");
    const arguments plain{"trace", tiny, "--ids", "1,2,3,4"};
    const json other = json_of({"trace", tiny, "--ids", "9,8,7"});
    const json found = json_of(plain + arguments{"--recipe", last});
    BOOST_TEST(found["positions"][0]["prediction"] == other["positions"][0]["prediction"]);
    BOOST_TEST(found["positions"][0]["prediction"] != json_of(plain)["positions"][0]["prediction"]);
    const json grid =
        json_of(patched + arguments{"--sites", "ffn_out", "--layers", "0", "--positions", "1",
                                    "--metric", "probability", "--tokens", "#5"});
    const std::string one = recipe(R"("site": "ffn_out", "layers": "0", "positions": [1],
                                      "ids": [1, 7, 3, 4])");
    const json traced = json_of(plain + arguments{"--recipe", one, "--top", "100000"});
    for (const json& token : traced["positions"][0]["prediction"]) {
        if (token["id"] == 5) {
            BOOST_TEST(std::abs(token["probability"].get<double>() -
                                grid["grid"][0]["metric"][0].get<double>()) < 1e-7);
        }
    }
    const auto refused = [&](const std::string& step, const std::string& message) {
        const std::string path = recipe(step);
        check_refusal(plain + arguments{"--recipe", path}, path + ": interventions[0]" + message);
    };
    refused(
        R"("site": "mlp", "layers": [0], "positions": [0], "ids": [1])",
        ".site: expected one of embedding, head_outputs, attention_out, before, ffn_out, after, "
        "got 'mlp'");
    refused(R"("site": "head_outputs", "heads": [4], "layers": [0], "positions": [0], "ids": [1])",
            ".heads: expected 0 to 3, got 4");
    refused(R"("site": "before", "heads": [0], "layers": [0], "positions": [0], "ids": [1])",
            ".heads: expected \"site\": \"head_outputs\" with it, got \"before\"");
    refused(R"("site": "after", "layers": [0], "positions": [4], "ids": [1])",
            ".positions: position 4: expected 0 to 3");
    refused(R"("site": "after", "layers": [2], "positions": [0], "ids": [1])",
            ".layers: expected 0 to 1, got 2");
    refused(R"("site": "after", "layers": [0], "positions": [1], "ids": [1])",
            ": position 1 of the source, which has 1 tokens");
    refused(R"("site": "after", "layers": [0], "positions": [1])",
            ": expected one of source, ids and ablate");
    refused(R"("site": "after", "layers": [0], "positions": [1], "ids": [1], "from": [0, 0])",
            ".from: expected 1 positions, one each, got 2");
    refused(R"("site": "embedding", "layers": [0], "positions": [1], "ids": [1])",
            ".layers: the embedding has none");
    refused(R"("site": "after", "layers": [0], "positions": [1], "source": "a")",
            ": the model has no tokenizer; give token ids");
}
