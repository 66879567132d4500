// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for io/ (core/compiled.hpp).
#define XLENS_BUILDING_io 1
#include <xlens/io/assemble.hpp>
#include <xlens/io/config_hyperparameters.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_hyperparameters.hpp>
#include <xlens/io/gguf_tokenizer.hpp>
#include <xlens/io/gguf_writer.hpp>
#include <xlens/io/hugging_face.hpp>
#include <xlens/io/load.hpp>
#include <xlens/io/load_tokenizer.hpp>
#include <xlens/io/npz_file.hpp>
#include <xlens/io/open_checkpoint.hpp>
#include <xlens/io/safetensors_writer.hpp>
#include <xlens/io/torch_file.hpp>
#include <xlens/io/torch_pickle.hpp>
#include <xlens/io/zip_archive.hpp>

namespace xlens {

template transformer<> assemble<presets::any, any_matrix>(const checkpoint&);

}  // namespace xlens
