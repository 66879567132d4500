// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE read_sae
#include <boost/test/unit_test.hpp>

#include <xlens/hooks/policy.hpp>
#include <xlens/sae/read_sae.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/json_document.hpp"
#include "support/temporary_directory.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

using namespace xlens;
using namespace xlens::test;

namespace {

std::filesystem::path sae_path(const std::string& name) { return golden_path("saes/" + name); }
constexpr const char* scope = "gemma-scope-2b-pt-res/layer_0/width_40";

std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// What is said of a golden's folder whose config has this in the place of that.
std::string refused(const std::string& name, const std::string& that, const std::string& text) {
    const temporary_directory folder;
    for (const auto& file : std::filesystem::directory_iterator(sae_path(name))) {
        std::string bytes = bytes_of(file.path());
        if (file.path().extension() == ".json") {
            BOOST_REQUIRE(bytes.find(that) != std::string::npos);
            bytes.replace(bytes.find(that), that.size(), text);
        }
        folder.write(file.path().filename(), bytes);
    }
    const std::string message = error_message([&] { read_sae(folder.path()); });
    const std::string begin = folder.path().string() + "/";
    return message.starts_with(begin) ? message.substr(begin.size()) : message;
}

}  // namespace

BOOST_AUTO_TEST_CASE(folders_say_what_they_are) {
    const sparse_autoencoder standard = read_sae(sae_path("standard"));
    BOOST_TEST(standard.width() == 32);
    BOOST_TEST(standard.features() == 40);
    BOOST_TEST(standard.facts().architecture == "standard");
    BOOST_TEST(standard.facts().model == "xlens/llama");
    BOOST_TEST(standard.facts().subtracts_bias);
    BOOST_TEST((standard.facts().place == sae_place{0, sae_site::after}));
    const sparse_autoencoder jumps = read_sae(sae_path("jumprelu"));
    BOOST_TEST(jumps.facts().architecture == "jumprelu");
    BOOST_TEST(!jumps.facts().subtracts_bias);
    BOOST_TEST((jumps.facts().place == sae_place{1, sae_site::ffn_out}));
    BOOST_TEST(read_sae(sae_path("centred")).facts().centred);
    for (const char* name : {scope, "scope_2"}) {
        const sparse_autoencoder sae = read_sae(sae_path(name));
        BOOST_TEST(sae.facts().architecture == "jumprelu");
        BOOST_TEST(!sae.facts().subtracts_bias);
        BOOST_TEST((sae.facts().place == sae_place{0, sae_site::after}));
    }
    const sae_override other{.layer = 1, .site = sae_site::before};
    BOOST_TEST((read_sae(sae_path(scope), other).facts().place == sae_place{1, sae_site::before}));
}

// A copy of these alone is read.
BOOST_AUTO_TEST_CASE(an_autoencoder_is_of_these_files) {
    for (const char* name : {"standard", scope, "scope_2"}) {
        const temporary_directory folder;
        const auto files = sae_files(sae_path(name));
        for (const auto& file : files) {
            std::filesystem::copy(file, folder.path() / file.filename());
        }
        const sae_override place{.layer = 0, .site = sae_site::after};
        BOOST_TEST(read_sae(folder.path(), place).features() == 40);
        for (const auto& file : files) {  // and without any of them it is not
            const auto copy = folder.path() / file.filename();
            std::filesystem::rename(copy, folder.path() / "away");
            BOOST_TEST(error_message([&] { (void)read_sae(folder.path(), place); }) !=
                       "(no error)");
            std::filesystem::rename(folder.path() / "away", copy);
        }
    }
    const temporary_directory empty;
    BOOST_TEST(error_message([&] { (void)sae_files(empty.path()); }) ==
               error_message([&] { (void)read_sae(empty.path()); }));
}

// One number that is none among the directions would leave a search without a single score.
BOOST_AUTO_TEST_CASE(a_weight_that_is_no_number_is_named) {
    const temporary_directory folder;
    for (const auto& file : sae_files(sae_path("standard"))) {
        std::filesystem::copy(file, folder.path() / file.filename());
    }
    std::string bytes = bytes_of(folder.path() / "sae_weights.safetensors");
    std::uint64_t size = 0;  // of the header
    std::memcpy(&size, bytes.data(), sizeof size);
    const std::size_t data = sizeof size + static_cast<std::size_t>(size);
    const auto begin = json_document(bytes.substr(
        sizeof size, static_cast<std::size_t>(size)))["W_dec"]["data_offsets"][0]
                           .get<std::size_t>();
    constexpr std::size_t width = 32;
    const float none = NAN;
    std::memcpy(&bytes[data + begin + (5 * width + 9) * sizeof none], &none, sizeof none);
    folder.write("sae_weights.safetensors", bytes);
    BOOST_TEST(
        error_message([&] { (void)read_sae(folder.path()); }).ends_with("W_dec(5, 9) is nan"));
}

BOOST_AUTO_TEST_CASE(places_have_names) {
    BOOST_TEST((place_of_hook("blocks.12.hook_resid_pre") == sae_place{12, sae_site::entering}));
    BOOST_TEST((place_of_hook("blocks.3.hook_attn_out") == sae_place{3, sae_site::attention_out}));
    for (const char* name : {"", "blocks.", "blocks.1", "blocks.x.hook_resid_pre", "hook_embed",
                             "blocks.1.attn.hook_z", "blocks.12345678.hook_resid_pre"}) {
        BOOST_TEST(!place_of_hook(name).has_value(), name);
    }
    BOOST_TEST((place_of_module("model.layers.5.post_feedforward_layernorm.output") ==
                sae_place{5, sae_site::ffn_out}));
    BOOST_TEST(!place_of_module("model.layers.5.pre_feedforward_layernorm.output").has_value());
    BOOST_TEST((find_sae_site(name_of(sae_site::ffn_out)) == sae_site::ffn_out));
}

BOOST_AUTO_TEST_CASE(what_would_change_the_numbers_is_refused_by_name) {
    BOOST_TEST(refused("standard", "\"standard\"", "\"topk\"") ==
               "cfg.json: architecture: expected standard or jumprelu, got topk");
    BOOST_TEST(refused("standard", "\"none\"", "\"layer_norm\"") ==
               "cfg.json: normalize_activations: layer_norm is not supported");
    BOOST_TEST(refused("standard", "\"relu\"", "\"tanh-relu\"") ==
               "cfg.json: activation_fn_str: tanh-relu is not supported");
    BOOST_TEST(refused("standard", "\"finetuning_scaling_factor\": false",
                       "\"finetuning_scaling_factor\": true") ==
               "cfg.json: finetuning_scaling_factor: true is not supported");
    BOOST_TEST(refused("standard", "\"hook_head_index\": null", "\"hook_head_index\": 3") ==
               "cfg.json: hook_head_index: 3 is not supported");
    BOOST_TEST(refused("standard", "hook_resid_post", "attn.hook_z") ==
               "cfg.json: hook_name: expected blocks.L.hook_ and resid_pre, resid_mid, "
               "resid_post, attn_out or mlp_out, got 'blocks.0.attn.hook_z'");
    BOOST_TEST(refused("standard", "\"hook_layer\": 0", "\"hook_layer\": 3") ==
               "cfg.json: hook_layer: 3, but hook_name is blocks.0.hook_resid_post");
    BOOST_TEST(
        refused("jumprelu", "\"architecture\": \"jumprelu\"", "\"architecture\": \"standard\"") ==
        "sae_weights.safetensors: threshold: a tensor that is not supported");
    BOOST_TEST(
        refused("standard", "\"architecture\": \"standard\"", "\"architecture\": \"jumprelu\"") ==
        "sae_weights.safetensors: threshold: no such tensor");
    BOOST_TEST(refused("centred", "center_writing_weights", "rotary_magic") ==
               "cfg.json: model_from_pretrained_kwargs: rotary_magic is not supported");
    BOOST_TEST(refused("scope_2", "\"type\": \"sae\"", "\"type\": \"transcoder\"") ==
               "config.json: type: transcoder is not supported");
    BOOST_TEST(refused("scope_2", "\"affine_connection\": false", "\"affine_connection\": true") ==
               "config.json: affine_connection: true is not supported");
    BOOST_TEST(
        refused("scope_2", "out\": \"model.layers.0.output", "out\": \"model.layers.1.output") ==
        "config.json: hf_hook_point_out: expected model.layers.0.output, as "
        "hf_hook_point_in, got model.layers.1.output");
}

BOOST_AUTO_TEST_CASE(folders_without_a_place_ask_for_one) {
    const temporary_directory folder;
    folder.write("params.npz", bytes_of(sae_path(scope) / "params.npz"));
    const std::string name = folder.path().string();
    BOOST_TEST(error_message([&] { read_sae(folder.path()); }) ==
               name + ": its layer is not in its path; give the layer");
    BOOST_TEST(error_message([&] { read_sae(folder.path(), {.layer = 0}); }) ==
               name + ": its site is not in its path; give the site");
    const temporary_directory empty;
    BOOST_TEST(error_message([&] { read_sae(empty.path()); }) ==
               empty.path().string() +
                   ": expected an autoencoder's folder, with cfg.json, params.npz or "
                   "params.safetensors; got none of them");
}

BOOST_AUTO_TEST_CASE(autoencoders_of_other_models_are_refused) {
    const sparse_autoencoder sae = read_sae(sae_path("jumprelu"));
    const std::string name = sae.facts().name;
    BOOST_TEST(error_message([&] { sae.check(model_sizes{2, 32, 48, 288}); }) == "(no error)");
    BOOST_TEST(error_message([&] {
                   sae.check(model_sizes{2, 64, 48, 288});
               }) == name + ": width 32, the model has 64");
    BOOST_TEST(error_message([&] {
                   sae.check(model_sizes{1, 32, 48, 288});
               }) == name + ": layer 1, the model has layers 0 to 0");
}
