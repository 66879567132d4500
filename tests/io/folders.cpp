// SPDX-License-Identifier: BSD-3-Clause
// Folders as people have them: other prefixes, heads tied either way, padded vocabularies, shards;
// and the ones that cannot be read, each with what to do.
#define BOOST_TEST_MODULE folders
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/temporary_directory.hpp"

#include <xlens/io/assemble.hpp>
#include <xlens/io/open_checkpoint.hpp>
#include <xlens/io/safetensors.hpp>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <ostream>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using nlohmann::json;
namespace data = boost::unit_test::data;

namespace {

struct tensor {
    std::string dtype = "F32";
    std::vector<std::size_t> shape;
    std::string bytes;
};
using tensors = std::map<std::string, tensor>;

/// A folder in memory: its tensors and its configuration may be changed, then it is written.
struct folder {
    json config;
    tensors weights;

    explicit folder(const std::string& name) {
        const auto path = golden_path(name + "/hf");
        config = read_golden(path / "config.json");
        const safetensors_file file(path / "model.safetensors");
        for (const auto& [key, t] : file.tensors()) {
            const char* dtype = t.format == format_id::f8_e4m3 ? "F8_E4M3"
                                : t.format == format_id::bf16  ? "BF16"
                                                               : "F32";
            weights[key] = {dtype, t.shape, {reinterpret_cast<const char*>(t.data), t.bytes}};
        }
        for (const auto& [key, t] : file.packed()) {
            weights[key] = {"U8", t.shape, {reinterpret_cast<const char*>(t.data), t.bytes}};
        }
    }
    void rename(const std::function<std::string(const std::string&)>& to) {
        tensors out;
        for (auto& [key, t] : weights) { out[to(key)] = std::move(t); }
        weights = std::move(out);
    }
};

void write_weights(const std::filesystem::path& path, const tensors& weights) {
    json header = json::object();
    std::string bytes;
    for (const auto& [key, t] : weights) {
        header[key] = {{"dtype", t.dtype},
                       {"shape", t.shape},
                       {"data_offsets", {bytes.size(), bytes.size() + t.bytes.size()}}};
        bytes += t.bytes;
    }
    const std::string text = header.dump();
    const std::uint64_t size = text.size();
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&size), sizeof size) << text << bytes;
}

void write(const std::filesystem::path& path, const folder& f) {
    std::filesystem::create_directories(path);
    std::ofstream(path / "config.json") << f.config;
    write_weights(path / "model.safetensors", f.weights);
}

std::vector<float> logits(const std::filesystem::path& path) {
    const checkpoint file = open_checkpoint(path);
    const transformer<> model = assemble(file);
    sequence_state state = model.start();
    model.forward(state, std::vector<token_id>{5, 42, 79, 17, 3});
    return {state.logits.begin(), state.logits.end()};
}
std::vector<float> logits(const folder& f) {
    const temporary_directory place;
    write(place.path() / "model", f);
    return logits(place.path() / "model");
}
std::string refusal(const std::filesystem::path& path) {
    return error_message([&] { (void)logits(path); });
}
std::string refusal(const folder& f) {
    return error_message([&] { (void)logits(f); });
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != text.npos;
}

/// One of each way to name things.
const std::vector<std::string> prefixed = {"llama_tied", "gpt_neo", "bloom",  "mpt", "opt",
                                           "phi",        "falcon",  "gemma2", "glm4"};

}  // namespace

BOOST_DATA_TEST_CASE(a_folder_without_the_first_part_of_names_is_read, data::make(prefixed), name) {
    folder f("families/" + name);
    const auto expected = logits(f);
    f.rename([](const std::string& key) {
        return key.starts_with("lm_head") ? key : key.substr(key.find('.') + 1);
    });
    BOOST_TEST(logits(f) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_text_model_inside_another_is_read) {
    folder f("families/gemma3_text");
    const auto expected = logits(f);
    folder outer = f;
    outer.rename([](const std::string& key) { return "language_model." + key; });
    BOOST_TEST(logits(outer) == expected, boost::test_tools::per_element());
    f.rename([](const std::string& key) {
        return key.starts_with("model.") ? "model.language_model." + key.substr(6) : key;
    });
    BOOST_TEST(logits(f) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_tied_head_may_be_stored_either_way) {
    folder f("families/llama_tied");
    const auto expected = logits(f);
    f.weights["lm_head.weight"] = f.weights.at("model.embed_tokens.weight");
    BOOST_TEST(logits(f) == expected, boost::test_tools::per_element());
    f.weights.erase("model.embed_tokens.weight");
    BOOST_TEST(logits(f) == expected, boost::test_tools::per_element());
    f.weights.erase("lm_head.weight");
    BOOST_TEST(contains(refusal(f), "'model.embed_tokens.weight': expected by llama, got no such"));
}

/// Tied by their class, where config.json does not say.
const std::vector<std::string> tied_by_class = {
    "bloom",   "cohere", "cohere2", "falcon",  "gemma",      "gemma2",  "gemma3_text",
    "gpt_neo", "mpt",    "opt",     "smollm3", "starcoder2", "ernie4_5"};

BOOST_DATA_TEST_CASE(a_head_is_tied_where_the_class_ties_it, data::make(tied_by_class), name) {
    folder f("families/" + name);
    const auto expected = logits(f);
    f.config.erase("tie_word_embeddings");
    BOOST_TEST(logits(f) == expected, boost::test_tools::per_element());
}

// transformers does not tie what a file has twice and differently.
BOOST_AUTO_TEST_CASE(a_head_of_its_own_is_the_head_though_the_file_says_tied) {
    folder f("families/llama_bias");
    const auto expected = logits(f);
    f.config["tie_word_embeddings"] = true;
    BOOST_TEST(logits(f) == expected, boost::test_tools::per_element());
    f.config["tie_word_embeddings"] = false;
    f.weights.erase("lm_head.weight");
    BOOST_TEST(contains(refusal(f), "'lm_head.weight': expected by llama, got no such tensor"));
    f.config.erase("tie_word_embeddings");  // the class of llama says: not tied
    BOOST_TEST(contains(refusal(f), "'lm_head.weight': expected by llama, got no such tensor"));
}

BOOST_AUTO_TEST_CASE(shards_are_read_as_the_whole) {
    const folder f("families/llama_bias");
    const auto expected = logits(f);
    const temporary_directory place;
    const auto path = place.path() / "model";
    write(path, f);
    std::filesystem::remove(path / "model.safetensors");
    tensors parts[2];
    json index = {{"weight_map", json::object()}};
    std::size_t n = 0;
    for (const auto& [key, t] : f.weights) {
        index["weight_map"][key] = n % 2 == 0 ? "a.safetensors" : "b.safetensors";
        parts[n++ % 2][key] = t;
    }
    write_weights(path / "a.safetensors", parts[0]);
    write_weights(path / "b.safetensors", parts[1]);
    std::ofstream(path / "model.safetensors.index.json") << index;
    BOOST_TEST(logits(path) == expected, boost::test_tools::per_element());
    std::filesystem::remove(path / "b.safetensors");
    BOOST_TEST(contains(refusal(path), "shard 'b.safetensors' is not in the folder"));
}

BOOST_AUTO_TEST_CASE(weights_of_another_type_are_named) {
    folder f("families/llama_bias");
    tensor& t = f.weights.at("model.layers.1.mlp.up_proj.weight");
    t.dtype = "I8";
    t.bytes.resize(t.bytes.size() / 4);
    BOOST_TEST(contains(refusal(f),
                        "tensor 'model.layers.1.mlp.up_proj.weight': dtype I8 is not "
                        "supported: expected F32, F16, BF16, F8_E4M3 or F8_E5M2"));
}

BOOST_AUTO_TEST_CASE(packed_weights_are_named_where_no_configuration_tells) {
    folder f("families/llama_bias");
    tensor t = f.weights.at("model.layers.0.self_attn.q_proj.weight");
    f.weights.erase("model.layers.0.self_attn.q_proj.weight");
    t.dtype = "I32";
    f.weights["model.layers.0.self_attn.q_proj.qweight"] = t;
    BOOST_TEST(contains(refusal(f),
                        "got 'model.layers.0.self_attn.q_proj.qweight' in I32: weights "
                        "that another library has quantised"));
}

BOOST_AUTO_TEST_CASE(quantised_folders_are_named_by_their_method) {
    for (const char* method : {"gptq", "awq", "bitsandbytes", "fbgemm_fp8", "compressed-tensors"}) {
        folder f("families/llama_bias");
        f.config["quantization_config"] = {{"quant_method", method}};
        f.weights.begin()->second.dtype = "F8_E4M3";  // nor is it read before that is said
        BOOST_TEST(
            contains(refusal(f), std::string("quantised (\"") + method + "\"), which xlens"));
    }
}

BOOST_AUTO_TEST_CASE(other_weights_are_named_with_what_to_do) {
    const std::pair<const char*, const char*> cases[] = {
        {"pytorch_model.bin", "pytorch_model.bin: expected model.safetensors: convert it first"},
        {"pytorch_model.bin.index.json", "index.json: expected model.safetensors: convert it"},
        {"model.pt", "model.pt: expected model.safetensors: convert it first"},
        {"consolidated.00.pth", "consolidated.00.pth: expected model.safetensors: convert it"},
        {"adapter_model.safetensors", "a LoRA adapter without its model: merge it into that first"},
        {"model.gguf", "model.gguf: expected model.safetensors: give the path of the .gguf file"},
        {"consolidated.safetensors",
         "expected model.safetensors, or an index that names the files"},
    };
    for (const auto& [name, message] : cases) {
        const temporary_directory place;
        const folder f("families/llama_bias");
        const auto path = place.path() / "model";
        write(path, f);
        std::filesystem::rename(path / "model.safetensors", path / name);
        BOOST_TEST(contains(refusal(path), message), refusal(path));
    }
    const temporary_directory adapter;
    (void)adapter.write("adapter_config.json", "{}");
    (void)adapter.write("adapter_model.safetensors", "");
    BOOST_TEST(contains(refusal(adapter.path()), "a LoRA adapter without its model"));
}

BOOST_AUTO_TEST_CASE(a_padded_vocabulary_is_read) {
    folder f("families/llama_tied");
    const auto few = logits(f);
    tensor& table = f.weights.at("model.embed_tokens.weight");
    table.shape[0] += 32;
    table.bytes.resize(table.shape[0] * table.shape[1] * sizeof(float));
    f.config["vocab_size"] = table.shape[0];
    const auto many = logits(f);
    BOOST_TEST(many.size() == few.size() + 32);
    BOOST_TEST(std::equal(few.begin(), few.end(), many.begin()));
}

BOOST_AUTO_TEST_CASE(tensors_that_nothing_reads_are_named) {
    folder f("families/llama_tied");
    tensor extra{"F32", {16}, std::string(64, '\0')};
    f.weights["model.layers.0.self_attn.q_norm.weight"] = extra;
    BOOST_TEST(contains(refusal(f), "'model.layers.0.self_attn.q_norm.weight': no part of llama"));
    f.weights.erase("model.layers.0.self_attn.q_norm.weight");
    f.weights["model.layers.0.post_feedforward_layernorm.weight"] = extra;
    BOOST_TEST(contains(refusal(f), "post_feedforward_layernorm.weight': no part of llama reads"));
    f.weights.erase("model.layers.0.post_feedforward_layernorm.weight");
    f.weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = extra;
    BOOST_TEST(refusal(f) == "(no error)");
}

const std::string query = "model.layers.0.self_attn.q_proj.weight";

BOOST_AUTO_TEST_CASE(floats_of_8_bits_without_scales_are_what_their_codes_say) {
    folder f("families/llama_f8_block");
    f.config.erase("quantization_config");
    std::erase_if(f.weights, [](const auto& w) { return w.first.ends_with("_scale_inv"); });
    folder plain = f;
    for (auto& [key, t] : plain.weights) {
        if (t.dtype != "F8_E4M3") { continue; }
        std::vector<float> values(t.bytes.size());
        row_format_of(format_id::f8_e4m3)
            .decode(reinterpret_cast<const std::byte*>(t.bytes.data()), values);
        t = {"F32",
             t.shape,
             {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}};
    }
    BOOST_TEST(logits(f) == logits(plain), boost::test_tools::per_element());
}

// What is wrong with a folder, and what is said of it.
BOOST_AUTO_TEST_CASE(scales_are_applied_or_the_folder_is_refused) {
    struct wrong {
        const char* kind;
        std::function<void(folder&)> change;
        std::string message;
    };
    const auto shaped = [](folder& f, std::vector<std::size_t> shape) {
        tensor& t = f.weights.at(query + "_scale_inv");
        std::size_t count = 4;
        for (const std::size_t n : shape) { count *= n; }
        t = {"F32", std::move(shape), std::string(count, '\0')};
    };
    const auto set = [](const char* key, json value) {
        return [key, value](folder& f) { f.config["quantization_config"][key] = value; };
    };
    const auto set_weights = [](const char* key, json value) {
        return [key, value](folder& f) {
            f.config["quantization_config"]["config_groups"]["group_0"]["weights"][key] = value;
        };
    };
    const wrong cases[] = {
        {"block", [](folder& f) { f.weights.erase(query + "_scale_inv"); },
         query + ": F8_E4M3 without scales: expected a tensor '" + query +
             "_scale_inv' in F32, F16 or BF16, got none"},
        {"block",
         [](folder& f) {
             f.weights.at(query + "_scale_inv") = {"U8", {2, 1}, std::string(2, '\x7f')};
         },
         "_scale_inv' in F32, F16 or BF16, got U8"},
        {"block",
         [&](folder& f) {
             shaped(f, {1, 2});
         },
         query + "_scale_inv: expected scales (2, 1), got (1, 2)"},
        {"block",
         [&](folder& f) {
             shaped(f, {3, 1});
         },
         "expected scales (2, 1), got (3, 1)"},
        {"block", [](folder& f) { f.config.erase("quantization_config"); },
         "_scale_inv': no part of llama reads it"},
        {"block",
         [](folder& f) {
             f.weights["model.norm.weight_scale_inv"] = {"F32", {1}, std::string(4, '\0')};
         },
         "'model.norm.weight_scale_inv': no part of llama reads it"},
        {"block", [](folder& f) { f.weights.at(query).dtype = "F8_E5M2"; },
         query + ": expected F8_E4M3 for weights with scales, got F8_E5M2"},
        {"block", set("weight_block_size", {16, 16}),
         "expected scales of a multiple of 32 columns, got 16"},
        {"block", set("weight_block_size", {0, 32}),
         "weight_block_size: expected two sizes from 1 to 2^32, got [0, 32]"},
        {"block", set("weight_block_size", {32}), "expected two sizes from 1 to 2^32, got [32]"},
        {"block", set("weight_block_size", nullptr), "expected scales (1, 1), got ("},
        {"block", set("activation_scheme", "static"),
         "activation_scheme: expected \"dynamic\", got \"static\""},
        {"block", set("fmt", "e5m2"), "fmt: expected \"e4m3\", got \"e5m2\""},
        {"block", set("rotation", "hadamard"),
         "quantization_config: rotation: a key of quantised weights that xlens does not know"},
        {"channel",
         [](folder& f) {
             f.weights[query.substr(0, query.rfind('.')) + ".input_scale"] = {
                 "F32", {1}, std::string(4, '\0')};
         },
         "q_proj.input_scale': no part of llama reads it"},
        {"channel", set("kv_cache_scheme", {{"num_bits", 8}}),
         "kv_cache_scheme: expected null, got "},
        {"channel", set("format", "pack-quantized"), "which xlens does not read"},
        {"channel", set("sparsity_config", {{"format", "sparse-24-bitmask"}}),
         "format: expected \"dense\", got \"sparse-24-bitmask\""},
        {"channel", set("config_groups", json::object()), "config_groups: expected a group"},
        {"channel",
         [](folder& f) {
             f.config["quantization_config"]["config_groups"]["group_0"]["input_activations"]
                     ["dynamic"] = false;
         },
         "input_activations.dynamic: expected true, got false"},
        {"channel", set_weights("num_bits", 4), "num_bits: expected 8, got 4"},
        {"channel", set_weights("symmetric", false), "symmetric: expected true, got false"},
        {"channel", set_weights("strategy", "group"),
         "strategy: expected \"tensor\", \"channel\" or \"block\", got group"},
        {"channel", set_weights("strategy", "tensor"), "expected scales (1, 1), got ("},
        {"tensor", set_weights("strategy", "channel"), "expected scales ("},
    };
    for (const wrong& c : cases) {
        folder f(std::string("families/llama_f8_") + c.kind);
        BOOST_TEST(refusal(f) == "(no error)");
        c.change(f);
        const std::string said = refusal(f);
        BOOST_TEST(contains(said, c.message), said << "\n  expected: " << c.message);
    }
}

BOOST_AUTO_TEST_CASE(experts_in_mxfp4_are_read_or_the_folder_is_refused) {
    const std::string down = "model.layers.1.mlp.experts.down_proj";
    struct wrong {
        std::function<void(folder&)> change;
        std::string message;
    };
    const wrong cases[] = {
        {[&](folder& f) { f.weights.erase(down + "_scales"); },
         down + "_blocks: expected '" + down + "_scales' in U8, got no such tensor"},
        {[&](folder& f) { f.weights.erase(down + "_blocks"); },
         "tensor '" + down + ".weight': expected by gpt_oss, got "},
        {[&](folder& f) {
             f.weights.at(down + "_scales").shape = {4, 32, 1, 1};
         },
         down + "_scales: expected (4, 32, 1), got (4, 32, 1, 1)"},
        {[&](folder& f) {
             f.weights.at(down + "_blocks").shape = {4, 32, 2, 8};
         },
         down + "_blocks: expected (experts, rows, blocks, 16), got (4, 32, 2, 8)"},
        {[&](folder& f) { f.weights.at(down + "_scales").bytes[5] = '\xFF'; },
         down + "_scales: expected exponents up to 254, got 255, which is no number"},
        {[&](folder& f) { f.weights.erase(down + "_bias"); },
         down + ".bias': expected by gpt_oss, got no such tensor"},
        {[&](folder& f) { f.weights.erase("model.layers.2.self_attn.sinks"); },
         "model.layers.2.self_attn.sinks.weight': expected by gpt_oss, got no such tensor"},
        {[](folder& f) { f.config.erase("quantization_config"); },
         "experts that are not in MXFP4, which xlens reads from GGUF files alone"},
        {[](folder& f) { f.config["quantization_config"]["rotation"] = 1; },
         "rotation: a key of quantised weights that xlens does not know"},
        {[](folder& f) { f.config["quantization_config"]["quant_method"] = "awq"; },
         "quantised (\"awq\"), which xlens does not read"},
        {[](folder& f) { f.config["hidden_act"] = "gelu"; },
         "hidden_act: expected silu, got 'gelu'"},
        {[](folder& f) { f.config.erase("rope_parameters"); },
         "rope_parameters: expected a kind of rotation, got none"},
    };
    for (const wrong& c : cases) {
        folder f("families/gpt_oss");
        BOOST_TEST(refusal(f) == "(no error)");
        c.change(f);
        const std::string said = refusal(f);
        BOOST_TEST(contains(said, c.message), said << "\n  expected: " << c.message);
    }
}
