// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_examples
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/json_document.hpp"
#include "support/outside_reference.hpp"
#include "support/program_json.hpp"
#include "support/run_program.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

// `xlens examples` from outside; what it finds: tests/trace/find_examples.cpp.

namespace {

using nlohmann::json;
using xlens::test::check_keys;
using xlens::test::check_tokens;
using xlens::test::json_of;
using xlens::test::run_program;
using arguments = std::vector<std::string>;

const std::string model = xlens::test::default_model().string();
const std::string text = xlens::test::golden_path("smollm2/perplexity.txt").string();

void check_refusal(const arguments& given, const std::string& message) {
    const auto result = run_program(given);
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(result.out == "");
    BOOST_TEST(result.err == "xlens: " + message + "\n");
}

/// The golden's settings as flags.
const arguments as_golden = {"--file",  text, "--window",  "128", "--top",       "5",
                             "--apart", "8",  "--context", "3",   "--threshold", "0.5"};

arguments with(arguments all, const arguments& more) {
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

void check_hits(const json& found, const json& expected) {
    BOOST_REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        const json& f = found[i];
        check_keys(f, {"position", "window", "row", "coefficient", "at", "tokens"});
        BOOST_TEST(f["window"] == expected[i]["window"]);
        BOOST_TEST(f["row"] == expected[i]["position"]);
        BOOST_TEST(f["position"].get<int>() == 128 * f["window"].get<int>() + f["row"].get<int>());
        const auto m = expected[i]["coefficient"].get<double>();
        BOOST_TEST(std::abs(f["coefficient"].get<double>() - m) <= 1e-4 * std::abs(m));
        check_tokens(f["tokens"], "coefficient", expected[i]["around"].size());
        BOOST_TEST(f["tokens"][f["at"].get<std::size_t>()]["coefficient"] == f["coefficient"]);
    }
}

std::vector<json> lines_of(const std::string& path) {
    std::ifstream in(path);
    std::vector<json> out;
    for (std::string line; std::getline(in, line);) {
        out.push_back(xlens::test::json_document(line));
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_document_is_what_transformers_finds) {
    const json golden = xlens::test::read_golden(xlens::test::golden_path("examples/smollm2.json"));
    const json found = json_of(with({"examples", model, "29:1189,22:916,29:1535"}, as_golden));
    check_keys(found, {"text", "text_tokens", "window", "prefix", "positions", "skipped", "apart",
                       "threshold", "neurons", "run"});
    BOOST_TEST(found["text_tokens"] == golden["ids"].size());
    BOOST_REQUIRE(found["neurons"].size() == 3U);
    const std::vector<std::string> names{"29:1189", "22:916", "29:1535"};
    for (std::size_t i = 0; i < 3; ++i) {
        const json& f = found["neurons"][i];
        check_keys(f, {"neuron", "promotes", "suppresses", "over", "positive", "zero", "histogram",
                       "largest", "lowest"});
        BOOST_TEST(f["neuron"] == names[i]);
        const json& e = *std::ranges::find_if(
            golden["neurons"], [&](const json& one) { return one["neuron"] == names[i]; });
        const auto positions = e["positions"].get<double>();
        BOOST_TEST(found["positions"] == e["positions"]);
        BOOST_TEST(f["over"].get<double>() == e["over"].get<double>() / positions);
        BOOST_TEST(f["positive"].get<double>() == e["positive"].get<double>() / positions);
        BOOST_TEST(f["zero"].get<double>() == 0.0);
        int counted = 0;
        for (const json& bin : f["histogram"]) {
            check_keys(bin, {"least", "bound", "count"});
            counted += bin["count"].get<int>();
        }
        BOOST_TEST(counted == e["positions"].get<int>());
        check_tokens(f["promotes"], "score", 10);
        check_hits(f["largest"], e["largest"]);
        check_hits(f["lowest"], e["smallest"]);
    }
    BOOST_TEST(found["neurons"][0]["promotes"][0]["text"] == " medical");
}

BOOST_AUTO_TEST_CASE(a_search_says_which_neurons) {
    const json hits =
        json_of({"search", model, "--words", "doctor,nurse", "--control", "0", "--limit", "3"});
    const json found = json_of({"examples", model, "--words", "doctor,nurse", "--hits", "3",
                                "--file", text, "--limit", "60"});
    BOOST_REQUIRE(found["neurons"].size() == 3U);
    BOOST_TEST(found["text_tokens"] == 60);
    for (std::size_t i = 0; i < 3; ++i) {
        BOOST_TEST(found["neurons"][i]["neuron"] == hits["hits"][i]["neuron"]);
    }
    const json like = json_of(
        {"examples", model, "--like", "29:1189", "--hits", "2", "--file", text, "--limit", "60"});
    BOOST_REQUIRE(like["neurons"].size() == 3U);
    BOOST_TEST(like["neurons"][0]["neuron"] == "29:1189");
}

BOOST_AUTO_TEST_CASE(the_first_position_is_shown_where_it_is_asked_for) {
    const auto first = [&](const arguments& more) {
        int count = 0;
        const json found = json_of(with({"examples", model, "29:1535,11:512", "--file", text,
                                         "--top", "100", "--apart", "1", "--limit", "50"},
                                        more));
        for (const json& neuron : found["neurons"]) {
            for (const char* side : {"largest", "lowest"}) {
                for (const json& hit : neuron[side]) { count += hit["row"] == 0 ? 1 : 0; }
            }
        }
        return count;
    };
    BOOST_TEST(first({}) == 0);
    BOOST_TEST(first({"--skip", "0"}) == 2);
}

BOOST_AUTO_TEST_CASE(all_neurons_go_to_lines) {
    const xlens::test::temporary_directory folder;
    const std::string path = (folder.path() / "all.jsonl").string();
    const auto result =
        run_program({"examples", model, "--all", "--file", text, "--window", "128", "--top", "5",
                     "--apart", "8", "--threshold", "0.5", "-o", path});
    BOOST_TEST(result.exit_code == 0, result.err);
    BOOST_TEST(result.out == "");
    BOOST_TEST(result.err.find("46080 neurons at 478 positions") != std::string::npos);
    const std::vector<json> lines = lines_of(path);
    BOOST_REQUIRE(lines.size() == 1U + 46080U);
    const json golden = xlens::test::read_golden(xlens::test::golden_path("examples/smollm2.json"));
    check_keys(lines[0], {"text", "text_tokens", "window", "prefix", "positions", "skipped",
                          "apart", "threshold", "tokens", "run"});
    BOOST_TEST(lines[0]["tokens"] == golden["ids"]);
    for (const json& e : golden["neurons"]) {
        const auto name = e["neuron"].get<std::string>();
        const std::size_t colon = name.find(':');
        const json& f = lines[1 + 1536 * std::stoul(name.substr(0, colon)) +
                              std::stoul(name.substr(colon + 1))];
        check_keys(f, {"neuron", "over", "positive", "zero", "histogram", "largest", "lowest"});
        BOOST_TEST(f["neuron"] == name);
        BOOST_TEST(f["over"] == e["over"]);
        BOOST_TEST(f["positive"] == e["positive"]);
        BOOST_REQUIRE(f["largest"].size() == e["largest"].size());
        for (std::size_t i = 0; i < f["largest"].size(); ++i) {
            const json& hit = e["largest"][i];
            BOOST_TEST(f["largest"][i][0].get<int>() ==
                       128 * hit["window"].get<int>() + hit["position"].get<int>());
            const auto m = hit["coefficient"].get<double>();
            BOOST_TEST(std::abs(f["largest"][i][1].get<double>() - m) <= 1e-4 * std::abs(m));
        }
    }
}

BOOST_AUTO_TEST_CASE(the_page_is_written) {
    const xlens::test::temporary_directory folder;
    const std::string path = (folder.path() / "page.html").string();
    const auto result = run_program({"examples", model, "29:1189", "--file", text, "--html", path,
                                     "--limit", "100", "--top", "3"});
    BOOST_TEST(result.exit_code == 0, result.err);
    BOOST_TEST(result.out.find("29:1189") != std::string::npos);
    std::ifstream in(path);
    const std::string page{std::istreambuf_iterator<char>(in), {}};
    BOOST_TEST(page.find("<h2 id=\"29:1189\">") != std::string::npos);
    BOOST_TEST(page.find("medical") != std::string::npos);
    BOOST_TEST(xlens::test::outside_reference(page) == "");
}

BOOST_AUTO_TEST_CASE(what_examples_cannot_do_is_refused) {
    const std::string which = "NEURONS, --words and the like, --all: expected one of them, got ";
    const arguments file{"--file", text};
    check_refusal(with({"examples", model}, file), which + "none");
    check_refusal(with({"examples", model, "0:1", "--all"}, file), which + "2");
    check_refusal(with({"examples", model, "0:1", "--words", "a"}, file), which + "2");
    check_refusal({"examples", model, "0:1"}, "--file: expected a text file, got nothing");
    check_refusal(with({"examples", model, "0:1,0:1"}, file),
                  "NEURONS: 0:1: expected once, got twice");
    check_refusal(with({"examples", model, "0:1,"}, file),
                  "NEURONS: expected a neuron LAYER:INDEX such as 12:1033, got ''");
    check_refusal(with({"examples", model, "30:1"}, file),
                  "neuron 30:1: layer 30, the model has layers 0 to 29");
    check_refusal(with({"examples", model, "--all"}, file),
                  "--all: expected -o FILE for its neurons, got none");
    check_refusal(with({"examples", model, "--all", "-o", "x", "--json"}, file),
                  "--all: goes to -o FILE; --context, --html and --json are for some neurons");
    check_refusal(with({"examples", model, "0:1", "--window", "8193"}, file),
                  "--window: expected 2 to 8192, the model's context, got 8193");
    check_refusal(with({"examples", model, "0:1", "--window", "4", "--skip", "4"}, file),
                  "--window: expected more than the 4 tokens that begin it or are skipped, got 4");
    check_refusal(with({"examples", model, "0:1", "--limit", "1"}, file),
                  "examples: 1 tokens, expected more than the 1 that are skipped in every window");
    check_refusal(with({"examples", model, "0:1", "--threshold", "-1"}, file),
                  "--threshold: expected at least 0, got -1");
    const xlens::test::temporary_directory folder;
    const std::string empty = folder.write("empty", "").string();
    check_refusal({"examples", model, "0:1", "--file", empty}, empty + ": empty, expected a text");
    check_refusal(with({"examples", model, "0:1", "--html", ""}, file),
                  "--html: expected a file to write, got ''");
}
