// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_compare
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/program_json.hpp"
#include "support/run_program.hpp"
#include "support/temporary_directory.hpp"

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

// `xlens compare`. What it computes: tests/compare/.

namespace {

using nlohmann::json;
using xlens::test::check_keys;
using xlens::test::golden_path;
using xlens::test::json_of;
using xlens::test::run_program;
using arguments = std::vector<std::string>;

const std::string model = xlens::test::default_model().string();
const std::string text = golden_path("smollm2/perplexity.txt").string();
const std::string llama = golden_path("models/llama/hf").string();
const std::string qwen2 = golden_path("models/qwen2/hf").string();

void check_refusal(const arguments& given, const std::string& message) {
    const auto result = run_program(given);
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(result.out == "");
    BOOST_TEST(result.err == "xlens: " + message + "\n");
}

}  // namespace

BOOST_AUTO_TEST_CASE(two_models_on_ids) {
    const json found = json_of({"compare", llama, qwen2, "--ids", "5,6,7,8,9,10", "--top", "2"});
    check_keys(found, {"text", "tokens", "positions", "kl", "agreement", "log_probability_change",
                       "probability_change", "perplexity", "largest", "end", "layers", "saturation",
                       "values", "run_b", "run"});
    BOOST_TEST(found["positions"] == 5);
    BOOST_TEST(found["largest"].size() == 2U);
    check_keys(found["largest"][0],
               {"predicted", "kl", "read", "next", "probability_a", "probability_b", "a", "b"});
    check_keys(found["end"], {"predicted", "kl", "read", "a", "b"});
    check_keys(found["kl"], {"mean", "error", "median", "p95", "p99", "max", "max_at"});
    BOOST_TEST(found["kl"]["max"] == found["largest"][0]["kl"]);
    BOOST_TEST(found["kl"]["max_at"] == found["largest"][0]["predicted"]);
    BOOST_TEST(found["layers"].size() == 2U);
    check_keys(found["layers"][1], {"layer", "kl", "agreement", "cosine", "distance", "overlap",
                                    "jaccard", "coefficient_change", "values"});
    check_keys(found["values"][0], {"neuron", "cosine", "promoted", "a", "b"});
    BOOST_TEST(found["run"]["model"] == llama);
    BOOST_TEST(found["run_b"]["model"] == qwen2);
}

BOOST_AUTO_TEST_CASE(a_model_beside_itself_under_a_change) {
    const arguments common{"compare", model,      "--file", text,         "--limit",
                           "60",      "--window", "32",     "--no-layers"};
    const auto with = [&](arguments more) {
        more.insert(more.begin(), common.begin(), common.end());
        return json_of(more);
    };
    const json edited = with({"--scale", "12:1033=0"});
    BOOST_TEST(edited["left_out"] == "not asked for");
    BOOST_TEST(edited["kl"]["mean"].get<double>() > 0.0);
    BOOST_TEST(edited["run_b"]["edits"]["scale"][0]["neuron"] == "12:1033");
    BOOST_TEST(edited["run"]["edits"] == json::object());
    const json rounded = with({"--precision-b", "native"});
    BOOST_TEST(rounded["run"]["precision"] == "f32");
    BOOST_TEST(rounded["run_b"]["precision"] == "native");
    const json kept = with({"--cache-b", "q8_0"});
    BOOST_TEST(kept["kl"]["mean"].get<double>() > 0.0);
    BOOST_TEST(!kept["run"].contains("cache"));
    BOOST_TEST(kept["run_b"]["cache"] == "q8_0");
    // The same file twice.
    const json same = json_of({"compare", model, model, "--file", text, "--limit", "40"});
    BOOST_TEST(same["kl"]["mean"] == 0.0);
    BOOST_TEST(same["kl"]["max"] == 0.0);
    BOOST_TEST(same["perplexity"]["ratio"] == 1.0);
    BOOST_TEST(same["layers"][29]["kl"] == 0.0);
    BOOST_TEST(same["values_left_out"] == "one file: they are the same");
    // A's perplexity is that of `perplexity`.
    const json alone = json_of({"perplexity", model, "--file", text, "--window", "32"});
    const json whole = json_of(
        {"compare", model, "--file", text, "--window", "32", "--no-layers", "--scale", "0:0=1"});
    BOOST_TEST(whole["perplexity"]["nll_a"].get<double>() == alone["nll"].get<double>(),
               boost::test_tools::tolerance(1e-6));
    BOOST_TEST(whole["positions"] == alone["tokens"]);
}

BOOST_AUTO_TEST_CASE(the_table_and_the_page) {
    const xlens::test::temporary_directory folder;
    const std::string page = (folder.path() / "compare.html").string();
    const auto result =
        run_program({"compare", llama, qwen2, "--ids", "5,6,7,8,9,10", "--html", page});
    BOOST_TEST(result.exit_code == 0);
    for (const std::string part : {"KL(A‖B)", "same top-1", "perplexity", "value vectors",
                                   "saturation", "after the text", "largest KL(A‖B)"}) {
        BOOST_TEST(result.out.find(part) != std::string::npos, part);
    }
    BOOST_TEST(result.out.find('\x1b') == std::string::npos);
    std::istringstream lines(result.out);
    for (std::string line; std::getline(lines, line);) {
        std::size_t columns = 0;
        for (const char c : line) { columns += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }
        BOOST_TEST(columns <= 100U, line);
    }
    BOOST_TEST(std::filesystem::file_size(page) > 10'000U);
    const auto refused = run_program(
        {"compare", llama, golden_path("models/gpt_neox/hf").string(), "--ids", "5,6,7"});
    BOOST_TEST(refused.out.find("left out: inner width: 48 and 64") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_compared_is_refused) {
    const std::string gpt2 = golden_path("models/gpt2/hf").string();
    check_refusal({"compare", llama, "--ids", "1,2"},
                  "MODEL_B: expected a second model, a change (--set, --scale, --recipe), "
                  "--precision-b, or --cache-b, got none");
    check_refusal(
        {"compare", llama, gpt2, "--ids", "1,2"},
        llama + " and " + gpt2 + ": vocabulary: expected as many tokens in both, got 288 and 300");
    check_refusal({"compare", llama, qwen2, "--ids", "1"}, "--ids: 1 token, expected at least 2");
    check_refusal({"compare", llama, qwen2, "--ids", "1,2", "--window", "8"},
                  "--window: expected --file with it, got none");
    check_refusal({"compare", llama, qwen2, "--ids", "1,2", "--file", text},
                  "--file: expected no prompt with it, got one");
    check_refusal({"compare", llama, qwen2},
                  "--prompt, --ids: expected one of the two, got neither");
    check_refusal({"compare", model, model, "--prompt", "Hi", "--precision-b", "f16"},
                  "--precision-b: expected one of f32, native, got 'f16'");
}
