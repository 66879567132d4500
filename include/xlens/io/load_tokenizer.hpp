// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/text/tokenizer.hpp>

#include <filesystem>

#if XLENS_DEFINES(io)
#include <xlens/core/error.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_tokenizer.hpp>
#include <xlens/text/folder_tokenizer.hpp>
#include <xlens/text/make_tokenizer.hpp>
#include <xlens/text/tokenizer_json.hpp>

#include <optional>
#include <system_error>
#include <utility>
#endif

namespace xlens {

/// The tokenizer of a .gguf file, of a Hugging Face folder, of a tokenizer.json or of a
/// SentencePiece model (.model), without the model: weights need not be there. Throws xlens::error
/// where there is none, and for one that cannot be used.
XLENS_API tokenizer load_tokenizer(const std::filesystem::path& path);

#if XLENS_DEFINES(io)
XLENS_API tokenizer load_tokenizer(const std::filesystem::path& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
        std::optional<tokenizer> out = load_folder_tokenizer(path);
        if (!out) { fail("{}: no tokenizer in it", printable(path.string(), 1024)); }
        return *std::move(out);
    }
    if (path.extension() == ".json") { return load_tokenizer_json(path); }
    if (path.extension() == ".model") { return load_piece_model(path); }
    return make_tokenizer(read_tokenizer(gguf_file(path)));
}
#endif

}  // namespace xlens
