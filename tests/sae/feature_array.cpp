// SPDX-License-Identifier: BSD-3-Clause
// Captured features against SAELens' formulas in PyTorch (tests/golden/make_saes.py), and their
// files: what the manifest says, shards, f16, what is refused.
#define BOOST_TEST_MODULE feature_array
#include <boost/test/unit_test.hpp>

#include <xlens/io/load.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/model/model.hpp>
#include <xlens/sae/feature_array.hpp>
#include <xlens/sae/read_sae.hpp>
#include <xlens/trace/capture.hpp>
#include <xlens/trace/merge_captures.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/safetensors_arrays.hpp"
#include "support/temporary_directory.hpp"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
namespace fs = std::filesystem;

namespace {

const nlohmann::json& golden() {
    static const nlohmann::json document = read_golden(golden_path("saes/golden.json"));
    return document;
}
const model& llama() {
    static const model m = load(golden_path("models/llama/hf"));
    return m;
}
fs::path sae_path(const std::string& name) { return golden_path("saes/" + name); }

std::vector<token_id> ids(const char* key = "ids") {
    return golden()[key].get<std::vector<token_id>>();
}
/// The golden's prompt, cut in two: the second begins anew.
capture_source halves() {
    const std::vector<token_id> all = ids();
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
    return capture_prompts("halves",
                           {{{all.begin(), middle}, "first"}, {{middle, all.end()}, "second"}});
}

capture_options features_of(const std::string& folder, const model& m = llama()) {
    capture_options out;
    out.sites = {};
    out.computed = {feature_array(read_sae(sae_path(folder)), m)};
    return out;
}

/// All activations of a prompt, beside the residual of every layer.
void check_numbers(const model& m, const std::string& folder, const char* key,
                   const std::vector<token_id>& prompt, const std::string& name) {
    const temporary_directory to;
    capture_options what = features_of(folder, m);
    what.sites = {"after"};
    what.file_bytes = 2'000;  // cut within the prompt
    capture(m, capture_prompts("one", {{prompt, "prompt"}}), what, to.path() / "out");
    const auto arrays = read_capture(to.path() / "out");
    BOOST_TEST(arrays.size() == 3 + m.config.layers + 1);
    const auto& found = arrays.at(name);
    BOOST_TEST((found.shape == std::vector<std::size_t>{prompt.size(), 40}));
    const std::vector<float> f = found.floats();
    for (std::size_t t = 0; t < prompt.size(); ++t) {
        const auto expected = golden()[key]["activations"][t].get<std::vector<float>>();
        const auto row = std::span(f).subspan(t * 40, 40);
        BOOST_TEST(max_difference(row, expected) < 2e-5 * largest_magnitude(expected),
                   folder << " " << t);
        for (std::size_t i = 0; i < expected.size(); ++i) {
            BOOST_TEST((row[i] > 0.0F) == (expected[i] > 0.0F));
        }
    }
}

std::string contents(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(captured_features_are_those_of_the_formula) {
    check_numbers(llama(), "standard", "standard", ids(), "features.after.0");
    check_numbers(llama(), "jumprelu", "jumprelu", ids(), "features.ffn_out.1");
    check_numbers(llama(), "gemma-scope-2b-pt-res/layer_0/width_40", "scope", ids(),
                  "features.after.0");
    check_numbers(llama(), "scope_2", "scope", ids(), "features.after.0");
    check_numbers(load(golden_path("models/gpt2/hf")), "centred", "centred", ids("gpt2_ids"),
                  "features.entering.1");
}

BOOST_AUTO_TEST_CASE(what_enters_a_layer_leaves_the_one_below) {
    const sparse_autoencoder sae =
        read_sae(sae_path("standard"), {.layer = 1, .site = sae_site::entering});
    const captured_array one = feature_array(sae, llama());
    BOOST_TEST(one.site->name == "after");
    BOOST_TEST(one.layer == 0U);
    const captured_array lowest = feature_array(
        read_sae(sae_path("standard"), {.layer = 0, .site = sae_site::entering}), llama());
    BOOST_TEST(lowest.site->name == "embedding");
    BOOST_TEST(lowest.name == "features.entering.0");
}

BOOST_AUTO_TEST_CASE(the_manifest_says_whose_features_they_are) {
    const temporary_directory to;
    capture(llama(), halves(), features_of("jumprelu"), to.path() / "out");
    const nlohmann::json manifest = read_golden(to.path() / "out" / "manifest.json");
    const nlohmann::json& array = manifest["arrays"][3];
    BOOST_TEST(array["name"] == "features.ffn_out.1");
    BOOST_TEST(array["site"] == "ffn_out");
    BOOST_TEST(array["layer"] == 1);
    BOOST_TEST((array["shape"] == nlohmann::json{40}));
    const nlohmann::json& by = array["computed_by"];
    BOOST_TEST(by["autoencoder"] == "jumprelu");
    BOOST_TEST(by["width"] == 32);
    BOOST_TEST(by["features"] == 40);
    BOOST_TEST(by["fingerprint"].get<std::string>().size() == 16U);
    const sparse_autoencoder other = read_sae(sae_path("standard"));
    BOOST_TEST(other.facts().fingerprint != read_sae(sae_path("jumprelu")).facts().fingerprint);

    // Another autoencoder is another capture.
    const std::string message = error_message(
        [&] { capture(llama(), halves(), features_of("standard"), to.path() / "out"); });
    BOOST_TEST(message.find("belongs to a run with arrays features.ffn_out.1") != std::string::npos,
               message);
}

BOOST_AUTO_TEST_CASE(shards_merged_are_the_whole_run_to_the_byte) {
    const temporary_directory to;
    for (const array_type type : {array_type::f32, array_type::f16}) {
        const fs::path folder = to.path() / std::to_string(static_cast<int>(type));
        capture_options what = features_of("standard");
        what.type = type;
        what.file_bytes = 1'000;
        capture(llama(), halves(), what, folder / "whole");
        for (std::size_t i = 0; i < 2; ++i) {
            what.shard = {i, 2};
            capture(llama(), halves(), what, folder / std::to_string(i));
        }
        merge_captures(std::vector{folder / "0", folder / "1"}, folder / "merged");
        std::size_t files = 0;
        for (const auto& entry : fs::directory_iterator(folder / "whole")) {
            const fs::path name = entry.path().filename();
            BOOST_TEST((contents(folder / "merged" / name) == contents(entry.path())), name);
            ++files;
        }
        BOOST_TEST(files > 2U);
    }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_captured_is_refused) {
    const temporary_directory to;
    capture_options what = features_of("standard");
    what.computed.push_back(feature_array(read_sae(sae_path("scope_2")), llama()));
    BOOST_TEST(error_message([&] { capture(llama(), halves(), what, to.path() / "out"); }) ==
               "capture: features.after.0: expected one array of this name, got two");
    what.computed.clear();
    BOOST_TEST(error_message([&] { capture(llama(), halves(), what, to.path() / "out"); }) ==
               "sites: expected at least 1, got none");
    BOOST_TEST(!fs::exists(to.path() / "out"));
    const sparse_autoencoder deep = read_sae(sae_path("standard"), {.layer = 7});
    BOOST_TEST(error_message([&] { (void)feature_array(deep, llama()); }) ==
               deep.facts().name + ": layer 7, the model has layers 0 to 1");
}
