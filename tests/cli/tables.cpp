// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_tables
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/json_document.hpp"
#include "support/run_program.hpp"

#include <wchar.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <cmath>
#include <cwchar>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using xlens::test::run_program;
using xlens::test::run_program_on_terminal;

namespace {

const std::string model = xlens::test::default_model().string();
const std::string tiny = xlens::test::golden_path("models/llama/hf").string();

/// Columns of a line as the C library counts them; -1 for a character that does not print.
int terminal_columns(const std::string& line) {
    std::wstring wide(line.size() + 1, L'\0');
    const std::size_t length = std::mbstowcs(wide.data(), line.c_str(), wide.size());
    if (length == static_cast<std::size_t>(-1)) { return -1; }
    int sum = 0;
    for (std::size_t i = 0; i < length; ++i) {
        const int columns = ::wcwidth(wide[i]);
        if (columns < 0) { return -1; }
        sum += columns;
    }
    return sum;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) { out.push_back(line); }
    return out;
}

void check_page(const std::vector<std::string>& arguments) {
    const auto result = run_program(arguments);
    BOOST_TEST(result.exit_code == 0);
    BOOST_TEST(result.out.find('\x1b') == std::string::npos);
    const auto lines = lines_of(result.out);
    BOOST_TEST(lines.size() > 3U);
    for (const std::string& line : lines) {
        const int columns = terminal_columns(line);
        BOOST_TEST(columns >= 0, "not printable: " << line);
        BOOST_TEST(columns <= 100, columns << " columns: " << line);
    }
}

std::vector<std::string> words_of(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> out;
    for (std::string word; in >> word;) { out.push_back(word); }
    return out;
}

/// The two columns of `generate --compare`, line by line; the bar stands at column 49 of each line.
std::array<std::vector<std::string>, 2> columns_of(const std::string& table) {
    const std::string bar = " │";  // and a space, unless nothing follows
    std::array<std::vector<std::string>, 2> out;
    for (const std::string& line : lines_of(table)) {
        if (line.starts_with("edited: ")) { continue; }
        const std::size_t at = line.find(bar);
        BOOST_REQUIRE(at != std::string::npos);
        BOOST_TEST(terminal_columns(line.substr(0, at)) == 48);
        BOOST_TEST(terminal_columns(line) <= 48 + 3 + 48);
        BOOST_TEST(line.find(bar, at + 1) == std::string::npos);
        out[0].push_back(line.substr(0, at));
        const std::string right = line.substr(at + bar.size());
        BOOST_TEST((right.empty() || right.starts_with(' ')));
        out[1].push_back(right.substr(right.empty() ? 0 : 1));
    }
    return out;
}

struct utf8_locale {
    utf8_locale() { BOOST_REQUIRE(std::setlocale(LC_ALL, "C.UTF-8") != nullptr); }
};
BOOST_TEST_GLOBAL_FIXTURE(utf8_locale);

}  // namespace

BOOST_AUTO_TEST_CASE(a_trace_fits_100_columns) {
    for (const std::string prompt :
         {"The capital of France is", "日本の首都は東京です。中国の首都は",
          "👍🏽👩‍👩‍👧 ok 👍", "a\tb\n\n\x01 c", "\xff\xfe broken", "שלום עולם",
          "e\xcc\x81\xcc\x81"}) {
        BOOST_TEST_CONTEXT(prompt) { check_page({"trace", model, "--prompt", prompt}); }
    }
}

BOOST_AUTO_TEST_CASE(a_grid_fits_100_columns) {
    check_page({"trace", model, "--positions", "all", "--prompt",
                "The 日本 capital\n of 中华人民共和国 is 👍🏽 and a long prompt goes on"});
}

BOOST_AUTO_TEST_CASE(other_pages_fit_100_columns) {
    check_page({"concept", model, "12:33"});
    check_page({"concept", model, "12:33", "--control", "2"});
    check_page({"search", model, "--words", "red,xylophone,日本", "--either", "--limit", "5"});
    check_page({"search", model, "--regex", "a", "--control", "0", "--normalise", "norm"});
    check_page({"search", tiny, "--like", "0:3", "--side", "gate"});
    check_page({"attribute", model, "--prompt", "日本の首都は a capital", "--heads", "--head",
                "20:4", "--limit", "9"});
    check_page({"info", tiny});
    check_page({"examples", model, "29:1189,0:0", "--file",
                xlens::test::golden_path("smollm2/perplexity.txt").string(), "--limit", "100"});
    check_page({"cluster", model, "-k", "20", "--sample", "400", "--shuffle"});
    check_page({"cluster", tiny, "-k", "3", "--method", "complete", "--space", "projected"});
    check_page({"trace", tiny, "--ids", "1,2,3", "--sub-updates", "7", "--top", "2"});
    check_page({"trace", tiny, "--ids", "1,2,3", "--sub-updates", "0"});
    for (const std::string name :
         {"info", "tokenize", "trace", "concept", "index", "search", "cluster", "attribute",
          "generate", "perplexity", "events", "examples", "exit"}) {
        check_page({name, "--help"});
    }
    check_page({"--help"});
}

BOOST_AUTO_TEST_CASE(a_trace_shows_the_prediction_and_where_it_settles) {
    const auto golden = xlens::test::read_golden(xlens::test::golden_path("smollm2/capital.json"));
    const auto result = run_program({"trace", model, "--prompt", golden["prompt"]});
    const std::string layer = std::to_string(golden["saturation_layer"].get<int>());
    BOOST_TEST(result.out.find("saturation: ␣Paris stays on top from layer " + layer + " on") !=
               std::string::npos);
    BOOST_TEST(result.out.find("\nprediction  ␣Paris 77%  ␣the") != std::string::npos);
    // Two lines a layer, and every dominant neuron of the golden in its place.
    const auto lines = lines_of(result.out);
    for (const auto& golden_layer : golden["layers"]) {
        const auto& top = golden_layer["sub_updates"][0];
        const std::string neuron = std::to_string(golden_layer["layer"].get<int>()) + ":" +
                                   std::to_string(top["neuron"].get<int>()) + " ";
        const auto found = std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
            return line.find("│ " + neuron) != std::string::npos;
        });
        BOOST_TEST(found == 1, neuron);
    }
}

BOOST_AUTO_TEST_CASE(an_attribution_fits_100_columns) {
    check_page({"attribute", model, "--prompt", "The capital of France is", "--against", " the"});
    check_page({"attribute", model, "--prompt", "日本の首都は", "--position", "1"});
    for (const std::string name : {"gpt2", "gpt_neox", "wikilm", "qwen3"}) {
        const std::string path = xlens::test::golden_path("models/" + name + "/hf").string();
        check_page({"attribute", path, "--ids", "1,2,3", "--limit", "3"});
    }
    check_page({"trace", tiny, "--ids", "1,2,3", "--positions", "all", "--attribute"});
    check_page({"generate", model, "--prompt", "The", "-n", "2", "--attribute"});
}

BOOST_AUTO_TEST_CASE(an_attribution_leads_from_the_embedding_to_the_logit) {
    const auto golden =
        xlens::test::read_golden(xlens::test::golden_path("attribution/smollm2_capital.json"));
    const auto& expected = golden["cases"][0];
    const auto result =
        run_program({"attribute", model, "--prompt", "The capital of France is", "--limit", "3"});
    BOOST_TEST(result.out.find("\n␣Paris  logit 17.37") != std::string::npos);
    const auto lines = lines_of(result.out);
    const auto number_at = [&](std::size_t line, std::size_t column) {
        return std::stod(lines.at(line).substr(column, 10));
    };
    const std::size_t embedding = 5;
    BOOST_TEST(lines.at(embedding).starts_with("    embedding"));
    double total = 0.0;
    for (std::size_t i = 0; i < 62; ++i) {
        const double adds = number_at(embedding + i, 14);
        total += adds;
        BOOST_TEST(std::abs(number_at(embedding + i, 24) - total) < 0.05);
        const std::size_t layer = i == 0 ? 0 : (i - 1) / 2;
        const bool attention = i % 2 == 1;
        if (i == 0 || i == 61) { continue; }
        const double part = expected[attention ? "attention" : "ffn"][layer];
        BOOST_TEST(std::abs(adds - part) < 0.002);
    }
    BOOST_TEST(lines.at(embedding + 62).starts_with("    logit"));
    BOOST_TEST(lines.at(embedding + 62).find("gap ") != std::string::npos);
    for (std::size_t i = 0; i < 3; ++i) {
        const std::string neuron = expected["sub_updates"][i]["neuron"];
        BOOST_TEST(result.out.find("\n" + neuron + " ") != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(a_page_changes_no_table) {
    const xlens::test::temporary_directory folder;
    const std::string path = (folder.path() / "page.html").string();
    for (const std::string positions : {"last", "all"}) {
        std::vector<std::string> arguments{"trace", tiny,          "--ids",
                                           "1,2,3", "--positions", positions};
        const auto without = run_program(arguments);
        arguments.insert(arguments.end(), {"--html", path});
        const auto with = run_program(arguments);
        BOOST_TEST(with.out == without.out);
        BOOST_TEST(with.err.find(path + ": " + (positions == "all" ? "3 positions" : "1 position") +
                                 ", 0.0") != std::string::npos);
    }
    // All positions are what a page is for.
    const auto plain = run_program({"trace", tiny, "--ids", "1,2,3", "--html", path});
    BOOST_TEST(plain.out ==
               run_program({"trace", tiny, "--ids", "1,2,3", "--positions", "all"}).out);
}

BOOST_AUTO_TEST_CASE(colours_on_a_terminal_only_and_not_against_no_color) {
    const std::vector<std::string> arguments{"trace", tiny, "--ids", "1,2,3"};
    ::unsetenv("NO_COLOR");
    const auto coloured = run_program_on_terminal(arguments);
    BOOST_TEST(coloured.exit_code == 0);
    BOOST_TEST(coloured.out.find("\x1b[") != std::string::npos);
    ::setenv("NO_COLOR", "1", 1);
    const auto plain = run_program_on_terminal(arguments);
    ::unsetenv("NO_COLOR");
    BOOST_TEST(plain.exit_code == 0);
    BOOST_TEST(plain.out.find('\x1b') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_edit_shows_in_the_table) {
    const std::string text = xlens::test::golden_path("smollm2/perplexity.txt").string();
    const std::string sae = xlens::test::golden_path("saes/standard").string();
    const xlens::test::temporary_directory folder;
    const std::string out = (folder.path() / "out").string();
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {"trace", tiny, "--ids", "1,2"},
             {"trace", tiny, "--ids", "1,2", "--positions", "all"},
             {"attribute", tiny, "--ids", "1,2"},
             {"perplexity", model, "--file", text, "--window", "32"},
             {"sae", tiny, sae, "--ids", "1,2"},
             {"patch", tiny, "--ids", "1,2", "--ablate", "zero"},
             {"generate", tiny, "--ids", "1,2", "-n", "1", "--compare"},
             {"capture", tiny, "--ids", "1,2", "-o", out}}) {
        BOOST_TEST_CONTEXT(arguments[0]) {
            const auto edited_lines = [](const std::string& shown) {
                const auto lines = lines_of(shown);
                return std::ranges::count(lines, std::string("edited: 1:28 = 300, 0:3 × 0.5"));
            };
            auto with = arguments;
            with.insert(with.end(), {"--set", "1:28=300", "--scale", "0:3=0.5"});
            const auto result = run_program(with);
            BOOST_TEST(result.exit_code == 0, result.err);
            BOOST_TEST(edited_lines(result.out) == 1);
            if (arguments[0] == "generate" || arguments[0] == "capture") { continue; }
            BOOST_TEST(run_program(arguments).out.find("edited") == std::string::npos);
        }
    }
    // What is written is the text alone; what it was written with stands beside it.
    const auto written = run_program(
        {"generate", model, "--prompt", "A", "-n", "2", "--set", "1:2=3", "--ban", "the"});
    BOOST_TEST(written.out.find("edited") == std::string::npos);
    BOOST_TEST(written.err.find("greedy, edited: 1:2 = 3, 'the' banned\n") != std::string::npos,
               written.err);
}

// Both texts whole, in words of the documents of --json, under a heading each.
BOOST_AUTO_TEST_CASE(a_comparison_shows_both_texts_side_by_side) {
    const std::vector<std::string> start{
        "generate", model, "--prompt", "The three largest cities of France are", "-n", "60"};
    auto edited = start;
    edited.insert(edited.end(), {"--ban", "Paris", "--compare"});
    auto as_json = edited;
    as_json.push_back("--json");
    const auto document = xlens::test::json_document(run_program(as_json).out);
    BOOST_TEST(document["before"]["text"] != document["after"]["text"]);
    const auto result = run_program(edited);
    BOOST_TEST(result.exit_code == 0);
    const auto sides = columns_of(result.out);
    std::size_t side = 0;
    for (const std::string name : {"before", "after"}) {
        BOOST_TEST(words_of(sides[side][0]) == std::vector<std::string>{name},
                   boost::test_tools::per_element());
        std::vector<std::string> found;
        for (std::size_t i = 1; i < sides[side].size(); ++i) {
            for (std::string& word : words_of(sides[side][i])) { found.push_back(std::move(word)); }
        }
        const std::string text = document[name]["text"];
        BOOST_TEST(found == words_of(text), boost::test_tools::per_element());
        // A line of the text begins a line of the table.
        const std::size_t lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
        BOOST_TEST(sides[side].size() > lines);
        ++side;
    }
    BOOST_TEST(sides[0].size() > 3U);
    BOOST_TEST(sides[1].size() == sides[0].size());
}

// A text may be empty, hold words longer than a column, and what takes two columns or none.
BOOST_AUTO_TEST_CASE(a_comparison_fits_its_columns) {
    const auto compare = [](std::vector<std::string> more) {
        std::vector<std::string> arguments{"generate", model, "--compare"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const auto result = run_program(arguments);
        BOOST_TEST(result.exit_code == 0, result.err);
        return columns_of(result.out);
    };
    const auto empty = compare({"--prompt", "One", "-n", "0", "--ban", "x"});
    BOOST_TEST(empty[0].size() == 2U);
    compare({"--prompt", "日本の首都は東京です。中国の首都は", "-n", "24", "--ban", "北京"});
    compare({"--prompt", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "-n", "40", "--set", "3:7=9"});
    compare({"--prompt", "def f(x):\n    if x:\n", "-n", "30", "--scale", "3:7=9"});
}

BOOST_AUTO_TEST_CASE(a_reader_that_stops_early_gets_no_message) {
    const xlens::test::temporary_directory folder;
    const auto errors = folder.write("errors", "");
    const std::string command = std::string(std::getenv("XLENS_PROGRAM")) + " trace '" + tiny +
                                "' --ids 1,2,3 --json --top 300 --positions all 2>'" +
                                errors.string() + "' | head -c 1 >/dev/null";
    BOOST_TEST(std::system(command.c_str()) == 0);
    // The one line that says how to repeat the run, and nothing else.
    const auto lines = lines_of(xlens::test::detail::contents(errors));
    BOOST_TEST(lines.size() == 1U);
    BOOST_TEST(lines.at(0).starts_with("model "));
}
