// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_events
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/json_document.hpp"
#include "support/run_program.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

// `xlens events`: its document, its files, and what it refuses.

namespace {

using nlohmann::json;
using xlens::test::run_program;

const std::string model = xlens::test::default_model().string();
const std::string text = xlens::test::golden_path("smollm2/perplexity.txt").string();

std::string contents(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
std::set<std::string> keys(const json& object) {
    std::set<std::string> out;
    for (const auto& item : object.items()) { out.insert(item.key()); }
    return out;
}
std::vector<std::string> events(const std::string& file, std::vector<std::string> more) {
    std::vector<std::string> out{"events", model, "--file", file};
    out.insert(out.end(), more.begin(), more.end());
    return out;
}
void check_refused(const std::vector<std::string>& arguments, const std::string& message) {
    const auto result = run_program(arguments);
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(result.out == "");
    BOOST_TEST(result.err == "xlens: " + message + "\n");
}

const std::set<std::string> row_keys{"count",
                                     "dominant",
                                     "random",
                                     "gaussian",
                                     "dominance_share",
                                     "norm_share",
                                     "log_before",
                                     "log_after",
                                     "log_change",
                                     "whole",
                                     "whole_centred",
                                     "other_whole",
                                     "other_whole_centred"};

}  // namespace

BOOST_AUTO_TEST_CASE(a_run_leaves_a_document_rows_and_a_page) {
    const xlens::test::temporary_directory folder;
    const auto out = folder.path() / "out";
    const auto result =
        run_program(events(text, {"--limit", "20", "--window", "8", "-o", out.string(), "--json"}));
    BOOST_TEST_REQUIRE(result.exit_code == 0, result.err);
    json found = xlens::test::json_document(result.out);
    BOOST_TEST(found["run"]["seed"] == 0);
    // The file is the same document.
    BOOST_TEST((xlens::test::json_document(contents(out / "events.json")) == found));
    found.erase("run");
    const std::set<std::string> expected{
        "model",      "layers",      "inner_width", "tokens",
        "positions",  "windows",     "window",      "skipped",
        "every",      "sub_updates", "seed",        "projection",
        "threshold",  "measured",    "settled",     "saturation_layers",
        "saturation", "elimination", "all",         "functional"};
    BOOST_TEST(keys(found) == expected, boost::test_tools::per_element());
    BOOST_TEST(found["tokens"] == 20);
    BOOST_TEST(found["positions"] == 17);
    BOOST_TEST(found["windows"] == 3);
    BOOST_TEST(
        keys(found["settled"]) == (std::set<std::string>{"by_ffn", "by_attention", "at_the_end"}),
        boost::test_tools::per_element());
    for (const char* set : {"saturation", "elimination", "all"}) {
        auto with_layers = row_keys;
        with_layers.insert("layers");
        BOOST_TEST(keys(found[set]) == with_layers, boost::test_tools::per_element());
        auto layer = row_keys;
        layer.insert("layer");
        BOOST_TEST_REQUIRE(found[set]["layers"].size() == 30U);
        BOOST_TEST(keys(found[set]["layers"][7]) == layer, boost::test_tools::per_element());
        const json& scores = found[set]["dominant"];
        BOOST_TEST(keys(scores) ==
                       (std::set<std::string>{"folded", "folded_centred", "raw", "raw_centred"}),
                   boost::test_tools::per_element());
        BOOST_TEST(keys(scores["raw"]) == (std::set<std::string>{"mean", "max", "min"}),
                   boost::test_tools::per_element());
        BOOST_TEST(keys(scores["raw"]["max"]) == (std::set<std::string>{"mean", "margin"}),
                   boost::test_tools::per_element());
    }
    BOOST_TEST(found["all"]["count"] == 17 * 30);

    const std::string rows = contents(out / "events.csv");
    BOOST_TEST(
        rows.starts_with("position,window,layer,kind,token,text,other,log_before,log_after,"
                         "dominance_share,norm_share,whole,whole_centred,other_whole,"
                         "other_whole_centred,dominant_folded_mean,"));
    const std::size_t count = found["saturation"]["count"].get<std::size_t>() +
                              found["elimination"]["count"].get<std::size_t>();
    BOOST_TEST(static_cast<std::size_t>(std::count(rows.begin(), rows.end(), '\n')) >= count + 1);

    const std::string page = contents(out / "report.html");
    BOOST_TEST(page.starts_with("<!DOCTYPE html>"));
    BOOST_TEST(page.find("<svg") != std::string::npos);
    BOOST_TEST(page.find("8.5") != std::string::npos);
    for (const char* bad : {">nan", " nan", ",nan", "\"nan"}) {
        BOOST_TEST(page.find(bad) == std::string::npos, bad);
    }
    BOOST_TEST(!std::filesystem::exists(out / "events.csv.part"));
}

BOOST_AUTO_TEST_CASE(clusters_count_in_a_run_that_is_finished) {
    const xlens::test::temporary_directory folder;
    const std::string grouped = (folder.path() / "clusters.json").string();
    BOOST_TEST_REQUIRE(
        run_program({"cluster", model, "-k", "40", "--rounds", "1", "-o", grouped}).exit_code == 0);
    const auto out = folder.path() / "out";
    const std::vector<std::string> flags{"--limit",     "20", "--window", "8",
                                         "--threshold", "3",  "-o",       out.string()};
    auto plain = flags;
    plain.emplace_back("--json");
    const json before = xlens::test::json_document(run_program(events(text, plain)).out);
    BOOST_TEST(!before.contains("functional_clusters"));
    const std::string rows = contents(out / "functional.csv");
    BOOST_TEST(rows.starts_with("neuron,dominant,in_extreme,promotes,suppresses\n"));

    auto with = plain;
    with.insert(with.end(), {"--clusters", grouped});
    const auto result = run_program(events(text, with));
    BOOST_TEST_REQUIRE(result.exit_code == 0, result.err);
    json after = xlens::test::json_document(result.out);
    const json f = after["functional_clusters"];
    after.erase("functional_clusters");
    BOOST_TEST(after == before);
    BOOST_TEST(keys(f) == (std::set<std::string>{
                              "method", "space", "projection", "clusters", "vectors", "any", "half",
                              "half_vectors", "nine_tenths", "nine_tenths_vectors", "often", "own",
                              "active", "shuffled", "layers", "often_clusters"}),
               boost::test_tools::per_element());
    BOOST_TEST(f["clusters"] == 40);
    BOOST_TEST(f["vectors"] == 30 * 1536);
    BOOST_TEST_REQUIRE(f["often"].get<std::size_t>() > 0U);
    BOOST_TEST_REQUIRE(f["often_clusters"].size() == f["often"].get<std::size_t>());
    std::size_t members = 0;
    const json from = xlens::test::json_document(contents(grouped));
    for (const json& one : f["often_clusters"]) {
        BOOST_TEST(keys(one) == (std::set<std::string>{"id", "size", "functional_members",
                                                       "dominant", "in_extreme",
                                                       "extremes_promoting", "extremes_suppressing",
                                                       "layers", "promotes", "suppresses"}),
                   boost::test_tools::per_element());
        const json& cluster = from["clusters"][one["id"].get<std::size_t>()];
        BOOST_TEST(one["size"] == cluster["size"]);
        BOOST_TEST(one["promotes"][0]["id"] == cluster["concept"][0]["id"]);
        for (const json& layer : one["layers"]) { members += layer["members"].get<std::size_t>(); }
    }
    BOOST_TEST(std::abs(f["own"]["vectors"].get<double>() - double(members) / 46080) < 1e-9);
    BOOST_TEST(contents(out / "functional.csv").starts_with(rows.substr(0, rows.find('\n')) + ","));
    BOOST_TEST(contents(out / "functional_clusters.csv").starts_with("cluster,size,layers,"));
    BOOST_TEST(contents(out / "report.html").find("The same by cluster") != std::string::npos);
    auto table = flags;
    table.insert(table.end(), {"--clusters", grouped});
    BOOST_TEST(run_program(events(text, table)).out.find("by cluster") != std::string::npos);

    check_refused(events(text, {"--clusters", text}), text + ": byte 0: not valid JSON near 'A'");
}

BOOST_AUTO_TEST_CASE(the_table_says_which_scores_it_shows) {
    const auto result =
        run_program(events(text, {"--limit", "10", "--window", "8", "--projection", "raw"}));
    BOOST_TEST(result.exit_code == 0, result.err);
    BOOST_TEST(result.out.starts_with("8 positions in 2 windows of 8; raw scores; 95 % intervals"));
    for (const char* part : {"saturations", "eliminations", "top candidates", "extreme scores"}) {
        BOOST_TEST(result.out.find(part) != std::string::npos, part);
    }
}

BOOST_AUTO_TEST_CASE(bad_input_is_refused_by_one_line) {
    const xlens::test::temporary_directory folder;
    const auto write = [&](const std::string& name, const std::string& bytes) {
        return folder.write(name, bytes).string();
    };
    check_refused({"events", model}, "--file: expected a text file, got nothing");
    check_refused(events("/no/such/file", {}),
                  "/no/such/file: cannot be opened: No such file or directory");
    const std::string empty = write("empty", "");
    check_refused(events(empty, {}), empty + ": empty, expected a text");
    const std::string shorter = write("short", "a");
    check_refused(events(shorter, {}), shorter + ": 1 tokens, expected at least 2");
    const std::string latin = write("latin", "caf\xe9 au lait");
    check_refused(events(latin, {}),
                  latin +
                      ": byte 3 is 0xE9, which is not UTF-8, expected a text in UTF-8; it "
                      "may be LATIN1 (iconv -f LATIN1)");
    check_refused(events(text, {"--window", "10000"}),
                  "--window: expected 2 to 8192, the model's context, got 10000");
    check_refused(events(text, {"--skip", "600"}),
                  "events: window: expected more than the 600 positions that are skipped, got 512");
    check_refused(events(text, {"--limit", "20", "--skip", "30"}),
                  text + ": 20 tokens, expected more than the 30 that are skipped in every window");
    check_refused(events(text, {"--limit", "1"}),
                  "--limit: expected a whole number from 2 to 1099511627776, got '1'");
    check_refused(events(text, {"--threshold", "-1"}), "--threshold: expected more than 0, got -1");
    check_refused(events(text, {"-o", empty}), empty + ": cannot be made: Not a directory");
    check_refused(events(text, {"-o", "/proc/nothing"}),
                  "/proc/nothing: cannot be made: No such file or directory");
}

BOOST_AUTO_TEST_CASE(what_is_no_checkpoint_of_this_run_is_refused) {
    const xlens::test::temporary_directory folder;
    const std::string other = folder.write("events.checkpoint", "something").string();
    check_refused(events(text, {"-o", folder.path().string(), "--limit", "10"}),
                  other + ": expected a checkpoint of xlens events, version 3");
}
