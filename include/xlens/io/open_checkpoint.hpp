// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/io/checkpoint.hpp>
#include <xlens/storage/precision.hpp>

#include <filesystem>
#include <system_error>

#if XLENS_DEFINES(io)
#include <xlens/io/config_hyperparameters.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_hyperparameters.hpp>
#include <xlens/io/hugging_face.hpp>
#endif

namespace xlens {

/// Opens a .gguf file or a Hugging Face folder; products with its weights are computed in `how`.
/// Throws xlens::error.
XLENS_API checkpoint open_checkpoint(const std::filesystem::path& path,
                                     precision how = precision::f32);

#if XLENS_DEFINES(io)
XLENS_API checkpoint open_checkpoint(const std::filesystem::path& path, precision how) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
        return checkpoint(hugging_face_folder(path), how);
    }
    return checkpoint(gguf_file(path), how);
}
#endif

}  // namespace xlens
