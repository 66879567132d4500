// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_lens
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/program_json.hpp"
#include "support/run_program.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

// `xlens lens`, `--lens FILE` elsewhere, `xlens sae` and what goes with it.

namespace {

using nlohmann::json;
using xlens::test::check_keys;
using xlens::test::golden_path;
using xlens::test::json_of;
using xlens::test::read_golden;
using xlens::test::run_program;
using arguments = std::vector<std::string>;

const std::string model = xlens::test::default_model().string();
const std::string tiny = golden_path("models/llama/hf").string();
const std::string tuned = golden_path("lenses/tuned").string();
const std::string jacobian = golden_path("lenses/jacobian.pt").string();
const std::string sae = golden_path("saes/standard").string();

std::string ids_of(const json& golden) {
    std::string out;
    for (const json& id : golden) {
        out += (out.empty() ? "" : ",") + std::to_string(id.get<int>());
    }
    return out;
}
std::size_t best_of(const json& logits) {
    const auto values = logits.get<std::vector<double>>();
    return static_cast<std::size_t>(std::ranges::max_element(values) - values.begin());
}
/// Exit code 2 and this one line.
void check_refusal(const arguments& given, const std::string& message) {
    const auto result = run_program(given);
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(result.out == "");
    BOOST_TEST(result.err == "xlens: " + message + "\n");
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_trace_reads_through_a_lens) {
    const json golden = read_golden(golden_path("lenses/golden.json"));
    const arguments plain{"trace", tiny, "--ids", ids_of(golden["ids"]), "--json"};
    const auto with = [&](const std::string& path) {
        arguments all = plain;
        all.insert(all.end(), {"--lens", path});
        return json_of(all);
    };
    const json before = json_of(plain);
    BOOST_TEST(!before["run"].contains("lens"));
    for (const auto& [path, logits] :
         {std::pair(tuned, golden["tuned"][1]), std::pair(jacobian, golden["jacobian"])}) {
        const json found = with(path);
        BOOST_TEST(found["run"]["lens"] == path);
        const json& layers = found["positions"][0]["layers"];
        BOOST_TEST(layers[0]["after"][0]["id"] == best_of(logits));
        BOOST_TEST(layers[0]["before"] != before["positions"][0]["layers"][0]["before"]);
        // The last layer, what sub-updates are and what the model says stay as they are.
        BOOST_TEST(layers[1] == before["positions"][0]["layers"][1]);
        BOOST_TEST(layers[0]["sub_updates"] == before["positions"][0]["layers"][0]["sub_updates"]);
        BOOST_TEST(found["positions"][0]["prediction"] == before["positions"][0]["prediction"]);
    }
    const xlens::test::temporary_directory folder;
    const std::string page = (folder.path() / "t.html").string();
    arguments html{"trace", tiny, "--ids", ids_of(golden["ids"]), "--lens", tuned, "--html", page};
    const auto made = run_program(html);
    BOOST_TEST(made.exit_code == 0);
    BOOST_TEST(xlens::test::detail::contents(page).find("read through tuned lens") !=
               std::string::npos);
    BOOST_TEST(made.out.find("read through tuned lens") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_lens_says_what_it_is) {
    const json found = json_of({"lens", "info", tuned, "--json"});
    check_keys(found, {"kind", "source", "model_name", "model", "width", "layers", "examples",
                       "embedding", "maps", "run"});
    check_keys(found["run"], {"version", "lens", "lens_fingerprint"});
    BOOST_TEST(found["run"]["lens"] == tuned);
    // The same lens by its numbers, wherever it is read.
    BOOST_TEST(found["run"]["lens_fingerprint"] ==
               json_of({"trace", tiny, "--ids", "1", "--lens", tuned})["run"]["lens_fingerprint"]);
    BOOST_TEST(found["run"]["lens_fingerprint"] != json_of({"trace", tiny, "--ids", "1", "--lens",
                                                            jacobian})["run"]["lens_fingerprint"]);
    BOOST_TEST(found["kind"] == "tuned");
    BOOST_TEST(found["source"] == "tuned-lens");
    BOOST_TEST(found["maps"] == json::array({0}));
    BOOST_TEST(found["embedding"] == true);
    BOOST_TEST(run_program({"lens", "info", jacobian}).out ==
               "kind      jacobian, written by jacobian-lens\nwidth     32\n"
               "maps      after layers 0-0\nfitted on 3 prompts\n");
}

BOOST_AUTO_TEST_CASE(a_lens_is_fitted_measured_and_used) {
    const xlens::test::temporary_directory folder;
    const std::string text = golden_path("README.md").string();
    const std::string other = golden_path("make_lenses.py").string();
    const std::string path = (folder.path() / "linear.lens").string();
    const json made = json_of({"lens", "fit", model, "--kind", "linear", "--file", text, "-o", path,
                               "--limit", "1500", "--json"});
    check_keys(made, {"kind", "layers", "examples", "run"});
    BOOST_TEST(made["layers"] == 29);
    BOOST_TEST(made["run"]["seed"].is_null());  // nothing is drawn
    const json drawn = json_of({"lens", "fit", model, "--kind", "jacobian", "--file", text, "-o",
                                (folder.path() / "j.lens").string(), "--limit", "18", "--window",
                                "18", "--layers", "28", "--seed", "7"});
    BOOST_TEST(drawn["run"]["seed"] == 7);
    BOOST_TEST(made["examples"] >= 1500);
    const json found = json_of(
        {"lens", "eval", model, "--lens", path, "--file", other, "--limit", "64", "--json"});
    BOOST_TEST(found["tokens"] >= 64);
    BOOST_REQUIRE(found["layers"].size() == 29U);
    double plain = 0.0;
    double fitted = 0.0;
    for (const json& layer : found["layers"]) {
        plain += layer["plain"]["kl"].get<double>();
        fitted += layer["lens"]["kl"].get<double>();
    }
    BOOST_TEST(fitted < plain);
    const std::string kept = (folder.path() / "events").string();
    const json events = json_of(
        {"events", model, "--file", other, "--limit", "48", "--lens", path, "-o", kept, "--json"});
    BOOST_TEST(events["run"]["lens"] == path);
    BOOST_TEST(read_golden(kept + "/events.json")["run"]["lens"] == path);
    const std::string rule = (folder.path() / "rule").string();
    const json fit = json_of({"exit", "fit", model, "--file", text, "--rule", "confidence",
                              "--lens", path, "-o", rule, "--timed", "0"});
    BOOST_TEST(fit["run"]["lens"] == path);
    BOOST_TEST(
        run_program({"generate", model, "--prompt", "The", "-n", "2", "--exit", rule}).exit_code ==
        0);
    const auto wrong = run_program({"trace", tiny, "--ids", "1", "--lens", path});
    BOOST_TEST(wrong.exit_code == 2);
    BOOST_TEST(wrong.err == "xlens: " + path + ": lens: width 576, the model has 32\n");
    check_refusal(
        {"exit", "fit", model, "--file", text, "--rule", "gate", "--lens", path, "-o", rule},
        "--lens: confidence, margin, stable, similarity and oracle read with a "
        "lens, got --rule gate");
}

BOOST_AUTO_TEST_CASE(features_are_shown_found_and_pushed) {
    const json golden = read_golden(golden_path("saes/golden.json"));
    const std::string ids = ids_of(golden["ids"]);
    const json found = json_of({"sae", tiny, sae, "--ids", ids, "--features", "3", "--json"});
    check_keys(found, {"architecture", "layer", "site", "features", "tokens", "positions", "run"});
    BOOST_TEST(found["site"] == "after");
    BOOST_REQUIRE(found["positions"].size() == 1U);
    const json& end = found["positions"][0];
    check_keys(end, {"position", "active", "unexplained", "features"});
    const json& activations = golden["standard"]["activations"].back();
    BOOST_TEST(end["features"][0]["feature"] == best_of(activations));
    BOOST_REQUIRE(end["features"].size() == 3U);
    check_keys(end["features"][0], {"feature", "activation", "promotes", "suppresses"});
    const json one = json_of({"sae", tiny, sae, "--feature", "7", "--json"});
    BOOST_TEST(one["feature"] == 7);

    const json hits = json_of({"search", tiny, "--sae", sae, "--ids", "5,17", "--json"});
    check_keys(hits, {"query", "architecture", "layer", "site", "features", "projection",
                      "normalise", "end", "rank", "control", "hits", "run"});
    BOOST_TEST(hits["normalise"] == "spread");
    BOOST_TEST(hits["control"]["vectors"] == 40);
    BOOST_REQUIRE(hits["hits"].size() == 20U);
    check_keys(hits["hits"][0],
               {"feature", "score", "norm", "kurtosis", "random_share", "promotes", "suppresses"});
    const auto table = run_program({"search", tiny, "--sae", sae, "--ids", "5,17"});
    BOOST_TEST(table.exit_code == 0);
    BOOST_TEST(table.out.find("standard, 40 features of layer") != std::string::npos);
    BOOST_TEST(table.out.find("best of 40 random vectors like them") != std::string::npos);
    const json like = json_of({"search", tiny, "--sae", sae, "--like", "0:1", "--json"});
    BOOST_TEST(like["normalise"] == "norm");
    const json about_one_thing =
        json_of({"search", tiny, "--sae", sae, "--rank", "kurtosis", "--json"});
    check_keys(about_one_thing["hits"][0],
               {"feature", "norm", "kurtosis", "promotes", "suppresses"});
    BOOST_TEST(run_program({"sae", tiny, sae, "--ids", ids, "--positions", "all"}).exit_code == 0);

    const json pushed =
        json_of({"trace", tiny, "--ids", ids, "--steer-feature", sae + ":7=3.5", "--json"});
    BOOST_TEST(pushed["positions"][0]["prediction"][0]["id"] == best_of(golden["logits"]));
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_refused) {
    check_refusal({"lens", "make", tiny}, "lens: expected fit, info or eval, got 'make'");
    check_refusal({"lens", "fit", tiny}, "--file: expected a text file, got nothing");
    check_refusal({"lens", "fit", tiny, "--file", "x"},
                  "-o: expected a file to write, got nothing");
    check_refusal({"lens", "fit", tiny, "--file", "x", "-o", "y"},
                  "--kind: expected linear, tuned or jacobian, got nothing");
    check_refusal(
        {"lens", "fit", tiny, "--file", "x", "-o", "y", "--kind", "tuned", "--columns", "2"},
        "--columns: is for lens fit --kind jacobian");
    check_refusal({"lens", "eval", tiny, "--file", "x"},
                  "--lens: expected a lens's file, got nothing");
    check_refusal({"lens", "info", "/no/such"},
                  "/no/such: cannot be opened: No such file or directory");
    check_refusal({"trace", tiny, "--ids", "1", "--lens", "/no/such"},
                  "/no/such: cannot be opened: No such file or directory");
    check_refusal({"exit", "fit", model, "--file", "x", "--rule", "confidence", "--lens",
                   "/no/such", "-o", "y"},
                  "--lens: expected plain, linear, tuned or a lens's file, got '/no/such'");
    check_refusal({"sae", tiny, sae}, "--prompt, --feature: expected one of the two, got neither");
    check_refusal({"sae", tiny, sae, "--feature", "40"}, sae + ": feature 40: expected 0 to 39");
    check_refusal({"sae", model, sae, "--feature", "1"}, sae + ": width 32, the model has 576");
    check_refusal({"search", tiny, "--sae", sae, "--ids", "5", "--either"},
                  "--either: activations of --sae are never negative");
    check_refusal({"search", tiny, "--sae", sae, "--ids", "5", "--index", "x"},
                  "--index: holds value vectors, not those of --sae");
    check_refusal({"search", tiny, "--sae", sae, "--ids", "5", "--side", "up"},
                  "--side: is of neurons: expected value with --sae, got up");
    check_refusal({"search", tiny, "--sae", sae, "--ids", "5", "--projection", "standard"},
                  "--projection: standard: is of value vectors: expected folded or raw with --sae");
    check_refusal({"search", tiny, "--sae", sae, "--rank", "kurtosis", "--seed", "1"},
                  "--seed: expected words, tokens or a neuron with it, got none");
    check_refusal({"trace", tiny, "--ids", "1", "--steer-feature", "x=1"},
                  "--steer-feature: expected FOLDER:FEATURE=NUMBER, got 'x=1'");
    check_refusal({"trace", tiny, "--ids", "1", "--steer-feature", sae + ":40=1"},
                  sae + ": feature 40: expected 0 to 39");
}
