// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_search
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/program_json.hpp"
#include "support/run_program.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <vector>

// `xlens search`, and what `xlens concept` shares with it: index files and random vectors.

namespace {

using nlohmann::json;
using xlens::test::check_keys;
using xlens::test::check_tokens;
using xlens::test::json_of;
using xlens::test::run_program;
using arguments = std::vector<std::string>;

const std::string model = xlens::test::default_model().string();
const std::string tiny = xlens::test::golden_path("models/qwen2/hf").string();
const std::string other = xlens::test::golden_path("models/llama/hf").string();

json search(const std::string& path, const arguments& more) {
    arguments all{"search", path};
    all.insert(all.end(), more.begin(), more.end());
    return json_of(all);
}

std::vector<double> scores_of(const json& found) {
    std::vector<double> out;
    for (const json& hit : found["hits"]) { out.push_back(hit["score"].get<double>()); }
    return out;
}

/// Exit code 2 and this one line.
void check_refusal(const arguments& given, const std::string& message) {
    const auto result = run_program(given);
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(result.out == "");
    BOOST_TEST(result.err == "xlens: " + message + "\n");
}

/// An index of the tiny model.
struct index_file {
    explicit index_file(const arguments& more = {}) : path((folder.path() / "index").string()) {
        arguments all{"index", tiny, "-o", path};
        all.insert(all.end(), more.begin(), more.end());
        BOOST_REQUIRE(run_program(all).exit_code == 0);
    }
    void change(std::size_t at, std::uint32_t value) const {
        std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(at));
        file.write(reinterpret_cast<const char*>(&value), sizeof value);
    }
    xlens::test::temporary_directory folder;
    std::string path;
};

}  // namespace

BOOST_AUTO_TEST_CASE(words_are_named_and_found) {
    const json found =
        search(model, {"--words", "two,Four, six ,xylophone", "--normalise", "spread", "--either",
                       "--limit", "6", "--top", "7", "--seed", "3"});
    check_keys(found, {"query", "side", "projection", "normalise", "end", "rank", "control", "hits",
                       "run"});
    BOOST_TEST(found["rank"] == "score");
    check_keys(found["query"], {"words", "tokens"});
    const json& words = found["query"]["words"];
    BOOST_REQUIRE(words.size() == 4U);
    std::set<int> named;
    for (const json& word : words) {
        check_keys(word, {"word", "pieces", "ids"});
        for (const json& id : word["ids"]) { named.insert(id.get<int>()); }
    }
    BOOST_TEST(words[1]["word"] == "Four");
    BOOST_TEST(words[2]["word"] == "six");
    BOOST_TEST(words[2]["pieces"] == false);
    BOOST_TEST(words[3]["pieces"] == true);
    std::set<int> used;
    std::set<std::string> texts;
    for (const json& token : found["query"]["tokens"]) {
        check_keys(token, {"id", "text"});
        used.insert(token["id"].get<int>());
        texts.insert(token["text"].get<std::string>());
    }
    BOOST_TEST(used == named, boost::test_tools::per_element());
    for (const std::string text : {" two", "two", " Two", "Two", " four", " six"}) {
        BOOST_TEST(texts.contains(text), text);
    }
    check_keys(found["control"], {"vectors", "seed", "best"});
    BOOST_TEST(found["control"]["vectors"] == 46'080);
    BOOST_TEST(found["control"]["seed"] == 3);
    BOOST_REQUIRE(found["hits"].size() == 6U);
    double last = INFINITY;
    for (const json& hit : found["hits"]) {
        check_keys(
            hit, {"neuron", "score", "norm", "kurtosis", "random_share", "promotes", "suppresses"});
        check_tokens(hit["promotes"], "score", 7);
        check_tokens(hit["suppresses"], "score", 7);
        const double score = std::abs(hit["score"].get<double>());
        BOOST_TEST(score <= last);
        last = score;
        BOOST_TEST(hit["norm"].get<double>() > 0.0);
        // A neuron of numbers is beyond what 46,080 random vectors reach.
        BOOST_TEST((hit["random_share"].get<double>() == 0.0) ==
                   (score > found["control"]["best"].get<double>()));
    }
    const json& first = found["hits"][0];
    const bool turned = first["score"].get<double>() < 0.0;
    std::set<std::string> end;
    for (const json& token : first[turned ? "suppresses" : "promotes"]) {
        end.insert(token["text"].get<std::string>());
    }
    BOOST_TEST(end.contains(" four"));
    BOOST_TEST(first["random_share"] == 0.0);
}

BOOST_AUTO_TEST_CASE(a_pattern_is_found_in_the_vocabulary) {
    const json found =
        search(model, {"--regex", "^ ?[Rr]ed$", "--control", "0", "--limit", "2", "--top", "1"});
    check_keys(found, {"query", "side", "projection", "normalise", "end", "rank", "hits", "run"});
    check_keys(found["query"], {"regex", "tokens"});
    BOOST_TEST(found["query"]["tokens"].size() == 4U);
    for (const json& hit : found["hits"]) {
        check_keys(hit, {"neuron", "score", "norm", "kurtosis", "promotes", "suppresses"});
    }
}

BOOST_AUTO_TEST_CASE(hits_are_ranked_by_kurtosis_if_asked_to) {
    const std::vector<std::string> words{
        "--words", "doctor,hospital,nurse", "--control", "0", "--top", "2"};
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.begin(), words.begin(), words.end());
        return search(model, more);
    };
    const json by_score = with({"--limit", "30"});
    const json found = with({"--limit", "30", "--rank", "kurtosis", "--among", "30"});
    BOOST_TEST(found["rank"] == "kurtosis");
    BOOST_TEST(found["among"] == 30);
    std::set<std::string> those;
    std::set<std::string> these;
    double last = INFINITY;
    for (std::size_t i = 0; i < 30; ++i) {
        those.insert(by_score["hits"][i]["neuron"].get<std::string>());
        these.insert(found["hits"][i]["neuron"].get<std::string>());
        BOOST_TEST(found["hits"][i]["kurtosis"].get<double>() <= last);
        last = found["hits"][i]["kurtosis"].get<double>();
    }
    BOOST_TEST(those == these, boost::test_tools::per_element());
    BOOST_TEST(with({"--rank", "kurtosis"})["among"] == 1000);

    const json all = search(other, {"--rank", "kurtosis", "--limit", "4", "--top", "1"});
    check_keys(all, {"side", "projection", "rank", "hits", "run"});
    BOOST_TEST(all["hits"].size() == 4U);
    check_keys(all["hits"][0], {"neuron", "norm", "kurtosis", "promotes", "suppresses"});
    const index_file index;
    const arguments of_all{"--rank", "kurtosis", "--limit", "9", "--top", "1"};
    arguments from_file = of_all;
    from_file.insert(from_file.end(), {"--index", index.path});
    BOOST_TEST(search(tiny, of_all)["hits"] == search(tiny, from_file)["hits"]);
    check_refusal({"search", other, "--rank", "kurtosis", "--either"},
                  "--either: expected words, tokens or a neuron with it, got none");
    check_refusal({"search", other, "--rank", "score"},
                  "--words, --regex, --ids, --like: expected one of them, got none");
    check_refusal({"search", other, "--ids", "3", "--among", "9"},
                  "--among: expected --rank kurtosis with it, got score");
}

// By each projection what `xlens concept` says of the same neurons.
BOOST_AUTO_TEST_CASE(a_trace_reads_value_vectors_as_asked) {
    for (const std::string form : {"raw", "normed", "standard"}) {
        const json traced = json_of({"trace", other, "--ids", "3,5,8", "--projection", form,
                                     "--sub-updates", "2", "--top", "4"});
        BOOST_TEST(traced["projection"] == form);
        for (const json& layer : traced["positions"][0]["layers"]) {
            for (const json& s : layer["sub_updates"]) {
                const json expected = json_of({"concept", other, s["neuron"].get<std::string>(),
                                               "--projection", form, "--top", "4"});
                BOOST_TEST(s["promotes"] == expected["promotes"]);
                BOOST_TEST(s["suppresses"] == expected["suppresses"]);
            }
        }
    }
    BOOST_TEST(!json_of({"trace", other, "--ids", "3"}).contains("projection"));
}

BOOST_AUTO_TEST_CASE(a_search_for_words_finds_the_neuron_that_is_about_them) {
    const json found =
        search(model, {"--words", "doctor,hospital,nurse", "--control", "0", "--limit", "1"});
    BOOST_TEST(found["normalise"] == "spread");
    BOOST_TEST(found["hits"][0]["neuron"] == "29:1189");
    BOOST_TEST(found["hits"][0]["promotes"][0]["text"] == " medical");
    const json standard = search(model, {"--words", "doctor,hospital,nurse", "--control", "0",
                                         "--limit", "3", "--projection", "standard"});
    BOOST_TEST(standard["normalise"] == "none");
    BOOST_TEST(standard["projection"] == "standard");
}

BOOST_AUTO_TEST_CASE(ends_sides_and_scales) {
    const arguments ids{"--ids", "5,9", "--limit", "1000", "--control", "0"};
    const auto with = [&](const arguments& more) {
        arguments all = ids;
        all.insert(all.end(), more.begin(), more.end());
        return search(tiny, all);
    };
    const json promotes = with({});
    BOOST_TEST(promotes["side"] == "value");
    BOOST_TEST(promotes["projection"] == "folded");
    BOOST_TEST(promotes["normalise"] == "spread");
    BOOST_TEST(promotes["end"] == "promotes");
    std::vector<double> all = scores_of(promotes);
    BOOST_TEST(all.size() == 96U);
    BOOST_TEST(std::ranges::is_sorted(all, std::greater<>()));
    const std::vector<double> lowest = scores_of(with({"--suppresses"}));
    std::ranges::reverse(all);
    BOOST_TEST(lowest == all);
    const std::vector<double> either = scores_of(with({"--either"}));
    BOOST_TEST(std::ranges::is_sorted(
        either, [](double a, double b) { return std::abs(a) > std::abs(b); }));
    for (const std::string side : {"gate", "up"}) {
        const json read = with({"--side", side, "--projection", "raw"});
        BOOST_TEST(read["side"] == side);
        BOOST_TEST(scores_of(read) != scores_of(promotes));
    }
    // A score over the norm is the score over the norm that the hit shows.
    const json normed = with({"--normalise", "norm"});
    const json unscaled = with({"--normalise", "none"});
    for (const json& hit : normed["hits"]) {
        const auto plain = std::ranges::find_if(unscaled["hits"], [&](const json& other_hit) {
            return other_hit["neuron"] == hit["neuron"];
        });
        const double expected = (*plain)["score"].get<double>() / hit["norm"].get<double>();
        BOOST_TEST(std::abs(hit["score"].get<double>() - expected) < 1e-5);
    }
}

BOOST_AUTO_TEST_CASE(like_is_a_cosine) {
    const json found = search(tiny, {"--like", "1:7", "--limit", "500", "--control", "5"});
    check_keys(found["query"], {"like", "tokens"});
    BOOST_TEST(found["query"]["like"] == "1:7");
    BOOST_TEST(found["normalise"] == "norm");
    BOOST_TEST(found["control"]["vectors"] == 10);
    BOOST_TEST(found["hits"].size() == 95U);
    for (const json& hit : found["hits"]) {
        BOOST_TEST(hit["neuron"] != "1:7");
        BOOST_TEST(std::abs(hit["score"].get<double>()) <= 1.0);
    }
}

BOOST_AUTO_TEST_CASE(an_index_gives_what_is_computed) {
    const index_file index({"--top", "12"});
    const arguments query{"--ids", "1,2", "--control", "3", "--top", "12"};
    arguments indexed = query;
    indexed.insert(indexed.end(), {"--index", index.path});
    BOOST_TEST(search(tiny, query) == search(tiny, indexed));
    const arguments plain{"concept", tiny, "1:30", "--top", "12"};
    arguments read = plain;
    read.insert(read.end(), {"--index", index.path});
    BOOST_TEST(json_of(plain) == json_of(read));

    // The file is read, and nothing is computed: a token that is changed there shows.
    const std::size_t record = 40 + (48 + 30) * 2 * 12 * 8;
    index.change(record, 77);
    BOOST_TEST(json_of(read)["promotes"][0]["id"] == 77);
    index.change(record, 1'000'000);
    const std::string known = std::to_string(json_of({"info", tiny})["vocabulary"].get<int>() - 1);
    check_refusal(read, index.path + ": index: neuron 1:30: token 1000000: expected 0 to " + known);
}

BOOST_AUTO_TEST_CASE(a_wrong_index_is_refused) {
    const auto refused = [](const index_file& index, const std::string& path,
                            const std::string& message) {
        check_refusal({"concept", path, "0:0", "--top", "2", "--index", index.path},
                      index.path + ": " + message);
        check_refusal({"search", path, "--ids", "1", "--top", "2", "--index", index.path},
                      index.path + ": " + message);
    };
    const arguments two{"--top", "2"};
    {
        const index_file index(two);
        const auto start = run_program({"concept", other, "0:0", "--index", index.path}).err;
        BOOST_TEST(
            start.starts_with("xlens: " + index.path + ": index: expected one of this model, "));
        check_refusal({"concept", tiny, "0:0", "--top", "3", "--index", index.path},
                      index.path + ": index: tokens an end: expected at least 3, got 2");
        index.change(8, 0);
        refused(index, tiny, "index: expected version 1 or 2, got 0");
    }
    {
        const index_file index(two);
        std::filesystem::resize_file(index.path, 100);
        refused(index, tiny,
                "index: 100 bytes do not hold 2 layers of 48 neurons, 2 tokens an end");
        std::filesystem::resize_file(index.path, 10);
        refused(index, tiny,
                "header at byte 0: expected 40 more bytes, got 10 before the end of the file");
    }
    {
        const index_file index({"--top", "2", "--projection", "raw"});
        refused(index, tiny, "index: projection: expected folded, got raw");
        std::ofstream(index.path) << "This is a file of text, and it is long enough to be one.";
        refused(index, tiny,
                "not an xlens index: expected it to begin with 'xlensidx', got 'This is '");
    }
}

BOOST_AUTO_TEST_CASE(a_concept_beside_random_vectors) {
    const json found = json_of({"concept", tiny, "0:3", "--top", "5", "--control", "7"});
    check_keys(found, {"neuron", "norm", "kurtosis", "promotes", "suppresses", "control", "run"});
    check_keys(found["control"], {"vectors", "seed", "promotes", "suppresses"});
    BOOST_TEST(found["control"]["vectors"] == 7);
    for (const std::string end : {"promotes", "suppresses"}) {
        check_keys(found["control"][end], {"coherence", "peak"});
        for (const std::string figure : {"coherence", "peak"}) {
            const json& values = found["control"][end][figure];
            check_keys(values, {"value", "random_mean", "random_best", "random_share"});
            BOOST_TEST(values["random_best"].get<double>() >= values["random_mean"].get<double>());
        }
    }
}

BOOST_AUTO_TEST_CASE(the_table_names_every_token_that_is_used) {
    const arguments query{"search", model, "--words", "green,xylophone", "--control", "0"};
    const auto table = run_program(query);
    BOOST_TEST(table.exit_code == 0);
    for (const std::string name :
         {"␣green", "␣Green", "Green", "(no token; its pieces)", "␣xyl", "ophone"}) {
        BOOST_TEST(table.out.find(name) != std::string::npos, name);
    }
    BOOST_TEST(table.out.find("46080 value vectors, folded projection") != std::string::npos);
    BOOST_TEST(table.err.ends_with(", seed 0\n"));
}
