// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/assemble.hpp>
#include <xlens/io/checkpoint.hpp>
#include <xlens/io/gguf_tokenizer.hpp>
#include <xlens/io/open_checkpoint.hpp>
#include <xlens/model/any_model.hpp>
#include <xlens/text/make_tokenizer.hpp>
#include <xlens/text/tokenizer.hpp>
#include <xlens/text/tokenizer_json.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

namespace xlens {

/// A model read from a path, with all that it needs: the file's mappings, the transformer that
/// points into them, and the tokenizer where the file has one. May be moved.
class loaded_model {
public:
    loaded_model(std::unique_ptr<checkpoint> file, any_model model, std::optional<tokenizer> text)
        : m_file(std::move(file)), m_model(std::move(model)), m_text(std::move(text)) {}

    [[nodiscard]] const any_model& model() const { return m_model; }
    [[nodiscard]] const hyperparameters& config() const { return m_file->config(); }
    [[nodiscard]] const checkpoint& file() const { return *m_file; }
    [[nodiscard]] bool has_text() const { return m_text.has_value(); }
    /// Throws xlens::error if the file has no tokenizer.
    [[nodiscard]] const tokenizer& text() const {
        if (!m_text) { fail("{}: no tokenizer in it; give token ids (--ids)", m_file->name()); }
        return *m_text;
    }

private:
    std::unique_ptr<checkpoint> m_file;  // stays where it is: weights point into it
    any_model m_model;
    std::optional<tokenizer> m_text;
};

namespace detail {

/// The alternative of any_model's variant whose preset runs the file's architecture.
template <class Preset, class... Others>
any_model assemble_one_of(const checkpoint& file, std::variant<transformer<Preset>, Others...>*) {
    if constexpr (sizeof...(Others) > 0) {
        if (!presets::runs<Preset>(file.config().architecture)) {
            return assemble_one_of(file, static_cast<std::variant<Others...>*>(nullptr));
        }
    }
    return assemble<Preset>(file);
}
inline any_model assemble_any(const checkpoint& file) {
    return assemble_one_of(file, static_cast<any_model::variant*>(nullptr));
}

inline std::optional<tokenizer> read_text(const checkpoint& file) {
    if (const auto* gguf = file.origin<gguf_file>()) {
        const std::string kind = gguf->string("tokenizer.ggml.model", "none");
        if (kind == "none" || kind == "no_vocab") { return std::nullopt; }
        return make_tokenizer(read_tokenizer(*gguf));
    }
    const auto path = file.origin<hugging_face_folder>()->path() / "tokenizer.json";
    if (!std::filesystem::exists(path)) { return std::nullopt; }
    return load_tokenizer_json(path);
}

}  // namespace detail

struct load_options {
    xlens::precision precision = precision::f32;  ///< of the products with weights
};

/// Opens a .gguf file or a Hugging Face folder. Weights are used in place: the time does not depend
/// on their size. Throws xlens::error.
inline loaded_model load(const std::filesystem::path& path, const load_options& options = {}) {
    auto file = std::make_unique<checkpoint>(open_checkpoint(path, options.precision));
    any_model model = detail::assemble_any(*file);
    auto text = detail::read_text(*file);
    if (text && text->size() > file->config().vocabulary) {
        fail("{}: tokenizer: {} tokens, the embedding has {} rows", file->name(), text->size(),
             file->config().vocabulary);
    }
    return {std::move(file), std::move(model), std::move(text)};
}

}  // namespace xlens
