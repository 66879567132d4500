// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_exit
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/json_document.hpp"
#include "support/run_program.hpp"
#include "support/temporary_directory.hpp"

#include <set>
#include <string>
#include <vector>

// `xlens exit`, and --exit of generate and perplexity, on the default model.

namespace {

using nlohmann::json;
using strings = std::vector<std::string>;

const std::string model = xlens::test::default_model().string();
const std::string text = xlens::test::golden_path("smollm2/perplexity.txt").string();

json run(strings arguments) {
    arguments.push_back("--json");
    const auto result = xlens::test::run_program(arguments);
    BOOST_TEST(result.exit_code == 0, result.err);
    BOOST_REQUIRE(xlens::test::is_json_document(result.out));
    return xlens::test::json_document(result.out);
}
void refused(const strings& arguments, const std::string& message) {
    const auto result = xlens::test::run_program(arguments);
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(result.out.empty());
    BOOST_TEST(result.err.find(message) != std::string::npos, result.err);
}

const std::set<std::string> keys{"rule",
                                 "agreement",
                                 "saved_layers",
                                 "saved_fraction",
                                 "seconds_full",
                                 "seconds_exit",
                                 "threshold",
                                 "fitted_tokens",
                                 "measured_tokens",
                                 "agreement_bound",
                                 "live_agreement",
                                 "live_saved_layers",
                                 "exits",
                                 "saved_time",
                                 "live_tokens",
                                 "run"};

void check_report(const json& report, const std::string& rule) {
    std::set<std::string> found;
    for (const auto& item : report.items()) { found.insert(item.key()); }
    BOOST_TEST(found == keys, boost::test_tools::per_element());
    BOOST_TEST(report["rule"] == rule);
    BOOST_TEST(report["exits"].size() == 30U);
    std::size_t positions = 0;
    double saved = 0.0;
    for (std::size_t l = 0; l < 30; ++l) {
        const auto count = report["exits"][l].get<std::size_t>();
        positions += count;
        saved += static_cast<double>((29 - l) * count);
    }
    const double measured = report["measured_tokens"].get<double>();
    BOOST_TEST(static_cast<double>(positions) == measured);
    BOOST_TEST(report["saved_layers"].get<double>() == saved / measured,
               boost::test_tools::tolerance(1e-6));
    BOOST_TEST(report["saved_fraction"].get<double>() == saved / measured / 30.0,
               boost::test_tools::tolerance(1e-6));
}

std::size_t occurrences(const std::string& whole, const std::string& part) {
    std::size_t count = 0;
    for (auto at = whole.find(part); at != std::string::npos; at = whole.find(part, at + 1)) {
        ++count;
    }
    return count;
}

/// The marks in both tables and in the page, beside --json.
void check_marks(const std::string& ids, const std::string& rule, const json& positions) {
    std::size_t leaving = 0;
    json layers = json::array();
    for (const json& p : positions) {
        leaving += p["exit_layer"] == 29 ? 0U : 1U;
        layers.push_back(p["exit_layer"]);
    }
    BOOST_TEST(leaving > 0U);
    BOOST_TEST(leaving < positions.size());
    const xlens::test::temporary_directory folder;
    const std::string page = (folder.path() / "page.html").string();
    const auto grid =
        xlens::test::run_program({"trace", model, "--ids", ids, "--positions", "all", "--exit",
                                  rule, "--html", page, "--top", "1", "--sub-updates", "0"});
    BOOST_TEST(grid.exit_code == 0, grid.err);
    BOOST_TEST(occurrences(grid.out, "◂") == leaving + 1);  // and the legend
    const std::string written = xlens::test::detail::contents(page);
    BOOST_TEST(written.find("\"exits\":" + layers.dump()) != std::string::npos);

    // The table of the last position, and that of the last one that leaves.
    std::size_t cut = positions.size();
    while (positions[cut - 1]["exit_layer"] == 29) { --cut; }
    std::string shorter = ids;
    for (std::size_t i = cut; i < positions.size(); ++i) { shorter.resize(shorter.rfind(',')); }
    const auto table = xlens::test::run_program({"trace", model, "--ids", shorter, "--exit", rule});
    BOOST_TEST(table.exit_code == 0, table.err);
    BOOST_TEST(table.out.find("early exit: it would leave after layer " +
                              positions[cut - 1]["exit_layer"].dump()) != std::string::npos);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_rule_is_fitted_measured_and_used) {
    const xlens::test::temporary_directory folder;
    const std::string rule = (folder.path() / "rule").string();
    const json fitted =
        run({"exit", "fit", model, "--file", text, "--rule", "confidence", "--lens", "linear",
             "--layers", "12,20", "--agreement", "0.5", "--timed", "40", "-o", rule});
    check_report(fitted, "confidence");
    BOOST_TEST(fitted["seconds_full"].get<double>() > 0.0);
    BOOST_TEST(fitted["seconds_exit"].get<double>() > 0.0);
    BOOST_TEST(fitted["saved_layers"].get<double>() > 0.0);
    BOOST_TEST(fitted["agreement_bound"].get<double>() >= 0.5);

    const std::string other =
        folder.write("other.txt", "The cat sat on the mat, and the dog sat on the cat.").string();
    check_report(run({"exit", "eval", model, "--file", other, "--rule", rule, "--timed", "0"}),
                 "confidence");
    refused({"exit", "eval", model, "--file", text, "--rule", rule},
            "--file: the rule was fitted on this very text; measure on another");
    refused({"generate", xlens::test::golden_path("models/gpt2/hf").string(), "--ids", "1",
             "--exit", rule},
            "exit rule: fitted to model ");

    const strings generate{"generate", model, "--prompt", "The capital of France is", "-n", "24"};
    strings with = generate;
    with.insert(with.end(), {"--exit", rule});
    const json steps = run(with)["steps"];
    BOOST_TEST(steps[0]["exit_layer"] == 29);  // read with the prompt, which runs in full
    std::set<int> layers;
    for (const json& step : steps) { layers.insert(step["exit_layer"].get<int>()); }
    BOOST_TEST(layers.size() > 1U);
    for (const int l : layers) { BOOST_TEST((l == 12 || l == 20 || l == 29)); }
    BOOST_TEST(run(with)["ids"] == run(with)["ids"]);
    with.insert(with.end(), {"--set", "3:7=2"});
    BOOST_TEST(run(with)["ids"].size() == 24U);

    // A trace marks the layers at which decoding has left: the cache is the whole model's in both.
    const json prompt = run({"tokenize", model, "--text", "The capital of France is"})["ids"];
    std::string ids;
    for (const json& id : prompt) { ids += (ids.empty() ? "" : ",") + id.dump(); }
    for (const json& step : steps) { ids += "," + step["id"].dump(); }
    const strings trace{"trace", model, "--ids",         ids, "--positions", "all",
                        "--top", "1",   "--sub-updates", "0"};
    strings marked = trace;
    marked.insert(marked.end(), {"--exit", rule});
    const json positions = run(marked)["positions"];
    for (std::size_t i = 1; i < steps.size(); ++i) {
        BOOST_TEST(positions[prompt.size() - 1 + i]["exit_layer"] == steps[i]["exit_layer"]);
    }
    BOOST_TEST(!run(trace)["positions"][0].contains("exit_layer"));
    check_marks(ids, rule, positions);

    // The same draws and the same exits for any number of threads.
    const auto sample = [&](const std::string& threads) {
        strings drawn = generate;
        drawn.insert(drawn.end(), {"--exit", rule, "--temperature", "1.2", "--top-k", "40",
                                   "--seed", "5", "--threads", threads});
        json out = run(drawn);
        out.erase("tokens_per_second");
        out.erase("run");
        return out;
    };
    BOOST_TEST(sample("1") == sample("3"));
    strings beams = generate;
    beams.insert(beams.end(), {"--exit", rule, "--beam", "2"});
    refused(beams, "--exit: expected no --beam with it, got one");

    // A recipe and the flags that say the same.
    const std::string recipe = folder
                                   .write("r.json", R"({"interventions": [
        {"do": "set", "neurons": ["3:7"], "value": 40}]})")
                                   .string();
    strings by_recipe = generate;
    by_recipe.insert(by_recipe.end(), {"--exit", rule, "--recipe", recipe});
    strings by_flag = generate;
    by_flag.insert(by_flag.end(), {"--exit", rule, "--set", "3:7=40"});
    BOOST_TEST(run(by_recipe)["steps"] == run(by_flag)["steps"]);
    BOOST_TEST(run(by_recipe)["steps"] != steps);

    const json full = run({"perplexity", model, "--file", other});
    const json cut = run({"perplexity", model, "--file", other, "--exit", rule});
    BOOST_TEST(cut["tokens"] == full["tokens"]);
    BOOST_TEST(cut["nll"] != full["nll"]);
}

// One pass for several rules, which share what they read of the vocabulary, says what each says
// alone.
BOOST_AUTO_TEST_CASE(several_rules_at_one_pass_are_each_alone) {
    const xlens::test::temporary_directory folder;
    const std::string other =
        folder.write("other.txt", "The cat sat on the mat, and the dog sat on the cat.").string();
    const auto eval = [&](const std::string& rules) {
        return run({"exit", "eval", model, "--fit-file", text, "--file", other, "--layers",
                    "12,20,26", "--agreement", "0.5", "--timed", "0", "--curve", "4", "--rule",
                    rules});
    };
    const json all = eval("confidence,margin,stable,oracle");
    BOOST_REQUIRE(all.is_array());
    BOOST_REQUIRE(all.size() == 4U);
    for (const json& one : all) {
        BOOST_TEST_CONTEXT(one["rule"]) {
            BOOST_TEST(one == eval(one["rule"].get<std::string>()));
            double last = 2.0;
            for (const json& point : one["curve"]) {
                BOOST_TEST(point["threshold"].get<double>() <= last);
                last = point["threshold"].get<double>();
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_rule_that_never_leaves_changes_nothing) {
    const xlens::test::temporary_directory folder;
    const std::string other = folder.write("other.txt", "One, two, three, four, five.").string();
    const json full = run({"perplexity", model, "--file", other});
    const json cut = run({"perplexity", model, "--file", other, "--exit", "stable"});
    // Every fourth layer, three times the same top token: the plain lens rarely settles so early.
    BOOST_TEST(cut["tokens"] == full["tokens"]);
}

// Which exits are taken depends on times, what is written does not.
BOOST_AUTO_TEST_CASE(verified_exits_leave_the_text_as_it_is) {
    const auto steps_of = [](json out) {
        for (json& step : out["steps"]) { step.erase("exit_layer"); }
        for (const char* key : {"tokens_per_second", "run", "verified"}) { out.erase(key); }
        return out;
    };
    const std::vector<strings> ways{
        {"--prompt", "The capital of France is", "-n", "40"},
        {"--prompt", "The capital of France is", "-n", "40", "--precision", "native"},
        {"--prompt", "Say hi", "--chat", "-n", "24"},
        {"--prompt", "Once upon a time", "-n", "24", "--temperature", "0.7", "--seed", "3"},
        {"--prompt", "Once upon a time", "-n", "24", "--stop", " was"},
        {"--prompt", "Once upon a time", "-n", "16", "--ban", "time", "--set", "3:7=2"},
        {"--prompt", "Once upon a time", "-n", "1"},
    };
    for (const strings& way : ways) {
        strings plain{"generate", model};
        plain.insert(plain.end(), way.begin(), way.end());
        const json expected = run(plain);
        for (const std::string rule : {"confidence", "margin", "stable"}) {
            strings verified = plain;
            verified.insert(verified.end(), {"--exit", rule, "--verify"});
            const json found = run(verified);
            BOOST_TEST(steps_of(found) == steps_of(expected));
            const json& counts = found["verified"];
            BOOST_TEST(counts.size() == 5U);
            BOOST_TEST(counts["accepted"].get<std::size_t>() <=
                       counts["drafts"].get<std::size_t>());
            BOOST_TEST(counts["passes"].get<std::size_t>() < 40U);
            BOOST_TEST(counts.contains("tokens_per_pass"));
            BOOST_TEST(counts.contains("saved_layers"));
        }
    }
    const xlens::test::temporary_directory folder;
    const std::string other =
        folder.write("other.txt", "One, two, three, four, five, six, seven, eight, nine, ten.")
            .string();
    const json timed = run({"exit", "eval", model, "--file", other, "--fit-file", text, "--rule",
                            "gate", "--timed", "64", "--agreement", "0.5", "--verify"});
    BOOST_TEST(timed["live_agreement"].is_number());
    if (timed["live_tokens"].get<std::size_t>() > 0) {
        BOOST_TEST(timed["live_agreement"] == 1.0);
        BOOST_TEST(timed.contains("verified"));
    }
}

BOOST_AUTO_TEST_CASE(bad_input_is_refused_before_the_work) {
    const strings fit{"exit", "fit", model, "--file", text};
    const auto with = [&](strings more) {
        strings out = fit;
        out.insert(out.end(), more.begin(), more.end());
        return out;
    };
    refused({"exit", "mend", model}, "exit: expected fit, eval or table, got 'mend'");
    // Flags that would do nothing.
    const strings of_file{"exit", "eval", model, "--file", text, "--rule", text};
    for (const strings& flag :
         std::vector<strings>{{"--agreement", "0.9"}, {"--layers", "2"}, {"--fit-file", text}}) {
        strings command = of_file;
        command.insert(command.end(), flag.begin(), flag.end());
        refused(command, flag.front() + ": is for a rule by name, which is fitted; got the file ");
    }
    refused(with({"--rule", "gate", "-o", "x", "--reads", "both"}),
            "--reads: is for the rule classifier, got --rule gate");
    refused(with({"--rule", "gate", "-o", "x", "--clusters", text}),
            "--clusters: is for the rule cluster, got --rule gate");
    refused(with({"--rule", "gate", "-o", "x", "--lens", "tuned"}), "read with a lens, got --rule");
    refused(with({"--rule", "gate", "-o", "x", "--curve", "3"}), "--curve: is for exit eval");
    refused({"exit", "eval", model, "--file", text, "--rule", "stable", "--verify", "--timed", "0"},
            "--verify: expected --timed of 1 or more, got 0");
    for (const strings& flag : std::vector<strings>{
             {"--agreement", "0.9"}, {"--lens", "tuned"}, {"--reads", "both"}, {"--timed", "1"}}) {
        strings command{"exit", "table", model, "--file", text, "--clusters", text};
        command.insert(command.end(), flag.begin(), flag.end());
        refused(command, flag.front() + ": is for exit fit and exit eval");
    }
    refused({"exit", "eval", model}, "--file: expected a text file, got nothing");
    refused(fit, "--rule: expected a rule's name or file, got nothing");
    refused(with({"--rule", "gate"}), "-o: expected a file to write, got nothing");
    refused(with({"--rule", "nonsense", "-o", "x"}), "or a file of 'exit fit', got 'nonsense'");
    refused(with({"--rule", "gate", "-o", "x", "--agreement", "1.5"}),
            "--agreement: expected between 0 and 1, got 1.5");
    for (const std::string layers : {"9,a", "29", "3-"}) {
        refused(with({"--rule", "gate", "-o", "x", "--layers", layers}),
                "--layers: expected numbers and ranges from 0 to 28 such as 3,5-8, got '" + layers +
                    "'");
    }
    refused(with({"--rule", "cluster", "-o", "x"}),
            "--clusters: the rule 'cluster' needs a file of 'xlens cluster', got nothing");
    refused(with({"--rule", "oracle", "-o", "x"}), "'oracle' knows the answers");
    refused({"generate", model, "--prompt", "a", "--exit", "gate"},
            "--exit: the rule 'gate' must be fitted");
    refused({"generate", model, "--prompt", "a", "--verify"},
            "--verify: expected --exit with it, got none");
    refused({"generate", model, "--prompt", "a", "--exit", "stable", "--verify", "--attribute"},
            "--attribute: expected no --verify with it, got one");
    refused(with({"--rule", "gate", "-o", "x", "--verify"}), "--verify: is for exit eval");
    refused({"generate", model, "--prompt", "a", "--exit", text},
            "not a fitted exit rule of xlens");
}
