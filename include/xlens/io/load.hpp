// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/model/model.hpp>
#include <xlens/storage/format_id.hpp>
#include <xlens/storage/precision.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#if XLENS_DEFINES(io)
#include <xlens/core/error.hpp>
#include <xlens/io/assemble.hpp>
#include <xlens/io/checkpoint.hpp>
#include <xlens/io/gguf_tokenizer.hpp>
#include <xlens/io/open_checkpoint.hpp>
#include <xlens/storage/cache_rows.hpp>
#include <xlens/text/folder_tokenizer.hpp>
#include <xlens/text/make_tokenizer.hpp>
#include <xlens/text/tokenizer.hpp>

#include <string>
#endif

namespace xlens {

class checkpoint;  // io/checkpoint.hpp

/// The tokenizer of a model file, or nothing where it has none. Throws xlens::error for one that
/// cannot be used, or that has more tokens than the embedding rows.
XLENS_API std::optional<tokenizer> tokenizer_of(const checkpoint& file);

struct load_options {
    xlens::precision precision = precision::f32;  ///< of the products with weights
    format_id cache = format_id::f32;             ///< of keys and values: f32, f16 or q8_0
};

/// Opens a .gguf file or a Hugging Face folder, of any architecture. Weights are used in place: the
/// time does not depend on their size. Throws xlens::error; for a tokenizer that cannot be used,
/// only when the model is asked for it.
XLENS_API model load(const std::filesystem::path& path, const load_options& options = {});

#if XLENS_DEFINES(io)
XLENS_API std::optional<tokenizer> tokenizer_of(const checkpoint& file) {
    std::optional<tokenizer> out;
    if (const auto* gguf = file.origin<gguf_file>()) {
        const std::string kind = gguf->string("tokenizer.ggml.model", "none");
        if (kind != "none" && kind != "no_vocab") { out = make_tokenizer(read_tokenizer(*gguf)); }
    } else {
        out = load_folder_tokenizer(file.origin<hugging_face_folder>()->path());
    }
    if (out && out->size() > file.config().vocabulary) {
        fail("{}: tokenizer: {} tokens, the embedding has {} rows", file.name(), out->size(),
             file.config().vocabulary);
    }
    return out;
}

XLENS_API model load(const std::filesystem::path& path, const load_options& options) {
    const auto file = std::make_shared<const checkpoint>(open_checkpoint(path, options.precision));
    check_cache_format(options.cache, file->config().head_size);
    transformer<> parts = assemble(*file);
    parts.cache = options.cache;
    std::shared_ptr<const tokenizer> text;
    std::string no_text;
    try {
        if (auto found = tokenizer_of(*file)) {
            text = std::make_shared<const tokenizer>(*std::move(found));
        }
    } catch (const error& e) { no_text = e.what(); }
    return {std::move(parts), file->name(),
            std::shared_ptr<const tensor_map>(file, &file->tensors()), std::move(text),
            std::move(no_text)};
}
#endif

}  // namespace xlens
