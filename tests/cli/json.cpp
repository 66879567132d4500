// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_json
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/json_document.hpp"
#include "support/program_json.hpp"
#include "support/run_program.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

// The keys of every document, on the default model and on a tiny one without a tokenizer.

namespace {

using nlohmann::json;
using xlens::test::check_keys;
using xlens::test::check_tokens;

const std::string model = xlens::test::default_model().string();
const std::string tiny = xlens::test::golden_path("models/qwen2/hf").string();

json run(std::vector<std::string> arguments) { return xlens::test::json_of(std::move(arguments)); }

void check_trace(const json& trace, std::size_t tokens, std::size_t positions, std::size_t layers,
                 std::size_t top, std::size_t sub_updates) {
    check_keys(trace, {"tokens", "positions", "run"});
    BOOST_TEST(trace["tokens"].size() == tokens);
    for (const json& token : trace["tokens"]) { check_keys(token, {"id", "text"}); }
    BOOST_REQUIRE(trace["positions"].size() == positions);
    for (const json& position : trace["positions"]) {
        check_keys(position, {"position", "layers", "prediction", "saturation_layer"});
        BOOST_REQUIRE(position["layers"].size() == layers);
        check_tokens(position["prediction"], "probability", top);
        for (const json& layer : position["layers"]) {
            check_keys(layer, {"layer", "before", "after", "sub_updates"});
            check_tokens(layer["before"], "probability", top);
            check_tokens(layer["after"], "probability", top);
            BOOST_REQUIRE(layer["sub_updates"].size() == sub_updates);
            for (const json& one : layer["sub_updates"]) {
                check_keys(
                    one, {"neuron", "coefficient", "norm", "dominance", "promotes", "suppresses"});
                BOOST_TEST(one["neuron"].get<std::string>().starts_with(
                    std::to_string(layer["layer"].get<int>()) + ":"));
                check_tokens(one["promotes"], "score", top);
                check_tokens(one["suppresses"], "score", top);
            }
        }
    }
    BOOST_TEST(trace["positions"].back()["position"].get<std::size_t>() == tokens - 1);
}

/// Besides the keys: that the parts sum to the logit.
void check_attribution(const json& found, const std::set<std::string>& more, std::size_t layers,
                       std::size_t limit) {
    std::set<std::string> keys{"position", "token", "logit",  "embedding", "attention",
                               "ffn",      "bias",  "biases", "gap",       "sub_updates"};
    keys.insert(more.begin(), more.end());
    if (found.contains("run")) { keys.insert("run"); }  // unless it is part of a trace
    check_keys(found, keys);
    check_keys(found["token"], {"id", "text"});
    check_keys(found["biases"], {"attention", "ffn", "final_norm", "normaliser"});
    BOOST_REQUIRE(found["attention"].size() == layers);
    BOOST_REQUIRE(found["ffn"].size() == layers);
    BOOST_TEST(found["sub_updates"].size() == limit);
    double sum = found["embedding"].get<double>() + found["bias"].get<double>();
    for (const char* part : {"attention", "ffn"}) {
        for (const json& x : found[part]) { sum += x.get<double>(); }
    }
    const double logit = found["logit"];
    BOOST_TEST(std::abs(found["gap"].get<double>()) < 1e-3 * std::abs(logit));
    BOOST_TEST(std::abs(sum - logit) < 1e-3 * std::abs(logit));
    double last = INFINITY;
    for (const json& one : found["sub_updates"]) {
        BOOST_TEST(one.contains("neuron"));
        BOOST_TEST(one.contains("coefficient"));
        const double size = std::abs(one["contribution"].get<double>());
        BOOST_TEST(size <= last);
        last = size;
    }
}

const std::set<std::string> info_keys{
    "path",       "architecture", "layers",     "width", "inner_width",  "heads",      "kv_heads",
    "vocabulary", "context",      "activation", "gated", "quantization", "parameters", "run"};

}  // namespace

BOOST_AUTO_TEST_CASE(info_has_the_sizes_of_the_files) {
    const json big = run({"info", model});
    check_keys(big, info_keys);
    BOOST_TEST(big["path"] == model);
    BOOST_TEST(big["architecture"] == "llama");
    BOOST_TEST(big["layers"] == 30);
    BOOST_TEST(big["width"] == 576);
    BOOST_TEST(big["inner_width"] == 1536);
    BOOST_TEST(big["heads"] == 9);
    BOOST_TEST(big["kv_heads"] == 3);
    BOOST_TEST(big["vocabulary"] == 49152);
    BOOST_TEST(big["context"] == 8192);
    BOOST_TEST(big["activation"] == "silu");
    BOOST_TEST(big["gated"] == true);
    BOOST_TEST(big["quantization"] == "q4_1");
    BOOST_TEST(big["parameters"] == 134515008);  // as its model card counts them
    const json small = run({"info", tiny});
    check_keys(small, info_keys);
    BOOST_TEST(small["architecture"] == "qwen2");
    BOOST_TEST(small["quantization"] == "bf16");
    const json plain = run({"info", xlens::test::golden_path("models/gpt2/hf").string()});
    BOOST_TEST(plain["gated"] == false);
    BOOST_TEST(plain["activation"] == "gelu_tanh");
}

BOOST_AUTO_TEST_CASE(every_document_says_how_to_repeat_it) {
    const json plain = run({"tokenize", model, "--text", "a", "--threads", "1"})["run"];
    check_keys(plain, {"version", "model", "fingerprint", "precision", "instruction_set", "threads",
                       "edits", "seed"});
    BOOST_TEST(plain["edits"] == json::object());
    BOOST_TEST(plain["seed"].is_null());
    BOOST_TEST(plain["threads"] == 1);
    BOOST_TEST(plain["precision"] == "f32");
    BOOST_TEST(plain["fingerprint"].get<std::string>().size() == 16U);
    const json edited = run({"trace", tiny, "--ids", "1", "--set", "0:3=2", "--scale", "1:4=0.5",
                             "--precision", "native"})["run"];
    BOOST_TEST(edited["precision"] == "native");
    BOOST_TEST(edited["edits"] ==
               xlens::test::json_document(R"({"set": [{"neuron": "0:3", "value": 2.0}],
                                                  "scale": [{"neuron": "1:4", "value": 0.5}]})"));
    BOOST_TEST(!edited.contains("cache"));
    BOOST_TEST(run({"trace", tiny, "--ids", "1", "--cache", "f16"})["run"]["cache"] == "f16");
    BOOST_TEST(run({"generate", tiny, "--ids", "1", "--temperature", "1", "--seed",
                    "7"})["run"]["seed"] == 7);
    BOOST_TEST(run({"concept", tiny, "0:3", "--control", "2", "--seed", "5"})["run"]["seed"] == 5);
    const auto version = xlens::test::run_program({"--version"});
    BOOST_TEST(version.exit_code == 0);
    BOOST_TEST(version.out == "xlens " + plain["version"].get<std::string>() + "\n");
}

BOOST_AUTO_TEST_CASE(tokenize_gives_ids_and_texts) {
    const json tokens = run({"tokenize", model, "--text", "The capital of France is"});
    check_keys(tokens, {"ids", "tokens", "run"});
    BOOST_TEST(tokens["ids"] == json({504, 3575, 282, 4649, 314}));
    BOOST_TEST(tokens["tokens"] == json({"The", " capital", " of", " France", " is"}));
    // Special tokens are plain text, brackets are no list and an empty text has no tokens.
    BOOST_TEST(run({"tokenize", model, "--text", "<|endoftext|>"})["ids"].size() > 1U);
    BOOST_TEST(run({"tokenize", model, "--special", "--text", "a<|im_end|>b"})["tokens"] ==
               json({"a", "<|im_end|>", "b"}));
    BOOST_TEST(run({"tokenize", model, "--text", "[a,b]"})["tokens"] ==
               json({"[", "a", ",", "b", "]"}));
    BOOST_TEST(run({"tokenize", model, "--text", ""})["ids"] == json::array());
}

BOOST_AUTO_TEST_CASE(a_token_that_is_part_of_a_character_is_valid_text) {
    const json tokens = run({"tokenize", model, "--text", "日"});
    BOOST_TEST(tokens["tokens"].size() > 1U);
    for (const json& text : tokens["tokens"]) { BOOST_TEST(text == "\uFFFD"); }
}

BOOST_AUTO_TEST_CASE(trace_has_every_layer) {
    check_trace(run({"trace", model, "--prompt", "Hello"}), 1, 1, 30, 10, 10);
    const std::vector<std::string> small{"trace", tiny, "--ids", "3,1,4,1,5"};
    check_trace(run(small), 5, 1, 2, 10, 10);
    auto all = small;
    all.insert(all.end(), {"--positions", "all", "--top", "3", "--sub-updates", "2"});
    check_trace(run(all), 5, 5, 2, 3, 2);
    auto none = small;
    none.insert(none.end(), {"--sub-updates", "0"});
    check_trace(run(none), 5, 1, 2, 10, 0);
}

BOOST_AUTO_TEST_CASE(concepts_stand_once_where_that_is_asked_for) {
    const std::vector<std::string> given{"trace",       tiny,  "--ids", "3,1,4,1,5",
                                         "--positions", "all", "--top", "4"};
    std::vector<std::string> once_given = given;
    once_given.insert(once_given.end(), {"--concepts", "once"});
    json each = run(given);
    json once = run(once_given);
    const json concepts = once["concepts"];
    std::set<std::string> named;
    for (json& position : each["positions"]) {
        for (json& layer : position["layers"]) {
            for (json& s : layer["sub_updates"]) {
                const auto name = s["neuron"].get<std::string>();
                named.insert(name);
                BOOST_REQUIRE(concepts.contains(name));
                BOOST_TEST(concepts[name]["promotes"] == s["promotes"]);
                BOOST_TEST(concepts[name]["suppresses"] == s["suppresses"]);
                s.erase("promotes");
                s.erase("suppresses");
            }
        }
    }
    BOOST_TEST(concepts.size() == named.size());
    once.erase("concepts");
    BOOST_TEST(once == each);
    const auto refused =
        xlens::test::run_program({"trace", tiny, "--ids", "1", "--concepts", "once"});
    BOOST_TEST(refused.exit_code == 2);
    BOOST_TEST(refused.err ==
               "xlens: --concepts: is about the document of --json, which was not asked for\n");
}

BOOST_AUTO_TEST_CASE(no_document_is_without_a_record) {
    const xlens::test::temporary_directory folder;
    const auto at = [&](const char* name) { return (folder.path() / name).string(); };
    const std::string text = folder.write("t.txt", "One two three four five.").string();
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {"info", tiny},
             {"tokenize", model, "--text", "a"},
             {"trace", tiny, "--ids", "1"},
             {"concept", tiny, "0:3"},
             {"index", tiny, "-o", at("index")},
             {"search", tiny, "--like", "0:3", "--control", "0"},
             {"cluster", tiny, "-k", "2"},
             {"attribute", tiny, "--ids", "1,2"},
             {"generate", tiny, "--ids", "1", "-n", "1"},
             {"perplexity", model, "--file", text},
             {"examples", model, "0:3", "--file", text},
             {"patch", tiny, "--ids", "1,2", "--ablate", "zero"},
             {"compare", tiny, "--ids", "1,2", "--set", "0:3=1"},
             {"capture", tiny, "--ids", "1", "-o", at("captured")}}) {
        BOOST_TEST_CONTEXT(arguments[0]) {
            const json found = run(arguments);
            BOOST_TEST_REQUIRE(found.contains("run"));
            for (const char* key :
                 {"version", "model", "fingerprint", "precision", "edits", "seed"}) {
                BOOST_TEST(found["run"].contains(key), key);
            }
            BOOST_TEST(found["run"]["model"] == arguments[1]);
        }
    }
}

// The checksum is ZIP's, of which cbf43926 for these nine digits is the published check value.
BOOST_AUTO_TEST_CASE(a_record_tells_the_files_that_edits_name_from_others) {
    const xlens::test::temporary_directory folder;
    const auto text = folder.write("mean.txt", "123456789").string();
    const std::string recipe = folder
                                   .write("r.json", R"({"interventions": [{"do": "patch",
        "site": "after", "layers": [1], "positions": [0], "ablate": "mean", "file": "mean.txt"}]})")
                                   .string();
    const json edits =
        run({"trace", model, "--prompt", "One two", "--recipe", recipe})["run"]["edits"];
    check_keys(edits, {"recipe", "files"});
    BOOST_REQUIRE(edits["files"].size() == 2U);
    BOOST_TEST(edits["recipe"] == recipe);
    BOOST_TEST(edits["files"][0]["file"] == recipe);
    BOOST_TEST(edits["files"][1] == json({{"file", text}, {"crc32", "cbf43926"}}));
}

BOOST_AUTO_TEST_CASE(a_page_and_a_document_come_from_one_trace) {
    const xlens::test::temporary_directory folder;
    const std::string path = (folder.path() / "page.html").string();
    const std::vector<std::string> small{"trace", tiny, "--ids", "3,1,4,1,5", "--html", path};
    const auto page = [&] {
        const std::string text = xlens::test::detail::contents(path);
        const std::string mark = "id=\"data\">";
        const auto first = text.find(mark) + mark.size();
        return xlens::test::json_document(
            text.substr(first, text.find("</script>", first) - first));
    };
    const json all = run(small);
    check_trace(all, 5, 5, 2, 10, 10);
    BOOST_REQUIRE(page()["cells"].size() == 5U);
    for (std::size_t p = 0; p < 5; ++p) {
        const auto token = page()["cells"][p][1][1][0].get<std::size_t>();
        BOOST_TEST(page()["ids"][token] == all["positions"][p]["prediction"][0]["id"]);
    }
    auto last = small;
    last.insert(last.end(), {"--positions", "last", "--set", "0:3=1.5", "--scale", "1:4=2"});
    check_trace(run(last), 5, 1, 2, 10, 10);
    BOOST_TEST(page()["positions"] == json({4}));
    BOOST_TEST(page()["prompt"].size() == 5U);
    BOOST_TEST(xlens::test::detail::contents(path).find("edited: 0:3 = 1.5, 1:4 × 2") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(concept_has_both_ends) {
    for (const std::string& path : {model, tiny}) {
        const json found = run({"concept", path, "1:17", "--top", "4"});
        check_keys(found, {"neuron", "norm", "kurtosis", "promotes", "suppresses", "run"});
        BOOST_TEST(found["neuron"] == "1:17");
        check_tokens(found["promotes"], "score", 4);
        check_tokens(found["suppresses"], "score", 4);
    }
    BOOST_TEST(run({"concept", tiny, "0:0"})["promotes"].size() == 30U);
}

BOOST_AUTO_TEST_CASE(index_says_what_it_wrote) {
    const xlens::test::temporary_directory folder;
    const std::string path = (folder.path() / "tiny.index").string();
    const json written = run({"index", tiny, "-o", path, "--top", "3", "--projection", "raw"});
    check_keys(written, {"path", "neurons", "top", "projection", "run"});
    BOOST_TEST(written["neurons"] == 96);
    BOOST_TEST(written["top"] == 3);
    BOOST_TEST(std::filesystem::file_size(path) == 40 + 96 * (2 * 3 * 8 + 4));
    // The first neuron's best token, as `concept` names it.
    std::ifstream file(path, std::ios::binary);
    file.seekg(40);
    std::int32_t id = -1;
    file.read(reinterpret_cast<char*>(&id), sizeof id);
    const json found = run({"concept", tiny, "0:0", "--top", "1", "--projection", "raw"});
    BOOST_TEST(found["promotes"][0]["id"] == id);
}

BOOST_AUTO_TEST_CASE(cluster_has_every_neuron_once) {
    const xlens::test::temporary_directory folder;
    const std::string path = (folder.path() / "clusters.json").string();
    for (const std::string method : {"kmeans", "complete"}) {
        const std::vector<std::string> arguments{"cluster",  tiny,        "-k",     "5",
                                                 "--space",  "projected", "--seed", "3",
                                                 "--method", method,      "--top",  "4"};
        auto all = arguments;
        all.insert(all.end(), {"-o", path, "--shuffle"});
        const json found = run(all);
        check_keys(found, {"model", "layers", "inner_width", "method", "space", "projection",
                           "seed", "inertia", "cohesion", "clusters", "shuffled", "run"});
        BOOST_TEST(found["run"]["seed"] == 3);
        BOOST_TEST(found["run"]["fingerprint"] == found["model"]);
        check_keys(found["shuffled"], {"inertia", "cohesion"});
        BOOST_TEST(found["method"] == method);
        BOOST_TEST(found["layers"].get<int>() * found["inner_width"].get<int>() == 96);
        std::set<std::string> neurons;
        BOOST_REQUIRE(found["clusters"].size() == 5U);
        for (std::size_t id = 0; id < 5; ++id) {
            const json& one = found["clusters"][id];
            check_keys(one,
                       {"id", "size", "concept", "suppresses", "cohesion", "neurons", "centroid"});
            BOOST_TEST(one["id"] == id);
            BOOST_TEST(one["size"] == one["neurons"].size());
            check_tokens(one["concept"], "score", 4);
            check_tokens(one["suppresses"], "score", 4);
            neurons.insert(one["neurons"].begin(), one["neurons"].end());
        }
        BOOST_TEST(neurons.size() == 96U);
        // The file is the same document.
        BOOST_TEST(xlens::test::read_golden(path) == found);
        auto threads = arguments;
        threads.insert(threads.end(), {"--threads", "3"});
        BOOST_TEST(run(threads)["clusters"] == found["clusters"]);
    }
}

BOOST_AUTO_TEST_CASE(generate_has_a_step_a_token) {
    const json big = run({"generate", model, "--prompt", "The capital of France is", "-n", "3"});
    check_keys(big, {"text", "ids", "steps", "finish_reason", "tokens_per_second", "run"});
    BOOST_TEST(big["text"].get<std::string>().starts_with(" Paris."));
    BOOST_TEST(big["tokens_per_second"].get<double>() > 0.0);
    const json small = run({"generate", tiny, "--ids", "3,1,4", "-n", "5"});
    BOOST_TEST(small["text"] == "");
    BOOST_REQUIRE(small["steps"].size() == 5U);
    for (std::size_t i = 0; i < 5; ++i) {
        check_keys(small["steps"][i], {"id", "text", "probability", "exit_layer"});
        BOOST_TEST(small["steps"][i]["id"] == small["ids"][i]);
        BOOST_TEST(small["steps"][i]["exit_layer"] == 1);
    }
    BOOST_TEST(run({"generate", tiny, "--ids", "3", "-n", "0"})["ids"].empty());
}

BOOST_AUTO_TEST_CASE(attribute_has_every_part) {
    const std::string prompt = "The capital of France is";
    const json found = run({"attribute", model, "--prompt", prompt, "--limit", "7", "--top", "2"});
    check_attribution(found, {}, 30, 7);
    BOOST_TEST(found["token"] == json({{"id", 7042}, {"text", " Paris"}}));
    BOOST_TEST(found["position"] == 4);
    for (const json& one : found["sub_updates"]) {
        check_tokens(one["promotes"], "score", 2);
        check_tokens(one["suppresses"], "score", 2);
    }
    // A token by its text and by its number, and a difference.
    for (const std::string name : {" Paris", "#7042", "7042"}) {
        BOOST_TEST(run({"attribute", model, "--prompt", prompt, "--limit", "7", "--top", "2",
                        "--token", name}) == found);
    }
    const std::vector<std::string> small{"attribute", tiny, "--ids", "3,1,4,1,5", "--token", "9"};
    const json one = run(small);
    check_attribution(one, {}, 2, 20);
    auto other = small;
    other.back() = "8";
    auto both = small;
    both.insert(both.end(), {"--against", "8"});
    const json difference = run(both);
    check_attribution(difference, {"against"}, 2, 20);
    BOOST_TEST(difference["against"]["id"] == 8);
    BOOST_TEST(std::abs(difference["logit"].get<double>() - one["logit"].get<double>() +
                        run(other)["logit"].get<double>()) < 1e-4);
}

// Where logits are capped, what is taken apart is said to be the logit before that.
BOOST_AUTO_TEST_CASE(attribute_says_that_a_logit_is_before_the_cap) {
    const std::string capped = xlens::test::golden_path("families/gemma2_scalar/hf").string();
    std::ifstream file(capped + "/config.json");
    const json config = json::parse(file);
    BOOST_TEST(run({"attribute", capped, "--ids", "36,23,43"})["before_cap"] ==
               config["final_logit_softcapping"]);
    BOOST_TEST(!run({"attribute", tiny, "--ids", "3,1,4"}).contains("before_cap"));
}

BOOST_AUTO_TEST_CASE(attribute_takes_attention_apart) {
    const std::vector<std::string> plain{"attribute", model, "--prompt", "The capital of France is",
                                         "--limit",   "3"};
    auto heads = plain;
    heads.insert(heads.end(), {"--heads", "--head", "20:4"});
    json found = run(heads);
    check_attribution(found, {"heads", "head"}, 30, 3);
    for (std::size_t l = 0; l < 30; ++l) {
        const json& layer = found["heads"][l];
        check_keys(layer, {"layer", "heads", "bias", "gap"});
        BOOST_TEST(layer["layer"] == l);
        BOOST_REQUIRE(layer["heads"].size() == 9U);
        double sum = 0.0;
        for (const json& x : layer["heads"]) { sum += x.get<double>(); }
        BOOST_TEST(std::abs(sum - found["attention"][l].get<double>()) <
                   1e-4 * std::abs(found["logit"].get<double>()));
    }
    const json& head = found["head"];
    check_keys(head, {"head", "contribution", "sources", "gap"});
    BOOST_TEST(head["head"] == "20:4");
    BOOST_TEST(head["contribution"] == found["heads"][20]["heads"][4]);
    BOOST_REQUIRE(head["sources"].size() == 5U);
    double sum = 0.0;
    double weights = 0.0;
    for (std::size_t s = 0; s < 5; ++s) {
        check_keys(head["sources"][s], {"position", "token", "weight", "contribution"});
        BOOST_TEST(head["sources"][s]["position"] == s);
        sum += head["sources"][s]["contribution"].get<double>();
        weights += head["sources"][s]["weight"].get<double>();
    }
    BOOST_TEST(head["sources"][3]["token"]["text"] == " France");
    BOOST_TEST(std::abs(sum - head["contribution"].get<double>()) < 1e-4);
    BOOST_TEST(std::abs(weights - 1.0) < 1e-5);
    // The rest is as it is without.
    found.erase("heads");
    found.erase("head");
    BOOST_TEST(found == run(plain));
}

BOOST_AUTO_TEST_CASE(attribute_reads_no_further_than_its_position) {
    const json prefix = run({"attribute", tiny, "--ids", "3,1,4"});
    const json there = run({"attribute", tiny, "--ids", "3,1,4,1,5", "--position", "2"});
    BOOST_TEST(prefix == there);
    BOOST_TEST(run({"attribute", tiny, "--ids", "3,1,4,1,5"}) != there);
}

BOOST_AUTO_TEST_CASE(attribute_explains_several_positions_a_document_each) {
    std::string one_by_one;
    for (const std::string position : {"1", "3", "4"}) {
        one_by_one += xlens::test::run_program({"attribute", tiny, "--ids", "3,1,4,1,5",
                                                "--position", position, "--json"})
                          .out;
    }
    const auto together = xlens::test::run_program(
        {"attribute", tiny, "--ids", "3,1,4,1,5", "--positions", "1,3-4", "--json"});
    BOOST_TEST(together.out == one_by_one);
    const auto refused = [](const std::vector<std::string>& more) {
        std::vector<std::string> command{"attribute", tiny, "--ids", "3,1,4"};
        command.insert(command.end(), more.begin(), more.end());
        return xlens::test::run_program(command).err;
    };
    BOOST_TEST(refused({"--positions", "3"}) ==
               "xlens: --ids: 3 tokens, position 3 was asked for\n");
    BOOST_TEST(refused({"--position", "1", "--positions", "1"}) ==
               "xlens: --position, --positions: expected one of the two, got both\n");
}

BOOST_AUTO_TEST_CASE(attribute_shows_what_an_edit_changes) {
    const std::vector<std::string> small{"attribute", tiny, "--ids", "3,1,4", "--token", "9"};
    auto edited = small;
    edited.insert(edited.end(), {"--set", "1:7=40", "--scale", "1:7=-1"});
    const json before = run(small);
    const json after = run(edited);
    check_attribution(after, {}, 2, 20);
    BOOST_TEST(before["attention"] != after["attention"]);  // the scale of the norm has changed
    const auto& found = after["sub_updates"];
    const auto seven = std::find_if(found.begin(), found.end(),
                                    [](const json& s) { return s["neuron"] == "1:7"; });
    BOOST_REQUIRE(seven != found.end());
    BOOST_TEST((*seven)["coefficient"] == -40.0);
}

BOOST_AUTO_TEST_CASE(a_trace_and_a_generation_take_attributions) {
    const json trace = run({"trace", tiny, "--ids", "3,1,4", "--positions", "all", "--attribute"});
    for (const json& position : trace["positions"]) {
        const json& found = position["attribution"];
        check_attribution(found, {}, 2, 20);
        BOOST_TEST(found["position"] == position["position"]);
        BOOST_TEST(found["token"]["id"] == position["prediction"][0]["id"]);
    }
    const json alone = run({"trace", model, "--prompt", "Once", "--attribute"});
    check_attribution(alone["positions"][0]["attribution"], {}, 30, 20);

    const json text = run({"generate", tiny, "--ids", "3,1,4", "-n", "5", "--attribute"});
    std::string ids = "3,1,4";
    for (std::size_t i = 0; i < 5; ++i) {
        const json& found = text["steps"][i]["attribution"];
        check_attribution(found, {}, 2, 20);
        BOOST_TEST(found["position"] == 2 + i);
        BOOST_TEST(found["token"]["id"] == text["ids"][i]);
        // The same as of a prompt that ends there.
        json same = run({"attribute", tiny, "--ids", ids});
        for (json& one : same["sub_updates"]) {
            one.erase("promotes");
            one.erase("suppresses");
        }
        same.erase("run");
        BOOST_TEST(same == found);
        ids += "," + std::to_string(text["ids"][i].get<int>());
    }
}

BOOST_AUTO_TEST_CASE(beams_give_the_text_that_the_golden_has) {
    const json golden =
        xlens::test::read_golden(xlens::test::golden_path("smollm2/beam.json"))["prompts"][0];
    const json found =
        run({"generate", model, "--prompt", "The capital of France is", "-n", "20", "--beam", "3"});
    check_keys(found, {"text", "ids", "steps", "finish_reason", "tokens_per_second", "run"});
    BOOST_TEST(found["ids"] == golden["hypotheses"][0]["ids"]);
}

BOOST_AUTO_TEST_CASE(a_stop_text_ends_the_text_but_its_tokens_are_told) {
    const std::vector<std::string> start{"generate", model, "--prompt", "The capital of France is",
                                         "-n",       "12",  "--stop",   "is.\n"};
    const json found = run(start);
    BOOST_TEST(found["text"] == " Par");  // " Paris", ".", line end
    BOOST_TEST(found["ids"].size() == 3U);
    auto beams = start;
    beams.insert(beams.end(), {"--beam", "2"});
    BOOST_TEST(run(beams)["text"].get<std::string>().find("is.\n") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_banned_word_is_not_written_and_the_comparison_shows_both) {
    const json found = run({"generate", model, "--prompt", "The capital of France is", "-n", "4",
                            "--ban", "Paris", "--compare"});
    check_keys(found, {"before", "after", "run"});
    check_keys(found["before"], {"text", "ids", "steps", "finish_reason", "tokens_per_second"});
    check_keys(found["after"], {"text", "ids", "steps", "finish_reason", "tokens_per_second"});
    BOOST_TEST(found["before"]["text"].get<std::string>().starts_with(" Paris."));
    BOOST_TEST(found["after"]["text"].get<std::string>().find("Paris") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_chat_prompt_is_read_by_the_models_template) {
    const json golden = xlens::test::read_golden(
        xlens::test::golden_path("smollm2/chat_template.json"))["conversations"][2];
    std::string ids;
    for (const json& id : golden["ids"]) { ids += (ids.empty() ? "" : ",") + id.dump(); }
    const json chat = run({"generate", model, "--chat", "--system", "Answer in one word.",
                           "--prompt", "What is the largest planet?", "-n", "4"});
    BOOST_TEST(chat["ids"] == run({"generate", model, "--ids", ids, "-n", "4"})["ids"]);
    for (const std::string subcommand : {"trace", "attribute"}) {
        json read = run({subcommand, model, "--chat", "--system", "Answer in one word.", "--prompt",
                         "What is the largest planet?"});
        json expected = run({subcommand, model, "--ids", ids});
        BOOST_TEST_CONTEXT(subcommand) { BOOST_TEST(read == expected); }
    }
}

BOOST_AUTO_TEST_CASE(tokenize_shows_the_prompt_of_a_conversation) {
    const auto golden = xlens::test::read_golden(
        xlens::test::golden_path("smollm2/chat_template.json"))["conversations"];
    const xlens::test::temporary_directory folder;
    for (const auto& g : golden) {
        if (!g["add_generation_prompt"]) { continue; }
        const std::string file = folder.write("m.json", g["messages"].dump()).string();
        const json shown = run({"tokenize", model, "--chat", "--messages", file});
        check_keys(shown, {"prompt", "ids", "tokens", "run"});
        BOOST_TEST(shown["prompt"] == g["text"]);
        BOOST_TEST(shown["ids"] == g["ids"]);
    }
    // The text is one more message, and the system's goes before all.
    const std::string turns = folder
                                  .write("turns.json", R"({"messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})")
                                  .string();
    const json shown = run({"tokenize", model, "--chat", "--messages", turns, "--system", "s",
                            "--text", "c", "--date", "2024-07-04"});
    BOOST_TEST(shown["prompt"] ==
               "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\na<|im_end|>\n"
               "<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n"
               "<|im_start|>assistant\n");
    const json plain = run({"generate", model, "--chat", "--messages", turns, "--system", "s",
                            "--prompt", "c", "-n", "1"});
    std::string ids;
    for (const json& id : shown["ids"]) { ids += (ids.empty() ? "" : ",") + id.dump(); }
    BOOST_TEST(plain["ids"] == run({"generate", model, "--ids", ids, "-n", "1"})["ids"]);
}

BOOST_AUTO_TEST_CASE(a_recipe_does_what_its_flags_do) {
    const xlens::test::temporary_directory folder;
    const std::string recipe = folder
                                   .write("r.json", R"({"interventions": [
        {"do": "set", "neurons": ["0:1", "1:3"], "value": 9},
        {"do": "scale", "neurons": ["0:2"], "value": -4}]})")
                                   .string();
    for (const std::vector<std::string>& start :
         {std::vector<std::string>{"generate", tiny, "--ids", "3,1,4", "-n", "6"},
          std::vector<std::string>{"trace", tiny, "--ids", "3,1,4"}}) {
        auto by_recipe = start;
        by_recipe.insert(by_recipe.end(), {"--recipe", recipe});
        auto by_flags = start;
        by_flags.insert(by_flags.end(), {"--set", "0:1=9", "--set", "1:3=9", "--scale", "0:2=-4"});
        json a = run(by_recipe);
        json b = run(by_flags);
        json plain = run(start);
        for (json* document : {&a, &b, &plain}) {
            document->erase("tokens_per_second");
            document->erase("run");
        }
        BOOST_TEST(a == b);
        BOOST_TEST(a != plain);
    }
}

BOOST_AUTO_TEST_CASE(perplexity_in_overlapping_windows_is_that_of_the_golden) {
    const json runs =
        xlens::test::read_golden(xlens::test::golden_path("smollm2/control.json"))["runs"];
    const std::string text = xlens::test::golden_path("smollm2/perplexity.txt").string();
    const json found =
        run({"perplexity", model, "--file", text, "--window", "128", "--stride", "48"});
    check_keys(found, {"tokens", "nll", "perplexity", "run"});
    BOOST_TEST(found["tokens"] == runs[1]["tokens"]);
    BOOST_TEST(found["nll"].get<double>() == runs[1]["nll_mean"].get<double>(),
               boost::test_tools::tolerance(1e-5));
}

BOOST_AUTO_TEST_CASE(a_seed_decides_what_is_sampled) {
    const auto sample = [](const std::string& seed) {
        return run({"generate", tiny, "--ids", "3,1", "-n", "12", "--temperature", "2", "--top-k",
                    "50", "--top-p", "0.95", "--seed", seed})["ids"];
    };
    BOOST_TEST(sample("7") == sample("7"));
    BOOST_TEST(sample("7") != sample("8"));
    const std::vector<std::string> greedy{"generate", tiny, "--ids", "3,1", "-n", "12"};
    auto cold = greedy;
    cold.insert(cold.end(), {"--temperature", "0"});
    BOOST_TEST(run(cold)["ids"] == run(greedy)["ids"]);
}

BOOST_AUTO_TEST_CASE(a_residual_that_is_no_number_is_refused) {
    // A coefficient this large overflows the residual.
    const auto result = xlens::test::run_program(
        {"trace", tiny, "--ids", "1", "--set", "0:0=3e38", "--scale", "0:0=2", "--json"});
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(result.out == "");
    BOOST_TEST(result.err.find("layer 0, position 0: the mean square of the residual is ") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_a_bit) {
    const auto trace = [](const std::string& threads) {
        json out = run({"trace", model, "--prompt", "One two", "--sub-updates", "2", "--top", "3",
                        "--threads", threads});
        out.erase("run");
        return out;
    };
    BOOST_TEST(trace("1") == trace("3"));
}

BOOST_AUTO_TEST_CASE(a_run_says_what_it_takes_to_repeat_it) {
    const auto result =
        xlens::test::run_program({"generate", tiny, "--ids", "1", "-n", "1", "--temperature", "1",
                                  "--seed", "9", "--json", "--threads", "2"});
    BOOST_TEST(result.err.starts_with("model "));
    BOOST_TEST(result.err.find(", precision f32, instruction set ") != std::string::npos);
    BOOST_TEST(result.err.ends_with(", threads 2, seed 9\n"));
}
