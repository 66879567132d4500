// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/sort_once.hpp>
#include <xlens/io/config_refusals.hpp>
#include <xlens/io/float8_config.hpp>
#include <xlens/io/float8_scales.hpp>
#include <xlens/io/mxfp4_blocks.hpp>
#include <xlens/io/safetensors.hpp>
#include <xlens/io/tensor_names.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/storage/guarded.hpp>
#include <xlens/storage/open_files.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace xlens {

/// A Hugging Face model folder: config.json, and the tensors of model.safetensors or of all shards
/// that model.safetensors.index.json names. Everything is mapped and checked when it is opened;
/// weights of 8 bits are brought together with their scales (float8_scales.hpp).
/// Tensors live as long as this object, which may be moved.
///
/// A shard must lie in the folder. The one exception is the cache of huggingface_hub, whose
/// `snapshots/<revision>` folders hold links into the `blobs` folder beside them.
class hugging_face_folder {
public:
    static constexpr tensor_names names = tensor_names::hugging_face;

    explicit hugging_face_folder(const std::filesystem::path& path);

    [[nodiscard]] const std::filesystem::path& path() const { return m_path; }
    /// The path as it was given, made safe for messages.
    [[nodiscard]] const std::string& name() const { return m_name; }
    [[nodiscard]] const std::vector<safetensors_file>& files() const { return m_files; }

    /// The weights of all files together: F32, F16, BF16 and 8 bits.
    [[nodiscard]] const tensor_map& tensors() const { return m_tensors; }
    /// Tensors that are no weights, integers and booleans: name -> dtype.
    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& skipped() const {
        return m_skipped;
    }
    /// The weight of that name, or null.
    [[nodiscard]] const stored_tensor* find(std::string_view tensor) const {
        const auto found = m_tensors.find(tensor);
        return found == m_tensors.end() ? nullptr : &found->second;
    }

    [[nodiscard]] const json_value& config() const { return m_config; }
    /// config.json with typed getters; `fields().object("rope_scaling")` for what is inside.
    [[nodiscard]] json_object fields() const {
        return {printable((m_path / "config.json").string(), 1024), m_config};
    }
    [[nodiscard]] bool has(std::string_view key) const { return fields().has(key); }

    // The getters of fields(): the key alone, or with what a missing key means.
    [[nodiscard]] std::uint64_t unsigned_integer(std::string_view key) const {
        return fields().unsigned_integer(key);
    }
    [[nodiscard]] std::uint64_t unsigned_integer(std::string_view key,
                                                 std::uint64_t fallback) const {
        return fields().unsigned_integer(key, fallback);
    }
    [[nodiscard]] double number(std::string_view key) const { return fields().number(key); }
    [[nodiscard]] double number(std::string_view key, double fallback) const {
        return fields().number(key, fallback);
    }
    [[nodiscard]] std::string string(std::string_view key) const { return fields().string(key); }
    [[nodiscard]] std::string string(std::string_view key, std::string_view fallback) const {
        return fields().string(key, fallback);
    }
    [[nodiscard]] bool boolean(std::string_view key) const { return fields().boolean(key); }
    [[nodiscard]] bool boolean(std::string_view key, bool fallback) const {
        return fields().boolean(key, fallback);
    }

private:
    using weight_map = std::map<std::string, std::string>;  // tensor -> shard

    void read_weights() {
        const auto single = m_path / "model.safetensors";
        const auto index = m_path / "model.safetensors.index.json";
        std::error_code ignored;
        if (std::filesystem::exists(single, ignored)) {
            add(single);
        } else if (std::filesystem::exists(index, ignored)) {
            read_shards(index);
        } else {
            refuse_other_weights();
            fail("{}: expected model.safetensors or model.safetensors.index.json, got neither",
                 m_name);
        }
    }

    /// Says what to do with weights of another kind.
    void refuse_other_weights() const {
        std::error_code ignored;
        std::vector<std::string> found;
        for (const auto& item : std::filesystem::directory_iterator(m_path, ignored)) {
            found.push_back(item.path().filename().string());
        }
        sort_once(found, std::less<>());
        for (const std::string& name : found) {
            const auto ends = [&](auto... end) { return (name.ends_with(end) || ...); };
            if (name.starts_with("adapter_model.") || name == "adapter_config.json") {
                fail(
                    "{}: {}: a LoRA adapter without its model: merge it into that first (peft: "
                    "merge_and_unload, then save_pretrained)",
                    m_name, name);
            }
            if (ends(".bin", ".bin.index.json", ".pt", ".pth", ".ckpt", ".h5", ".msgpack")) {
                fail(
                    "{}: {}: expected model.safetensors: convert it first (transformers: "
                    "from_pretrained, then save_pretrained)",
                    m_name, printable(name));
            }
            if (ends(".gguf")) {
                fail("{}: {}: expected model.safetensors: give the path of the .gguf file itself",
                     m_name, printable(name));
            }
            if (ends(".safetensors")) {
                fail("{}: {}: expected model.safetensors, or an index that names the files", m_name,
                     printable(name));
            }
        }
    }

    void add(const std::filesystem::path& path) {
        const auto& file = m_files.emplace_back(path);
        m_skipped.insert(file.skipped().begin(), file.skipped().end());
        for (const auto& [name, tensor] : file.tensors()) {
            const auto [place, is_new] = m_tensors.emplace(name, tensor);
            if (!is_new) {
                fail("{}: tensor '{}' is also in {}", file.name(), printable(name),
                     place->second.file);
            }
        }
    }

    void read_shards(const std::filesystem::path& path) {
        const auto name = printable(path.string(), 1024);
        const auto json = read_json(path);
        const auto index = json_object(name, json).object("weight_map");
        weight_map map;
        std::set<std::string> shards;
        for (const auto& item : index.value().object()) {
            map.emplace(item.first, *shards.insert(index.string(item.first)).first);
        }
        std::map<std::string, std::size_t> numbers;
        for (const auto& shard : shards) {
            check_shard(name, shard);
            numbers.emplace(shard, m_files.size());
            add(m_path / shard);
        }
        for (const auto& [tensor, shard] : map) {
            const auto& file = m_files[numbers.at(shard)];
            if (file.find(tensor) == nullptr && !file.skipped().contains(tensor)) {
                fail("{}: weight_map: tensor '{}' is not in {}", name, printable(tensor),
                     printable(shard));
            }
        }
    }

    void check_shard(const std::string& index, const std::string& shard) const {
        constexpr std::string_view forbidden("/\\\0", 3);
        if (shard.empty() || shard == "." || shard == ".." ||
            shard.find_first_of(forbidden) != std::string::npos) {
            fail("{}: weight_map: expected the name of a file in the folder, got '{}'", index,
                 printable(shard));
        }
        std::error_code missing;
        const auto target = std::filesystem::canonical(m_path / shard, missing);
        if (missing) {
            fail("{}: weight_map: shard '{}' is not in the folder", index, printable(shard));
        }
        std::error_code ignored;
        const auto folder = std::filesystem::canonical(m_path, ignored);
        const auto snapshots = folder.parent_path();
        const bool in_cache = snapshots.filename() == "snapshots" &&
                              target.parent_path() == snapshots.parent_path() / "blobs";
        if (target.parent_path() != folder && !in_cache) {
            fail("{}: weight_map: shard '{}' is a link out of the folder, to {}", index,
                 printable(shard), printable(target.string(), 1024));
        }
    }

    std::filesystem::path m_path;
    std::string m_name;
    std::vector<input_mark> m_inputs;
    json_value m_config;
    std::vector<safetensors_file> m_files;
    tensor_map m_tensors;
    std::map<std::string, std::string, std::less<>> m_skipped;
    detail::scaled_weights m_scaled;  // what tensors with scales point to
};

#if XLENS_DEFINES(io)
XLENS_API hugging_face_folder::hugging_face_folder(const std::filesystem::path& path)
    : m_path(path), m_name(printable(path.string(), 1024)) {
    guarded(m_name, [this] {
        std::error_code ignored;
        if (!std::filesystem::is_directory(m_path, ignored)) {
            fail("{}: expected a folder with a config.json", m_name);
        }
        // Read now or by others later, and closed again: all the same inputs.
        for (const char* name :
             {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
              "special_tokens_map.json", "chat_template.jinja", "model.safetensors.index.json"}) {
            m_inputs.emplace_back(m_path / name);
        }
        if (!std::filesystem::exists(m_path / "config.json", ignored)) { refuse_other_weights(); }
        m_config = read_json(m_path / "config.json");
        detail::refuse_folder(fields());  // fails if it is no object
        const bool mxfp4_experts = detail::has_mxfp4_experts(fields());
        const auto scales = mxfp4_experts ? std::nullopt : detail::read_float8_scheme(fields());
        read_weights();
        if (scales) { m_scaled = detail::apply_scales(m_tensors, m_skipped, *scales); }
        if (mxfp4_experts) {
            detail::packed_map packed;
            for (const auto& file : m_files) {
                packed.insert(file.packed().begin(), file.packed().end());
            }
            m_scaled = detail::apply_mxfp4(m_tensors, packed);
        }
    });
}
#endif

}  // namespace xlens
