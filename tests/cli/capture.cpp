// SPDX-License-Identifier: BSD-3-Clause
// The program's capture and merge, and --prompts in the other subcommands.
#define BOOST_TEST_MODULE cli_capture
#include <boost/test/unit_test.hpp>

#include <xlens/interventions/direction_file.hpp>
#include <xlens/storage/atomic_file.hpp>

#include "support/golden.hpp"
#include "support/json_document.hpp"
#include "support/program_json.hpp"
#include "support/safetensors_arrays.hpp"
#include "support/temporary_directory.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

using namespace xlens::test;
using nlohmann::json;

namespace {

const std::string tiny = golden_path("models/gpt2/hf").string();
const std::string llama = golden_path("models/llama/hf").string();
const std::string model = default_model().string();

std::string line_of(const std::vector<std::string>& arguments) {
    const auto result = run_program(arguments);
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(result.out == "");
    return result.err;
}

/// A file of one direction of layer 1 of `llama`, all of whose components are this.
void write_direction(const std::filesystem::path& path, float component) {
    xlens::direction_set set;
    set.of[1] = std::vector<float>(32, component);
    xlens::atomic_file to(path);
    xlens::write_directions(to, set);
}

/// Numbers of some rows, as transformers has them.
void check_against_golden(const std::string& name, const std::string& path) {
    const json golden = read_golden(golden_path("capture/golden.json"));
    for (std::size_t p = 0; p < golden["prompts"].size(); ++p) {
        const temporary_directory folder;
        const std::string out = (folder.path() / "out").string();
        const auto result =
            run_program({"capture", path, "--prompt", golden["prompts"][p].get<std::string>(), "-o",
                         out, "--sites",
                         "embedding,before,after,final,attention_out,pre_activations,coefficients,"
                         "logits"});
        BOOST_TEST_REQUIRE(result.exit_code == 0, result.err);
        const json& expected = golden[name][p];
        const json manifest = read_golden(folder.path() / "out" / "manifest.json");
        BOOST_TEST(manifest["sequences"][0]["ids"] == expected["ids"]);
        const auto arrays = read_capture(folder.path() / "out");
        double worst = 0.0;
        for (const json& row : expected["rows"]) {
            const stored_array& array = arrays.at(row["array"].get<std::string>());
            const std::vector<float> x = array.floats();
            const std::size_t width = array.shape[1];
            const float* found = x.data() + row["position"].get<std::size_t>() * width;
            const auto largest = row["largest"].get<double>();
            double norm = 0.0;
            for (std::size_t c = 0; c < width; ++c) { norm += double{found[c]} * double{found[c]}; }
            double error =
                std::abs(std::sqrt(norm) - row["norm"].get<double>()) / row["norm"].get<double>();
            for (std::size_t i = 0; i < row["values"].size(); ++i) {
                const double there = found[width * i / row["values"].size()];
                error = std::max(error, std::abs(there - row["values"][i].get<double>()) / largest);
            }
            BOOST_TEST(error < 1e-5, row["array"] << " at " << row["position"] << ": " << error);
            worst = std::max(worst, error);
        }
        BOOST_TEST_MESSAGE(name << ": " << worst);
        BOOST_TEST(expected["rows"].size() == 2U * (3U + 3U * 5U));
    }
}

/// Every number of what heads and FFN do in a tiny checkpoint, as transformers in double has it.
void check_heads(const std::string& checkpoint) {
    const auto name = checkpoint.substr(checkpoint.find('/') + 1);
    const auto expected = read_capture(golden_path("capture/" + name));
    std::string ids;
    for (const std::int32_t id : expected.at("tokens").integers()) {
        ids += (ids.empty() ? "" : ",") + std::to_string(id);
    }
    const temporary_directory folder;
    const auto result = run_program({"capture", golden_path(checkpoint + "/hf").string(), "--ids",
                                     ids, "-o", (folder.path() / "out").string(), "--sites",
                                     "queries,keys,values,pattern,head_outputs,ffn_out"});
    BOOST_TEST_REQUIRE(result.exit_code == 0, result.err);
    const auto arrays = read_capture(folder.path() / "out");
    BOOST_TEST(arrays.size() == expected.size() + 2);  // sequence, position, token
    double worst = 0.0;
    for (const auto& [array, there] : expected) {
        if (array == "tokens") { continue; }
        BOOST_TEST((arrays.at(array).shape == there.shape), array);
        const std::vector<float> values = there.floats();
        const double error =
            max_difference(arrays.at(array).floats(), values) / largest_magnitude(values);
        BOOST_TEST(error < 1e-5, name << ": " << array << ": " << error);
        worst = std::max(worst, error);
    }
    BOOST_TEST_MESSAGE(name << ": " << worst);
}

}  // namespace

BOOST_AUTO_TEST_CASE(attention_and_ffn_are_those_of_transformers) {
    for (const char* checkpoint : {"models/gpt2", "models/llama", "families/gemma2"}) {
        check_heads(checkpoint);
    }
}

BOOST_AUTO_TEST_CASE(arrays_of_smollm2_are_those_of_transformers) {
    check_against_golden("smollm2", model);
}

BOOST_AUTO_TEST_CASE(arrays_of_gemma_are_those_of_transformers) {
    if (const auto gemma = gemma_model()) { check_against_golden("gemma3_270m", gemma->string()); }
}

BOOST_AUTO_TEST_CASE(prompts_are_captured_with_their_metadata) {
    const temporary_directory folder;
    const auto prompts = folder.write("prompts.jsonl",
                                      "{\"ids\":[1,2,3],\"label\":1}\n"
                                      "{\"ids\":[4],\"label\":0,\"split\":\"test\"}\n");
    const std::string out = (folder.path() / "out").string();
    const json made =
        json_of({"capture", tiny, "--prompts", prompts.string(), "--sites", "after,final",
                 "--layers", "1", "--positions", "last", "--dtype", "f16", "-o", out});
    check_keys(made, {"folder", "sequences", "rows", "bytes", "arrays", "files", "run"});
    BOOST_TEST(made["rows"] == 2);
    BOOST_TEST(made["files"] == json({"capture-00000.safetensors"}));
    BOOST_TEST(made["arrays"].size() == 5U);
    BOOST_TEST(made["arrays"][3]["name"] == "after.1");
    BOOST_TEST(made["arrays"][3]["dtype"] == "F16");
    const json manifest = read_golden(folder.path() / "out" / "manifest.json");
    check_keys(manifest, {"format", "storage", "rows", "rows_a_file", "arrays", "files",
                          "sequences", "identity", "run"});
    BOOST_TEST(manifest["sequences"][1] ==
               json_document(R"({"sequence":1,"first_row":1,"rows":1,"positions":"0","ids":[4],)"
                             R"("metadata":{"label":0,"split":"test"}})"));
    BOOST_TEST(manifest["sequences"][0]["positions"] == "2");
    check_keys(manifest["run"], {"version", "model", "fingerprint", "precision", "instruction_set",
                                 "threads", "edits", "seed"});
    BOOST_TEST(manifest["run"] == made["run"]);
    BOOST_TEST(manifest["run"]["model"] == tiny);
    BOOST_TEST(read_capture(out).at("position").integers() == (std::vector<std::int32_t>{2, 0}),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(shards_are_merged) {
    const temporary_directory folder;
    const auto prompts =
        folder.write("p.jsonl", "{\"ids\":[1,2,3]}\n{\"ids\":[4]}\n{\"ids\":[5,6]}\n");
    const auto at = [&](const std::string& name) { return (folder.path() / name).string(); };
    const auto go = [&](std::vector<std::string> arguments) {
        const auto result = run_program(arguments);
        BOOST_TEST(result.exit_code == 0, result.err);
        return result.out;
    };
    const std::vector<std::string> front{"capture", tiny, "--prompts", prompts.string(), "-o"};
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.begin(), front.begin(), front.end());
        return more;
    };
    go(with({at("whole")}));
    go(with({at("0"), "--shard", "0/2"}));
    go(with({at("1"), "--shard", "1/2"}));
    const std::string shown = go({"merge", at("1"), at("0"), "-o", at("merged")});
    BOOST_TEST(shown.find("6 rows of 3 sequences") != std::string::npos);
    for (const char* name : {"manifest.json", "capture-00000.safetensors"}) {
        BOOST_TEST((detail::contents(folder.path() / "whole" / name) ==
                    detail::contents(folder.path() / "merged" / name)));
    }
    const json merged = json_of({"merge", at("0"), at("1"), "-o", at("again")});
    check_keys(merged,
               {"folder", "sequences", "rows", "bytes", "arrays", "files", "version", "run"});
    BOOST_TEST(merged["run"] == read_golden(folder.path() / "whole" / "manifest.json")["run"]);
    BOOST_TEST(merged["version"] == merged["run"]["version"]);
    BOOST_TEST(line_of({"merge", at("0"), "-o", at("no")}) ==
               "xlens: " + at("0") +
                   "/manifest.json: shard 0/2, expected as many folders, got 1\n");
    BOOST_TEST(line_of({"merge", at("0")}) == "xlens: -o: expected a folder, got nothing\n");
}

// What a recipe names may change while its own bytes and path do not: the capture is another.
BOOST_AUTO_TEST_CASE(a_capture_goes_on_with_the_same_edits_alone) {
    const temporary_directory folder;
    const auto at = [&](const std::string& name) { return (folder.path() / name).string(); };
    for (const char* name : {"cfg.json", "sae_weights.safetensors"}) {
        std::filesystem::create_directories(folder.path() / "sae");
        std::filesystem::copy(golden_path("saes/standard") / name, folder.path() / "sae" / name);
    }
    write_direction(folder.path() / "d.safetensors", 1.0F);
    folder.write("n.json", R"(["0:3"])");
    const std::string recipe = folder
                                   .write("r.json", R"({"interventions": [
        {"do": "zero", "neurons": {"file": "n.json"}},
        {"do": "steer", "sae": "sae", "feature": 3, "strength": 1},
        {"do": "steer", "file": "d.safetensors"}]})")
                                   .string();
    const std::vector<std::vector<std::string>> ways{
        {"--recipe", recipe},
        {"--steer", at("d.safetensors")},
        {"--steer-feature", at("sae") + ":3=1"},
    };
    const auto capture = [&](std::size_t way) {
        std::vector<std::string> all{"capture", llama, "--ids",
                                     "5,17,4",  "-o",  at("out" + std::to_string(way))};
        all.insert(all.end(), ways[way].begin(), ways[way].end());
        return run_program(all);
    };
    for (std::size_t way = 0; way < ways.size(); ++way) {
        BOOST_TEST_REQUIRE(capture(way).exit_code == 0, capture(way).err);
        BOOST_TEST(capture(way).err.find("complete, nothing was read") != std::string::npos);
    }
    const auto changed = [&](const std::string& name, const std::string& bytes,
                             const std::vector<std::size_t>& refused) {
        const std::string before = detail::contents(folder.path() / name);
        folder.write(name, bytes);
        for (const std::size_t way : refused) {
            const auto result = capture(way);
            BOOST_TEST(result.exit_code == 2, name << " in " << ways[way][0]);
            BOOST_TEST(result.err.find("belongs to a run with interventions ") !=
                       std::string::npos);
        }
        folder.write(name, before);
        for (const std::size_t way : refused) { BOOST_TEST(capture(way).exit_code == 0); }
    };
    changed("n.json", R"(["0:4"])", {0});
    changed("r.json", detail::contents(recipe) + "\n", {0});
    write_direction(folder.path() / "other.safetensors", 1.5F);
    changed("d.safetensors", detail::contents(folder.path() / "other.safetensors"), {0, 1});
    changed("sae/cfg.json", detail::contents(folder.path() / "sae/cfg.json") + "\n", {0, 2});
}

// 19 windows of a text, which 8 shards share unevenly.
BOOST_AUTO_TEST_CASE(eight_shards_of_a_text_are_merged_to_the_byte) {
    const temporary_directory folder;
    const auto at = [&](const std::string& name) { return (folder.path() / name).string(); };
    const auto go = [&](const std::string& name, const std::string& shard) {
        const auto result =
            run_program({"capture", model, "--file", golden_path("smollm2/perplexity.txt").string(),
                         "--window", "16", "--limit", "300", "--layers", "0", "--sites",
                         "before,after", "--shard", shard, "-o", at(name)});
        BOOST_TEST(result.exit_code == 0, result.err);
    };
    go("whole", "0/1");
    std::vector<std::string> merge{"merge", "-o", at("merged")};
    for (std::size_t i = 0; i < 8; ++i) {
        go(std::to_string(i), std::to_string(i) + "/8");
        merge.push_back(at(std::to_string(7 - i)));
    }
    const std::string shown = run_program(merge).out;
    BOOST_TEST(shown.find("300 rows of 19 sequences") != std::string::npos, shown);
    const auto whole = std::filesystem::directory_iterator(at("whole"));
    const auto merged = std::filesystem::directory_iterator(at("merged"));
    BOOST_TEST(std::distance(begin(whole), end(whole)) ==
               std::distance(begin(merged), end(merged)));
    for (const auto& entry : std::filesystem::directory_iterator(at("whole"))) {
        const auto name = entry.path().filename();
        BOOST_TEST_CONTEXT(name) {
            BOOST_TEST((detail::contents(entry.path()) ==
                        detail::contents(folder.path() / "merged" / name)));
        }
    }
}

// The numbers of a page and of an array are the same.
BOOST_AUTO_TEST_CASE(features_are_captured_beside_sites) {
    const temporary_directory folder;
    const std::string sae = golden_path("saes/jumprelu").string();
    const std::string out = (folder.path() / "out").string();
    const json made = json_of({"capture", llama, "--ids", "5,17,4", "--sae", sae, "--sae",
                               golden_path("saes/standard").string(), "--sites", "before",
                               "--layers", "0", "-o", out});
    std::vector<std::string> names;
    for (const json& array : made["arrays"]) { names.push_back(array["name"].get<std::string>()); }
    BOOST_TEST(names == (std::vector<std::string>{"sequence", "position", "token", "before.0",
                                                  "features.ffn_out.1", "features.after.0"}),
               boost::test_tools::per_element());
    const std::vector<float> f = read_capture(out).at("features.ffn_out.1").floats();
    BOOST_REQUIRE(f.size() == 3U * 40U);
    const json shown = json_of({"sae", llama, sae, "--ids", "5,17,4", "--positions", "all",
                                "--features", "40", "--top", "1"});
    for (std::size_t p = 0; p < 3; ++p) {
        std::size_t active = 0;
        for (std::size_t i = 0; i < 40; ++i) { active += f[p * 40 + i] > 0.0F ? 1U : 0U; }
        const json& at = shown["positions"][p];
        BOOST_TEST(at["active"] == active);
        BOOST_TEST(active > 0U);
        for (const json& one : at["features"]) {
            BOOST_TEST(
                one["activation"].get<float>() == f[p * 40 + one["feature"].get<std::size_t>()],
                boost::test_tools::tolerance(1e-5F));
        }
    }
    // Features alone, where no site is named.
    const std::string alone = (folder.path() / "alone").string();
    BOOST_TEST(
        json_of({"capture", llama, "--ids", "5", "--sae", sae, "-o", alone})["arrays"].size() ==
        4U);
    const auto table = run_program({"capture", llama, "--ids", "5", "--sae", sae, "-o", alone});
    BOOST_TEST(table.out.find("  features.ffn_out.1       F32 (rows, 40)\n") != std::string::npos,
               table.out);
}

BOOST_AUTO_TEST_CASE(bad_flags_of_capture_are_one_line) {
    const temporary_directory folder;
    const std::string out = (folder.path() / "out").string();
    const auto line = [&](std::vector<std::string> more) {
        std::vector<std::string> all{"capture", tiny, "-o", out};
        all.insert(all.end(), more.begin(), more.end());
        return line_of(all);
    };
    BOOST_TEST(line_of({"capture", tiny, "--ids", "1"}) ==
               "xlens: -o: expected a folder, got nothing\n");
    BOOST_TEST(line({}) == "xlens: --prompt, --ids: expected one of the two, got neither\n");
    BOOST_TEST(line({"--ids", "1", "--file", "x"}) ==
               "xlens: --ids: expected no --file with it, got one\n");
    BOOST_TEST(line({"--ids", "1", "--prompts", "x"}) ==
               "xlens: --prompts: expected no --ids with it, got one\n");
    BOOST_TEST(line({"--ids", "1", "--window", "8"}) ==
               "xlens: --window: expected --file with it, got none\n");
    BOOST_TEST(
        line({"--ids", "1", "--layers", "0-2"}) ==
        "xlens: --layers: expected numbers and ranges from 0 to 1 such as 3,5-8, got '0-2'\n");
    BOOST_TEST(line({"--ids", "1", "--positions", "1"}) ==
               "xlens: --ids: 1 tokens, position 1 was asked for\n");
    BOOST_TEST(line({"--ids", "1", "--sites", "residual"}) ==
               "xlens: sites: expected some of embedding, before, after, final, attention_out, "
               "ffn_out, queries, keys, values, pattern, head_outputs, pre_activations, "
               "coefficients, logits, got 'residual'\n");
    BOOST_TEST(line({"--ids", "1", "--shard", "2/2"}) ==
               "xlens: --shard: expected I/N with I from 0 to N - 1, such as 0/4, got '2/2'\n");
    BOOST_TEST(line({"--ids", "1", "--dtype", "f64"}) ==
               "xlens: --dtype: expected one of f32, f16, got 'f64'\n");
    BOOST_TEST(!std::filesystem::exists(out));
    BOOST_TEST(line_of({"capture", tiny, "--ids", "1", "-o", "/proc/none"}) ==
               "xlens: /proc/none: cannot be made: No such file or directory\n");
}

BOOST_AUTO_TEST_CASE(many_prompts_are_a_document_a_line) {
    const temporary_directory folder;
    const auto prompts =
        folder.write("p.jsonl", "{\"ids\":[1,2,3],\"name\":\"a\"}\n\n{\"ids\":[4,5]}\n");
    for (const std::string command : {"trace", "attribute", "generate"}) {
        BOOST_TEST_CONTEXT(command) {
            const auto result =
                run_program({command, tiny, "--prompts", prompts.string(), "--json"});
            BOOST_TEST_REQUIRE(result.exit_code == 0, result.err);
            const std::size_t end = result.out.find('\n');
            json first = json_document(result.out.substr(0, end));
            json second = json_document(result.out.substr(end + 1));
            BOOST_TEST(first["run"]["line"] == 1);
            BOOST_TEST(first["run"]["metadata"] == json({{"name", "a"}}));
            BOOST_TEST(second["run"]["line"] == 3);
            BOOST_TEST(!second["run"].contains("metadata"));
            const json alone = json_of({command, tiny, "--ids", "4,5"});
            second.erase("run");
            json expected = alone;
            expected.erase("run");
            second.erase("tokens_per_second");
            expected.erase("tokens_per_second");
            BOOST_TEST(second == expected);
            const auto shown = run_program({command, tiny, "--prompts", prompts.string()});
            BOOST_TEST(shown.exit_code == 0);
            BOOST_TEST(shown.out.find("p.jsonl: line 3") != std::string::npos);
        }
    }
    BOOST_TEST(line_of({"trace", tiny, "--prompts", prompts.string(), "--html", "x.html"}) ==
               "xlens: --html: expected no --prompts with it, got one\n");
}

BOOST_AUTO_TEST_CASE(neurons_of_a_file_are_a_document_a_line) {
    const temporary_directory folder;
    const auto neurons =
        folder.write("n.jsonl", "{\"neuron\":\"1:5\",\"rank\":3}\n{\"neuron\":\"0:17\"}\n");
    const auto found = run_program({"concept", tiny, "--prompts", neurons.string(), "--json"});
    BOOST_TEST_REQUIRE(found.exit_code == 0, found.err);
    json first = json_document(found.out.substr(0, found.out.find('\n')));
    BOOST_TEST(first["run"]["line"] == 1);
    BOOST_TEST(first["run"]["metadata"] == json({{"rank", 3}}));
    const auto both = run_program({"concept", tiny, "1:5", "0:17"});
    BOOST_TEST(run_program({"concept", tiny, "--prompts", neurons.string()}).out == both.out);
    const auto lines = folder.write("n.txt", "1:5\n0:17\n");
    BOOST_TEST(run_program({"concept", tiny, "--prompts", lines.string()}).out == both.out);
    const auto refused = [&](const std::string& text, const std::string& message) {
        const std::string path = folder.write("bad", text).string();
        BOOST_TEST(line_of({"concept", tiny, "--prompts", path}) ==
                   "xlens: " + path + message + "\n");
    };
    refused("1:5\n9:1\n", ": line 2: neuron 9:1: layer 9, the model has layers 0 to 1");
    refused("1:5\nabc\n",
            ": line 2: neuron: expected a neuron LAYER:INDEX such as 12:1033, got 'abc'");
    refused("{\"prompt\":\"a\"}\n", ": line 1: neuron: expected a string, got no such key");
    refused("\n", ": no neurons, expected at least 1 line");
    BOOST_TEST(line_of({"concept", tiny, "1:5", "--prompts", lines.string()}) ==
               "xlens: L:I, --prompts: expected one of the two, got both\n");
}

/// Documents, less the seconds that they took and where the prompts were.
std::vector<json> documents_of(const std::string& lines) {
    std::vector<json> out;
    std::istringstream in(lines);
    for (std::string line; std::getline(in, line);) {
        out.push_back(json_document(line));
        out.back().erase("tokens_per_second");
        out.back()["run"].erase("prompts");
    }
    return out;
}

BOOST_AUTO_TEST_CASE(prompts_come_from_standard_input) {
    const temporary_directory folder;
    const std::string lines = "{\"ids\":[1,2,3],\"name\":\"a\"}\n\n{\"ids\":[4,5]}\n";
    const std::string file = folder.write("p.jsonl", lines).string();
    for (const std::string command : {"trace", "attribute", "generate"}) {
        BOOST_TEST_CONTEXT(command) {
            const auto given = run_program({command, tiny, "--prompts", "-", "--json"}, lines);
            BOOST_TEST_REQUIRE(given.exit_code == 0, given.err);
            const std::vector<json> found = documents_of(given.out);
            BOOST_TEST_REQUIRE(found.size() == 2U);
            BOOST_TEST(found[0]["run"]["metadata"]["name"] == "a");
            BOOST_TEST(found[1]["run"]["line"] == 3);
            const auto read = run_program({command, tiny, "--prompts", file, "--json"});
            BOOST_TEST((found == documents_of(read.out)));
        }
    }
    const auto captured = [&](const std::string& name, const std::string& prompts) {
        const auto out = folder.path() / name;
        const auto result = run_program(
            {"capture", tiny, "--prompts", prompts, "--sites", "after", "-o", out.string()}, lines);
        BOOST_TEST_REQUIRE(result.exit_code == 0, result.err);
        return out;
    };
    const auto given = captured("given", "-");
    const auto read = captured("read", file);
    BOOST_TEST(
        read_capture(given).at("token").integers() == (std::vector<std::int32_t>{1, 2, 3, 4, 5}),
        boost::test_tools::per_element());
    for (const char* name : {"manifest.json", "capture-00000.safetensors"}) {
        BOOST_TEST((detail::contents(given / name) == detail::contents(read / name)));
    }
    BOOST_TEST(run_program({"generate", tiny, "--prompts", "-"}, "").err ==
               "xlens: standard input: empty, expected a text\n");
    // Lines of text.
    const auto texts = run_program({"generate", model, "--prompts", "-", "-n", "2", "--json"},
                                   "Once upon\nOne, two, three,");
    const std::vector<json> continued = documents_of(texts.out);
    BOOST_TEST_REQUIRE(continued.size() == 2U);
    BOOST_TEST(continued[1]["ids"] ==
               json_of({"generate", model, "--prompt", "One, two, three,", "-n", "2"})["ids"]);
}

BOOST_AUTO_TEST_CASE(many_neurons_are_a_document_a_line) {
    const temporary_directory folder;
    const auto result = run_program({"concept", tiny, "0:3", "1:7", "--top", "3", "--json"});
    BOOST_TEST_REQUIRE(result.exit_code == 0, result.err);
    const std::size_t end = result.out.find('\n');
    const json first = json_document(result.out.substr(0, end));
    const json second = json_document(result.out.substr(end + 1));
    BOOST_TEST(first == json_of({"concept", tiny, "0:3", "--top", "3"}));
    BOOST_TEST(second == json_of({"concept", tiny, "1:7", "--top", "3"}));
}

BOOST_AUTO_TEST_CASE(a_trace_of_some_positions_and_layers_is_a_part_of_the_whole) {
    const json all = json_of({"trace", tiny, "--ids", "1,2,3,4,5", "--positions", "all"});
    const json some =
        json_of({"trace", tiny, "--ids", "1,2,3,4,5", "--positions", "1,3-4", "--layers", "1"});
    BOOST_TEST_REQUIRE(some["positions"].size() == 3U);
    const std::vector<std::size_t> positions{1, 3, 4};
    for (std::size_t i = 0; i < 3; ++i) {
        const json& whole = all["positions"][positions[i]];
        const json& part = some["positions"][i];
        BOOST_TEST(part["position"] == positions[i]);
        BOOST_TEST(part["prediction"] == whole["prediction"]);
        BOOST_TEST(part["saturation_layer"] == whole["saturation_layer"]);
        BOOST_TEST_REQUIRE(part["layers"].size() == 1U);
        BOOST_TEST(part["layers"][0] == whole["layers"][1]);
    }
    BOOST_TEST(line_of({"trace", tiny, "--ids", "1,2", "--positions", "2"}) ==
               "xlens: --ids: 2 tokens, position 2 was asked for\n");
}
