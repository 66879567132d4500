// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "flags/flags.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xlens {
class json_writer;
}

namespace xlens::program {

class engine;

/// Which prompt of a file a document is about.
struct prompt_record {
    std::string file;
    std::size_t line = 0;
    std::string metadata = {};  ///< a JSON object, or nothing
};

/// What it takes to repeat a run, as every JSON document says it in its last member, "run".
struct run_record {
    std::string model = {};  ///< path; nothing: the run had none
    std::uint64_t fingerprint = 0;
    std::string precision = {};
    std::string cache = {};
    std::string instruction_set = {};
    std::size_t threads = 0;
    edit_flags edits = {};                      ///< where the run takes some
    std::optional<std::uint64_t> seed = {};     ///< where the run draws
    std::optional<std::string> exit_rule = {};  ///< in use
    std::string lens = {};                      ///< the file of one in use
    std::uint64_t lens_fingerprint = 0;
    std::optional<prompt_record> prompt = {};  ///< where there are many
};

/// The record of a run on this model.
[[nodiscard]] run_record record_of(const engine& opened);

/// {"version", "model", "fingerprint", "precision", "instruction_set", "threads", "edits": {},
/// "seed": null}, and where there are such "cache" (other than f32), "lens", "lens_fingerprint",
/// "exit", "prompts", "line", "metadata"; without a model nothing from "model" to "seed".
/// Edits: what there is of {"set", "scale": [{"neuron", "value"}], "recipe", "steer_features":
/// [{"sae", "feature", "value"}], "steer": [{"file", "layers", "strength"}], "ban", "files":
/// [{"file", "crc32"}]}, the last of all files that the others name, or the recipe does.
void write_run(xlens::json_writer& out, const run_record& run, std::string_view key = "run");
/// The object alone, without its key.
void write_record(xlens::json_writer& out, const run_record& run);
/// The edits alone as JSON, or "none": what a run must have to go on with another. Throws
/// xlens::error for a file that can be read but once.
[[nodiscard]] std::string edits_fingerprint(const edit_flags& edits);

}  // namespace xlens::program
