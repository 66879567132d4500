// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/sae/sae_site.hpp>
#include <xlens/sae/sparse_autoencoder.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <vector>

#if XLENS_DEFINES(sae)
#include <xlens/core/error.hpp>
#include <xlens/io/npz_file.hpp>
#include <xlens/io/safetensors.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/kernels/finite.hpp>
#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/fingerprint.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#endif

namespace xlens {

/// Where an autoencoder belongs, if its folder does not say so or is to be overruled.
struct sae_override {
    std::optional<std::size_t> layer = {};
    std::optional<sae_site> site = {};
};

/// Reads a published sparse autoencoder from its folder:
/// - SAELens: cfg.json and sae_weights.safetensors; architectures standard and jumprelu;
/// - Gemma Scope: params.npz, whose place is in the folder's path (layer_12, ...-pt-res), or given;
/// - Gemma Scope 2: config.json and params.safetensors.
/// Throws xlens::error for any other folder, and, naming key and value, for what would change the
/// numbers and is not supported: other architectures, normalised activations, scaling factors,
/// heads' outputs (hook_z), transcoders.
XLENS_API sparse_autoencoder read_sae(const std::filesystem::path& folder,
                                      const sae_override& place = {});

/// The files of such a folder that read_sae reads; throws where it would not know the folder.
XLENS_API std::vector<std::filesystem::path> sae_files(const std::filesystem::path& folder);

#if XLENS_DEFINES(sae)

namespace detail {

/// The names of an autoencoder's tensors in a file.
struct sae_names {
    std::string_view encoder, decoder, encoder_bias, decoder_bias;
};
inline constexpr sae_names sae_lens_names{"W_enc", "W_dec", "b_enc", "b_dec"};
inline constexpr sae_names gemma_scope_names{"w_enc", "w_dec", "b_enc", "b_dec"};

class sae_tensors {
public:
    sae_tensors(const std::string& file, const tensor_map& tensors)
        : m_file(&file), m_tensors(&tensors) {}

    [[nodiscard]] const stored_tensor& get(std::string_view name, std::size_t dimensions) const {
        const auto found = m_tensors->find(name);
        if (found == m_tensors->end()) { fail("{}: {}: no such tensor", *m_file, name); }
        if (found->second.shape.size() != dimensions) {
            fail("{}: {}: expected {} dimensions, got ({})", *m_file, name, dimensions,
                 joined(found->second.shape, ", "));
        }
        return found->second;
    }
    [[nodiscard]] const stored_tensor& get(std::string_view name,
                                           const std::vector<std::size_t>& shape) const {
        const stored_tensor& out = get(name, shape.size());
        if (out.shape != shape) {
            fail("{}: {}: expected ({}), got ({})", *m_file, name, joined(shape, ", "),
                 joined(out.shape, ", "));
        }
        return out;
    }
    [[nodiscard]] xt::xtensor<float, 1> vector(std::string_view name, std::size_t size) const {
        const stored_tensor& t = get(name, std::vector<std::size_t>{size});
        xt::xtensor<float, 1> out = xt::empty<float>({size});
        row_format_of(t.format).decode(t.data, {out.data(), size});
        return out;
    }
    [[nodiscard]] const tensor_map& all() const { return *m_tensors; }
    [[nodiscard]] const std::string& file() const { return *m_file; }

private:
    const std::string* m_file;
    const tensor_map* m_tensors;
};

/// Fails for a tensor that nothing reads.
inline void check_sae_tensors(const sae_tensors& in, const sae_names& names, bool jumps) {
    for (const auto& [name, t] : in.all()) {
        const bool known = name == names.encoder || name == names.decoder ||
                           name == names.encoder_bias || name == names.decoder_bias ||
                           (jumps && name == "threshold");
        if (known) { continue; }
        // Written for a time where nothing was scaled.
        if (name == "scaling_factor" || name == "finetuning_scaling_factor") {
            std::size_t count = 1;
            for (const std::size_t n : t.shape) { count *= n; }
            std::vector<float> values(count);
            row_format_of(t.format).decode(t.data, values);
            if (std::ranges::all_of(values, [](float v) { return v == 1.0F; })) { continue; }
        }
        fail("{}: {}: a tensor that is not supported", in.file(), printable(name));
    }
}

/// Fails for a number that is none: one in a direction would leave a search without scores.
inline void check_finite(const sae_tensors& in, std::string_view name) {
    const stored_tensor& t = in.get(name, 2);
    const any_matrix numbers(t.format, t.data, t.shape[0], t.shape[1]);
    std::vector<float> row(t.shape[1]);
    for (std::size_t r = 0; r < t.shape[0]; ++r) {
        numbers.decode(r, 0, row);
        const std::size_t at = kernels::first_not_finite(row);
        if (at < row.size()) { fail("{}: {}({}, {}) is {}", in.file(), name, r, at, row[at]); }
    }
}

inline sparse_autoencoder make_sae(sae_facts facts, const sae_tensors& in, const sae_names& names,
                                   std::shared_ptr<const void> owner) {
    const bool jumps = facts.architecture == "jumprelu";
    facts.fingerprint = fingerprint(in.all());
    check_sae_tensors(in, names, jumps);
    const stored_tensor& encoder = in.get(names.encoder, 2);
    const std::size_t width = encoder.shape[0];
    const std::size_t features = encoder.shape[1];
    if (width == 0 || features == 0) {
        fail("{}: {}: expected numbers, got ({}, {})", in.file(), names.encoder, width, features);
    }
    const stored_tensor& decoder = in.get(names.decoder, std::vector<std::size_t>{features, width});
    check_finite(in, names.encoder);
    check_finite(in, names.decoder);
    sparse_autoencoder::weights w{
        any_matrix(encoder.format, encoder.data, width, features, true),
        any_matrix(decoder.format, decoder.data, features, width),
        in.vector(names.encoder_bias, features), in.vector(names.decoder_bias, width),
        jumps ? in.vector("threshold", features)
              : xt::xtensor<float, 1>(xt::empty<float>({std::size_t{0}}))};
    return {std::move(facts), std::move(w), std::move(owner)};
}

/// Fails unless a key is absent, null, or one of these values as JSON or text.
inline void expect_off(const json_object& config, std::string_view key,
                       std::initializer_list<std::string_view> values) {
    const auto found = config.find(key);
    if (!found) { return; }
    const json_value& v = found->value();
    const std::string text = v.is_string() ? found->string() : v.text();
    if (std::find(values.begin(), values.end(), text) == values.end()) {
        fail("{}: {} is not supported", found->place(), printable(text));
    }
}

/// What SAELens loads its model with; what of it changes residuals.
inline bool centred_weights(const json_object& meta) {
    const auto found = meta.find("model_from_pretrained_kwargs");
    if (!found) { return false; }
    static constexpr std::array<std::string_view, 9> harmless{
        "fold_ln",   "center_unembed",    "fold_value_biases", "dtype",      "device",
        "n_devices", "trust_remote_code", "revision",          "torch_dtype"};
    bool out = false;
    for (const auto& item : found->value().object()) {
        if (item.first == "center_writing_weights") {
            out = found->at(item.first).boolean();
        } else if (std::ranges::find(harmless, item.first) == harmless.end()) {
            fail("{}: {} is not supported", found->place(), printable(item.first));
        }
    }
    return out;
}

inline sae_place sae_lens_place(const json_object& meta, const sae_override& given) {
    expect_off(meta, "hook_head_index", {});
    const std::string hook =
        meta.has("hook_name") ? meta.string("hook_name") : meta.string("hook_point", "");
    const std::optional<sae_place> named = place_of_hook(hook);
    if (!named && !(given.layer && given.site)) {
        fail(
            "{}: hook_name: expected blocks.L.hook_ and resid_pre, resid_mid, resid_post, "
            "attn_out or mlp_out, got '{}'",
            meta.name(), printable(hook));
    }
    sae_place out = named.value_or(sae_place());
    if (meta.has("hook_layer") && named && meta.unsigned_integer("hook_layer") != out.layer) {
        fail("{}: hook_layer: {}, but hook_name is {}", meta.name(),
             meta.unsigned_integer("hook_layer"), printable(hook));
    }
    out.layer = given.layer.value_or(out.layer);
    out.site = given.site.value_or(out.site);
    return out;
}

inline sparse_autoencoder read_sae_lens(const std::filesystem::path& folder,
                                        const sae_override& given) {
    const std::filesystem::path path = folder / "cfg.json";
    const json_value document = read_json(path);
    const json_object config(printable(path.string(), 1024), document);
    sae_facts facts;
    facts.name = printable(folder.string(), 1024);
    facts.architecture = config.string("architecture", "standard");
    if (facts.architecture != "standard" && facts.architecture != "jumprelu") {
        fail("{}: architecture: expected standard or jumprelu, got {}", config.name(),
             printable(facts.architecture));
    }
    expect_off(config, "normalize_activations", {"none", "false"});
    expect_off(config, "reshape_activations", {"none"});
    expect_off(config, "finetuning_scaling_factor", {"false"});
    expect_off(config, "activation_fn", {"relu"});
    expect_off(config, "activation_fn_str", {"relu"});
    expect_off(config, "noise_scale", {"0", "0.0"});
    facts.subtracts_bias = config.boolean("apply_b_dec_to_input", true);
    // Since version 6 what is about the model stands apart.
    const char* apart = config.has("metadata") ? "metadata" : config.has("meta") ? "meta" : nullptr;
    const json_object meta =
        apart == nullptr ? config : json_object(config.name(), config.find(apart)->value(), apart);
    facts.model = meta.string("model_name", "");
    facts.place = sae_lens_place(meta, given);
    facts.centred = centred_weights(meta);
    auto file = std::make_shared<const safetensors_file>(folder / "sae_weights.safetensors");
    if (!file->skipped().empty()) {
        fail("{}: {}: a tensor of {} is not supported", file->name(),
             printable(file->skipped().begin()->first), file->skipped().begin()->second);
    }
    return make_sae(std::move(facts), {file->name(), file->tensors()}, sae_lens_names, file);
}

inline sparse_autoencoder read_gemma_scope_2(const std::filesystem::path& folder,
                                             const sae_override& given) {
    const std::filesystem::path path = folder / "config.json";
    const json_value document = read_json(path);
    const json_object config(printable(path.string(), 1024), document);
    sae_facts facts;
    facts.name = printable(folder.string(), 1024);
    const std::string architecture = config.string("architecture");
    if (architecture != "jump_relu" && architecture != "jumprelu") {
        fail("{}: architecture: expected jump_relu, got {}", config.name(),
             printable(architecture));
    }
    facts.architecture = "jumprelu";
    expect_off(config, "type", {"sae"});
    expect_off(config, "affine_connection", {"false"});
    facts.model = config.string("model_name", "");
    const std::string module = config.string("hf_hook_point_in", "");
    if (config.has("hf_hook_point_out") && config.string("hf_hook_point_out") != module) {
        fail("{}: hf_hook_point_out: expected {}, as hf_hook_point_in, got {}", config.name(),
             printable(module), printable(config.string("hf_hook_point_out")));
    }
    const std::optional<sae_place> named = place_of_module(module);
    if (!named && !(given.layer && given.site)) {
        fail(
            "{}: hf_hook_point_in: expected model.layers.L.output or the norm behind attention "
            "or FFN, got '{}'",
            config.name(), printable(module));
    }
    facts.place = named.value_or(sae_place());
    facts.place.layer = given.layer.value_or(facts.place.layer);
    facts.place.site = given.site.value_or(facts.place.site);
    auto file = std::make_shared<const safetensors_file>(folder / "params.safetensors");
    return make_sae(std::move(facts), {file->name(), file->tensors()}, gemma_scope_names, file);
}

/// Layer and site of Gemma Scope, from the folders above: ".../gemma-scope-2b-pt-res/.../layer_12/
/// width_16k/average_l0_82".
inline sae_place gemma_scope_place(const std::filesystem::path& folder, const sae_override& given) {
    sae_override found;
    std::error_code ignored;
    for (const auto& part : std::filesystem::absolute(folder, ignored)) {
        const std::string name = part.string();
        if (name == "embedding") {
            fail("{}: an autoencoder of embeddings is not supported", printable(folder.string()));
        }
        constexpr std::string_view layer = "layer_";
        if (name.starts_with(layer) && name.size() <= layer.size() + 4 &&
            name.find_first_not_of("0123456789", layer.size()) == std::string::npos &&
            name.size() > layer.size()) {
            found.layer = static_cast<std::size_t>(std::stoul(name.substr(layer.size())));
        }
        if (name.find("gemma-scope") == std::string::npos) { continue; }
        if (name.find("t-res") != std::string::npos) { found.site = sae_site::after; }
        if (name.find("t-mlp") != std::string::npos) { found.site = sae_site::ffn_out; }
        if (name.find("t-att") != std::string::npos) {
            fail("{}: an autoencoder of heads' outputs is not supported",
                 printable(folder.string()));
        }
    }
    const auto layer = given.layer ? given.layer : found.layer;
    const auto site = given.site ? given.site : found.site;
    if (!layer) {
        fail("{}: its layer is not in its path; give the layer", printable(folder.string()));
    }
    if (!site) {
        fail("{}: its site is not in its path; give the site", printable(folder.string()));
    }
    return {*layer, *site};
}

}  // namespace detail

XLENS_API std::vector<std::filesystem::path> sae_files(const std::filesystem::path& folder) {
    std::error_code ignored;
    const auto has = [&](const char* name) {
        return std::filesystem::exists(folder / name, ignored);
    };
    if (has("cfg.json")) { return {folder / "cfg.json", folder / "sae_weights.safetensors"}; }
    if (has("params.safetensors")) {
        return {folder / "config.json", folder / "params.safetensors"};
    }
    if (has("params.npz")) { return {folder / "params.npz"}; }
    fail(
        "{}: expected an autoencoder's folder, with cfg.json, params.npz or params.safetensors; "
        "got none of them",
        printable(folder.string(), 1024));
}

XLENS_API sparse_autoencoder read_sae(const std::filesystem::path& folder,
                                      const sae_override& place) {
    const std::filesystem::path first = sae_files(folder).front().filename();
    if (first == "cfg.json") { return detail::read_sae_lens(folder, place); }
    if (first == "config.json") { return detail::read_gemma_scope_2(folder, place); }
    auto file = std::make_shared<const npz_file>(folder / "params.npz");
    sae_facts facts;
    facts.name = printable(folder.string(), 1024);
    facts.architecture = "jumprelu";
    facts.place = detail::gemma_scope_place(folder, place);
    return detail::make_sae(std::move(facts), {file->name(), file->tensors()},
                            detail::gemma_scope_names, file);
}

#endif

}  // namespace xlens
