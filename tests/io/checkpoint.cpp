// SPDX-License-Identifier: BSD-3-Clause
// Models whose parts do not fit together: every one refused, by name, before any compute.
#define BOOST_TEST_MODULE checkpoint
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/error_message.hpp"
#include "support/gguf_builder.hpp"
#include "support/golden.hpp"
#include "support/json_document.hpp"
#include "support/temporary_directory.hpp"

#include <xlens/io/assemble.hpp>
#include <xlens/io/load.hpp>
#include <xlens/io/open_checkpoint.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using nlohmann::json;
namespace data = boost::unit_test::data;

namespace {

/// A good folder of tests/golden/models with a changed config.json.
struct bad_config {
    std::string model;
    std::string change;  // a JSON merge patch
    std::string message;
    friend std::ostream& operator<<(std::ostream& out, const bad_config& c) {
        return out << c.model << ' ' << c.change;
    }
};

const std::vector<bad_config> bad_configs = {
    {"llama", R"({"model_type": "martian"})", ", got 'martian'"},
    {"llama", R"({"model_type": "bert"})",
     "model_type: bert: an encoder, whose attention sees later positions, which xlens does not "
     "compute"},
    {"llama", R"({"model_type": "deepseek_v3"})", "deepseek_v3: keys and values behind a low rank"},
    {"llama", R"({"model_type": "qwen3_5"})", "qwen3_5: layers of linear attention"},
    {"llama", R"({"model_type": "gemma4"})", "gemma4: embeddings in every layer"},
    {"llama", R"({"model_type": "gemma3"})", "gemma3: images beside texts"},
    {"llama", R"({"model_type": "mamba"})", "mamba: no attention, but a state"},
    {"llama", R"({"model_type": "t5"})", "t5: a model with an encoder"},
    {"llama", R"({"model_type": "gpt_oss"})",
     "experts that are not in MXFP4, which xlens reads from GGUF files alone"},
    {"llama", R"({"model_type": null})", "model_type: expected a string, got"},
    {"llama", R"({"num_hidden_layers": 0})", "num_hidden_layers: expected 1 to 4096, got 0"},
    {"llama", R"({"num_hidden_layers": -1})",
     "num_hidden_layers: expected an integer of at least 0, got -1"},
    {"llama", R"({"num_hidden_layers": 5000})", "num_hidden_layers: expected 1 to 4096, got 5000"},
    {"llama", R"({"num_hidden_layers": 3})",
     "tensor 'model.layers.2.input_layernorm.weight': expected by llama, got no such tensor"},
    {"llama", R"({"hidden_size": 0})", "hidden_size: expected 1 to 1048576, got 0"},
    {"llama", R"({"hidden_size": 64})", "expected (64), got (32)"},
    {"llama", R"({"hidden_size": "32"})",
     "hidden_size: expected an integer of at least 0, got '32'"},
    {"llama", R"({"intermediate_size": 40})",
     "mlp.gate_proj.weight: expected (40, 32), got (48, 32)"},
    {"llama", R"({"num_attention_heads": 0})", "num_attention_heads: expected 1 to 1048576, got 0"},
    {"llama", R"({"num_attention_heads": 5, "head_dim": null})",
     "heads: 5 do not divide the width 32"},
    {"llama", R"({"num_key_value_heads": 3})", "key-value heads: 3 do not divide the 4 heads"},
    {"llama", R"({"num_key_value_heads": 8})", "key-value heads: 8 do not divide the 4 heads"},
    {"llama", R"({"num_key_value_heads": 0})", "num_key_value_heads: expected 1 to 1048576, got 0"},
    {"llama", R"({"vocab_size": 289})",
     "model.embed_tokens.weight: expected (289, 32), got (288, 32)"},
    {"llama", R"({"vocab_size": 4294967296})",
     "vocab_size: expected 1 to 134217728, got 4294967296"},
    {"llama", R"({"max_position_embeddings": 0})",
     "max_position_embeddings: expected 1 to 268435456, got 0"},
    {"llama", R"({"head_dim": 7})",
     "rotated dimensions: expected an even number up to the head size 7, got 7"},
    {"llama", R"({"hidden_act": "quick_gelu"})",
     "hidden_act: expected silu, gelu, gelu_new, gelu_pytorch_tanh or relu, got 'quick_gelu'"},
    {"llama", R"({"rms_norm_eps": -1e-5})", "rms_norm_eps: expected 0 to 1, got -1e-05"},
    {"llama", R"({"rope_theta": 0})", "rope_theta: expected a positive number, got 0"},
    {"llama", R"({"rope_scaling": {"rope_type": "spiral", "factor": 4.0}})",
     "rope_type: expected default, linear, dynamic, llama3, yarn or longrope, got 'spiral'"},
    {"llama", R"({"rope_scaling": {"rope_type": "linear", "factor": 0.0}})",
     "factor: expected a positive number, got 0"},
    {"llama", R"({"rope_scaling": [1]})", "rope_scaling: expected an object, got an array"},
    {"qwen2", R"({"layer_types": ["full_attention"]})", "layer_types: expected 2 layers, got 1"},
    {"qwen2", R"({"layer_types": ["full_attention", "linear_attention"]})",
     "layer_types: expected full_attention or sliding_attention, got 'linear_attention'"},
    {"llama", R"({"quantization_config": {"quant_method": "gptq"}})",
     "quantization_config: weights that another library has quantised (\"gptq\"), which xlens does "
     "not read: take a folder in F32, F16, BF16 or F8, or a GGUF file"},
    {"llama", R"({"num_hidden_layers": 1})",
     "no part of llama reads it; a model of another kind, or of more layers than 1?"},
    {"qwen2", R"({"tie_word_embeddings": false})",
     "tensor 'lm_head.weight': expected by qwen2, got no such tensor"},
    {"gpt2", R"({"scale_attn_by_inverse_layer_idx": true})",
     "scale_attn_by_inverse_layer_idx: scores divided by the layer's number, which xlens does not "
     "compute: expected false, got true"},
    {"mistral", R"({"sliding_window": 0})", "sliding_window: expected 1 to 268435456, got 0"},
    {"gpt2", R"({"activation_function": 3})", "activation_function: expected a string, got 3"},
    {"gpt2", R"({"n_positions": 50})", "transformer.wpe.weight: expected (50, 32), got (40, 32)"},
    {"gpt2", R"({"n_inner": 64})", "mlp.c_fc.weight: expected (32, 64), got (32, 128)"},
    {"gpt_neox", R"({"rotary_pct": 1.5})", "rotary_pct: expected above 0 and up to 1, got 1.5"},
    {"wikilm", R"({"adaptive_cutoffs": [160, 60]})",
     "adaptive_cutoffs: expected rising numbers up to the vocabulary 300, got 60"},
    {"wikilm", R"({"adaptive_cutoffs": []})",
     "adaptive_cutoffs: expected at least one token count, got none"},
    {"wikilm", R"({"adaptive_cutoffs": null})",
     "adaptive_cutoffs: expected an array of integers of at least 0, got no such key"},
    {"wikilm", R"({"adaptive_cutoffs": [60, 160.5]})",
     "adaptive_cutoffs: expected an array of integers of at least 0, got 160.5"},
    {"wikilm", R"({"pad_token_id": 300})", "pad_token_id: token 300: expected 0 to 299"},
    {"wikilm", R"({"hidden_size": 2, "num_attention_heads": 1})",
     "width: expected an even number of at least 4 for sines and cosines, got 2"},
    {"wikilm", R"({"adaptive_cutoffs": [60, 161]})",
     "decoder.embed_tokens.embeddings.1.0.weight: expected (101, 8), got (100, 8)"},
    {"qwen3", R"({"head_dim": 8})", "self_attn.q_proj.weight: expected (32, 32), got (64, 32)"},
};

/// What opening and assembling the model says.
std::string refusal(const std::filesystem::path& path) {
    return error_message([&] {
        const checkpoint file = open_checkpoint(path);
        (void)assemble(file);
    });
}

void check_refusal(const std::filesystem::path& path, const std::string& expected) {
    const std::string message = refusal(path);
    BOOST_TEST(message.find(expected) != std::string::npos,
               "expected '" << expected << "' in '" << message << "'");
    BOOST_TEST(message.find('\n') == std::string::npos);
    BOOST_TEST(message.find(path.filename().string()) != std::string::npos, message);
}

using tensor_list = std::vector<std::pair<std::string, std::vector<std::uint64_t>>>;

/// The file with f32 tensors of zeros, dimensions fastest first.
std::string bytes_with(gguf_builder file, const tensor_list& tensors) {
    std::uint64_t offset = 0;
    for (const auto& [name, dims] : tensors) {
        file.tensor(name, dims, 0, offset);
        std::uint64_t bytes = 4;
        for (const auto d : dims) { bytes *= d; }
        offset += (bytes + 31) / 32 * 32;
    }
    return file.data(offset).bytes();
}

/// A small llama GGUF: 1 layer, D 4, F 8, 2 heads, V 5; one part may be changed.
struct llama_file {
    std::uint32_t layers = 1;
    std::uint32_t width = 4;
    std::uint32_t inner = 8;
    std::uint32_t heads = 2;
    std::string architecture = "llama";
    std::function<void(gguf_builder&)> more = [](gguf_builder&) {};

    [[nodiscard]] std::string bytes() const {
        using b = gguf_builder;
        b file;
        file.text("general.architecture", architecture);
        const auto key = [&](const char* name, std::uint32_t value) {
            file.key(architecture + "." + name, b::u32, value);
        };
        key("block_count", layers);
        key("embedding_length", width);
        key("feed_forward_length", inner);
        key("attention.head_count", heads);
        key("context_length", 16);
        file.key(architecture + ".attention.layer_norm_rms_epsilon", b::f32, 1e-5F);
        more(file);
        return bytes_with(std::move(file), {{"token_embd.weight", {4, 5}},
                                            {"output_norm.weight", {4}},
                                            {"blk.0.attn_norm.weight", {4}},
                                            {"blk.0.attn_q.weight", {4, 4}},
                                            {"blk.0.attn_k.weight", {4, 4}},
                                            {"blk.0.attn_v.weight", {4, 4}},
                                            {"blk.0.attn_output.weight", {4, 4}},
                                            {"blk.0.ffn_norm.weight", {4}},
                                            {"blk.0.ffn_gate.weight", {4, 8}},
                                            {"blk.0.ffn_up.weight", {4, 8}},
                                            {"blk.0.ffn_down.weight", {8, 4}}});
    }
};

/// A small wikilm GGUF: 1 layer, D 4, F 8, 2 heads, V 12 in clusters of 5, 3 and 4 tokens with
/// widths 4, 2 and 1. Keys and tensors may be changed; `without` names a key to leave out.
struct wikilm_file {
    std::vector<std::uint32_t> cutoffs = {5, 8};
    std::uint32_t width = 4;
    std::string without = {};
    std::function<void(gguf_builder&)> more = [](gguf_builder&) {};
    bool final_norm = true;
    tensor_list embedding = {
        {"token_embd.0.weight", {4, 5}},      {"token_embd.1.weight", {2, 3}},
        {"token_embd.2.weight", {1, 4}},      {"token_embd_proj.0.weight", {4, 4}},
        {"token_embd_proj.1.weight", {2, 4}}, {"token_embd_proj.2.weight", {1, 4}},
        {"output_classes.weight", {4, 2}}};

    [[nodiscard]] std::string bytes() const {
        gguf_builder file;
        file.text("general.architecture", "wikilm");
        const std::vector<std::pair<std::string, std::uint32_t>> counts = {
            {"vocab_size", 12},         {"block_count", 1},          {"embedding_length", width},
            {"feed_forward_length", 8}, {"attention.head_count", 2}, {"context_length", 16}};
        for (const auto& [name, value] : counts) {
            if (name != without) { file.key("wikilm." + name, gguf_builder::u32, value); }
        }
        if (without != "adaptive_cutoffs") {
            file.numbers("wikilm.adaptive_cutoffs", gguf_builder::u32, cutoffs);
        }
        file.key("wikilm.attention.layer_norm_epsilon", gguf_builder::f32, 1e-5F);
        more(file);
        tensor_list tensors = {
            {"blk.0.attn_norm.weight", {4}},      {"blk.0.attn_q.weight", {4, 4}},
            {"blk.0.attn_k.weight", {4, 4}},      {"blk.0.attn_v.weight", {4, 4}},
            {"blk.0.attn_output.weight", {4, 4}}, {"blk.0.ffn_norm.weight", {4}},
            {"blk.0.ffn_up.weight", {4, 8}},      {"blk.0.ffn_down.weight", {8, 4}}};
        if (final_norm) { tensors.push_back({"output_norm.weight", {4}}); }
        tensors.insert(tensors.end(), embedding.begin(), embedding.end());
        return bytes_with(std::move(file), tensors);
    }
};

struct bad_gguf {
    std::string bytes;
    std::string message;
    bad_gguf(const llama_file& file, std::string says)
        : bytes(file.bytes()), message(std::move(says)) {}
    bad_gguf(const wikilm_file& file, std::string says)
        : bytes(file.bytes()), message(std::move(says)) {}
    friend std::ostream& operator<<(std::ostream& out, const bad_gguf& c) {
        return out << c.message;
    }
};

bad_gguf with_key(std::function<void(gguf_builder&)> more, std::string message) {
    llama_file file;
    file.more = std::move(more);
    return {file, std::move(message)};
}
bad_gguf wikilm_with_key(std::function<void(gguf_builder&)> more, std::string message) {
    wikilm_file file;
    file.more = std::move(more);
    return {file, std::move(message)};
}
/// `change` is what the tensor of its name is instead; without dimensions: there is none.
bad_gguf wikilm_with(const tensor_list::value_type& change, std::string message) {
    wikilm_file file;
    std::erase_if(file.embedding, [&](const auto& t) { return t.first == change.first; });
    if (!change.second.empty()) { file.embedding.push_back(change); }
    return {file, std::move(message)};
}

const std::vector<bad_gguf> bad_ggufs = {
    {llama_file{.architecture = "mamba"}, ", got 'mamba'"},
    {llama_file{.layers = 0}, "llama.block_count: expected 1 to 4096, got 0"},
    {llama_file{.layers = 4097}, "llama.block_count: expected 1 to 4096, got 4097"},
    {llama_file{.layers = 2},
     "tensor 'blk.1.attn_norm.weight': expected by llama, got no such tensor"},
    {llama_file{.width = 8}, "blk.0.attn_norm.weight: expected (8), got (4)"},
    {llama_file{.inner = 9}, "blk.0.ffn_gate.weight: expected (9, 4), got (8, 4)"},
    {llama_file{.heads = 0}, "llama.attention.head_count: expected 1 to 1048576, got 0"},
    {llama_file{.heads = 3}, "heads: 3 do not divide the width 4"},
    with_key([](auto& f) { f.key("llama.attention.head_count_kv", gguf_builder::u32, 3U); },
             "key-value heads: 3 do not divide the 2 heads"),
    with_key([](auto& f) { f.text("llama.attention.head_count_kv", "two"); },
             "llama.attention.head_count_kv': expected an integer of at least 0, got string"),
    with_key([](auto& f) { f.key("llama.rope.dimension_count", gguf_builder::u32, 4U); },
             "rotated dimensions: expected an even number up to the head size 2, got 4"),
    with_key([](auto& f) { f.key("llama.rope.freq_base", gguf_builder::f32, -1.0F); },
             "rope.freq_base: expected a positive number, got -1"),
    with_key([](auto& f) { f.text("llama.rope.scaling.type", "spiral"); },
             "llama.rope.scaling.type: expected none, linear, yarn or longrope, got 'spiral'"),
    with_key([](auto& f) { f.key("llama.expert_count", gguf_builder::u32, 8U); },
             "key 'llama.expert_used_count': expected an integer of at least 0, got no such key"),
    with_key(
        [](auto& f) { f.key("llama.attention.causal", gguf_builder::boolean, std::uint8_t{0}); },
        "llama.attention.causal: attention to later positions, which xlens does not compute"),
    {wikilm_file{.without = "adaptive_cutoffs"},
     "key 'wikilm.adaptive_cutoffs': expected array of integers below 2^63, got no such key"},
    {wikilm_file{.without = "vocab_size"},
     "key 'wikilm.vocab_size': expected an integer of at least 0, got no such key"},
    {wikilm_file{.cutoffs = {}},
     "wikilm.adaptive_cutoffs: expected at least one token count, got none"},
    {wikilm_file{.cutoffs = {8, 5}},
     "wikilm.adaptive_cutoffs: expected rising numbers up to the vocabulary 12, got 5"},
    {wikilm_file{.cutoffs = {5, 5}},
     "wikilm.adaptive_cutoffs: expected rising numbers up to the vocabulary 12, got 5"},
    {wikilm_file{.cutoffs = {5, 13}},
     "wikilm.adaptive_cutoffs: expected rising numbers up to the vocabulary 12, got 13"},
    {wikilm_file{.cutoffs = {0, 8}},
     "wikilm.adaptive_cutoffs: expected rising numbers up to the vocabulary 12, got 0"},
    {wikilm_file{.cutoffs = {5}}, "token_embd.1.weight: expected (7, 2), got (3, 2)"},
    {wikilm_file{.cutoffs = {5, 9}}, "token_embd.1.weight: expected (4, 2), got (3, 2)"},
    {wikilm_file{.cutoffs = {5, 8, 11}}, "token_embd.2.weight: expected (3, 1), got (4, 1)"},
    {wikilm_file{.width = 2},
     "width: expected an even number of at least 4 for sines and cosines, got 2"},
    {wikilm_file{.width = 8}, "blk.0.attn_norm.weight: expected (8), got (4)"},
    wikilm_with({"token_embd.2.weight", {}},
                "tensor 'token_embd.2.weight': expected by wikilm, got no such tensor"),
    wikilm_with({"token_embd_proj.1.weight", {}},
                "tensor 'token_embd_proj.1.weight': expected by wikilm, got no such tensor"),
    wikilm_with({"output_classes.weight", {}},
                "tensor 'output_classes.weight': expected by wikilm, got no such tensor"),
    wikilm_with({"token_embd.0.weight", {3, 5}},
                "token_embd_proj.0.weight: expected (4, 3), got (4, 4)"),
    wikilm_with({"token_embd.1.weight", {6}},
                "token_embd.1.weight: expected a matrix, got 1 dimensions"),
    wikilm_with({"token_embd_proj.1.weight", {3, 4}},
                "token_embd_proj.1.weight: expected (4, 2), got (4, 3)"),
    wikilm_with({"output_classes.weight", {4, 1}},
                "output_classes.weight: expected (2, 4), got (1, 4)"),
    wikilm_with_key(
        [](auto& f) { f.key("tokenizer.ggml.padding_token_id", gguf_builder::u32, 12U); },
        "tokenizer.ggml.padding_token_id: token 12: expected 0 to 11"),
    wikilm_with_key([](auto& f) { f.key("wikilm.embedding_scale", gguf_builder::f32, -1.0F); },
                    "wikilm.embedding_scale: expected a positive number, got -1"),
    wikilm_with_key([](auto& f) { f.text("wikilm.final_norm", "yes"); },
                    "key 'wikilm.final_norm': expected bool, got string"),
};

}  // namespace

BOOST_DATA_TEST_CASE(a_config_that_does_not_fit_is_refused, data::make(bad_configs), c) {
    const temporary_directory folder;
    const auto from = golden_path("models/" + c.model + "/hf");
    std::filesystem::copy(from, folder.path() / "model", std::filesystem::copy_options::recursive);
    json config = read_golden(from / "config.json");
    config.merge_patch(json_document(c.change));
    std::ofstream(folder.path() / "model" / "config.json") << config;
    check_refusal(folder.path() / "model", c.message);
}

BOOST_DATA_TEST_CASE(a_gguf_that_does_not_fit_is_refused, data::make(bad_ggufs), c) {
    const temporary_directory folder;
    const auto path = folder.write("bad.gguf", c.bytes);
    check_refusal(path, c.message);
}

BOOST_AUTO_TEST_CASE(the_good_file_beside_them_is_read) {
    const temporary_directory folder;
    const auto path = folder.write("good.gguf", llama_file{}.bytes());
    const checkpoint file = open_checkpoint(path);
    BOOST_TEST(file.config().vocabulary == 5U);
    BOOST_TEST(file.config().quantization == "f32");
    BOOST_TEST(assemble<presets::llama>(file).blocks.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_tokenizer_that_cannot_be_used_is_refused_when_it_is_asked_for) {
    const temporary_directory folder;
    llama_file other;
    other.more = [](gguf_builder& f) { f.text("tokenizer.ggml.model", "rwkv"); };
    const auto path = folder.write("rwkv.gguf", other.bytes());
    const xlens::model m = xlens::load(path);
    BOOST_TEST(!m.has_tokenizer());
    BOOST_TEST(xlens::test::error_message([&] { (void)m.tokenizer(); }) ==
               path.string() +
                   ": tokenizer.ggml.model: expected one of gpt2, llama, t5, bert, "
                   "gemma4, got rwkv; give token ids instead");
}

BOOST_AUTO_TEST_CASE(the_good_wikilm_beside_them_has_the_usual_scale_and_positions) {
    const temporary_directory folder;
    const checkpoint file =
        open_checkpoint(folder.write("good.gguf", wikilm_file{.cutoffs = {5, 8, 12}}.bytes()));
    const auto model = assemble<presets::wikilm>(file);
    BOOST_TEST(model.unembedding.vocabulary() == 12U);
    BOOST_TEST(model.embedding.clusters.size() == 3U);
    BOOST_TEST(model.embedding.scale == 2.0F);  // the root of 4
    BOOST_TEST(model.position.origin == 2U);
    BOOST_TEST(model.final_norm.has_value());
}

BOOST_AUTO_TEST_CASE(what_a_wikilm_says_of_scale_positions_and_final_norm_is_done) {
    const temporary_directory folder;
    wikilm_file said{.final_norm = false};
    said.more = [](gguf_builder& f) {
        f.key("wikilm.embedding_scale", gguf_builder::f32, 1.0F);
        f.key("tokenizer.ggml.padding_token_id", gguf_builder::u32, 4U);
        f.key("wikilm.final_norm", gguf_builder::boolean, std::uint8_t{0});
    };
    const checkpoint file = open_checkpoint(folder.write("good.gguf", said.bytes()));
    const auto model = assemble<presets::wikilm>(file);
    BOOST_TEST(model.embedding.scale == 1.0F);
    BOOST_TEST(model.position.origin == 5U);
    BOOST_TEST(!model.final_norm.has_value());
}

BOOST_AUTO_TEST_CASE(a_path_that_is_no_model_is_refused) {
    const temporary_directory folder;
    check_refusal(folder.path() / "missing.gguf", "missing.gguf");
    check_refusal(folder.path(), "config.json");
}
