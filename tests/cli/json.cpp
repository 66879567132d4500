// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_json
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/program_json.hpp"
#include "support/run_program.hpp"

#include <algorithm>
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
    check_keys(trace, {"tokens", "positions"});
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

const std::set<std::string> info_keys{
    "path",       "architecture", "layers",     "width", "inner_width",  "heads",     "kv_heads",
    "vocabulary", "context",      "activation", "gated", "quantization", "parameters"};

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

BOOST_AUTO_TEST_CASE(tokenize_gives_ids_and_texts) {
    const json tokens = run({"tokenize", model, "--text", "The capital of France is"});
    check_keys(tokens, {"ids", "tokens"});
    BOOST_TEST(tokens["ids"] == json({504, 3575, 282, 4649, 314}));
    BOOST_TEST(tokens["tokens"] == json({"The", " capital", " of", " France", " is"}));
    // Special tokens are plain text, brackets are no list and an empty text has no tokens.
    BOOST_TEST(run({"tokenize", model, "--text", "<|endoftext|>"})["ids"].size() > 1U);
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

BOOST_AUTO_TEST_CASE(concept_has_both_ends) {
    for (const std::string& path : {model, tiny}) {
        const json found = run({"concept", path, "1:17", "--top", "4"});
        check_keys(found, {"neuron", "norm", "promotes", "suppresses"});
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
    check_keys(written, {"path", "neurons", "top", "projection"});
    BOOST_TEST(written["neurons"] == 96);
    BOOST_TEST(written["top"] == 3);
    BOOST_TEST(std::filesystem::file_size(path) == 40 + 96 * 2 * 3 * 8);
    // The first neuron's best token, as `concept` names it.
    std::ifstream file(path, std::ios::binary);
    file.seekg(40);
    std::int32_t id = -1;
    file.read(reinterpret_cast<char*>(&id), sizeof id);
    const json found = run({"concept", tiny, "0:0", "--top", "1", "--projection", "raw"});
    BOOST_TEST(found["promotes"][0]["id"] == id);
}

BOOST_AUTO_TEST_CASE(generate_has_a_step_a_token) {
    const json big = run({"generate", model, "--prompt", "The capital of France is", "-n", "3"});
    check_keys(big, {"text", "ids", "steps", "tokens_per_second"});
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

BOOST_AUTO_TEST_CASE(an_infinite_number_is_null) {
    // A coefficient this large overflows the residual.
    const json trace = run({"trace", tiny, "--ids", "1", "--set", "0:0=3e38", "--scale", "0:0=2"});
    BOOST_TEST(trace["positions"][0]["layers"][0]["sub_updates"].size() == 10U);
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_a_bit) {
    const auto trace = [](const std::string& threads) {
        return run({"trace", model, "--prompt", "One two", "--sub-updates", "2", "--top", "3",
                    "--threads", threads});
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
