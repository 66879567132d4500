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

/// What it takes to repeat a run, as every JSON document says it in its last member, "run".
struct run_record {
    std::string model;  ///< path
    std::uint64_t fingerprint = 0;
    std::string precision;
    std::string instruction_set;
    std::size_t threads = 0;
    edit_flags edits = {};                      ///< where the run takes some
    std::optional<std::uint64_t> seed = {};     ///< where the run draws
    std::optional<std::string> exit_rule = {};  ///< in use
    std::string lens = {};                      ///< the file of one in use
};

/// The record of a run on this model.
[[nodiscard]] run_record record_of(const engine& opened);

/// {"version", "model", "fingerprint", "precision", "instruction_set", "threads", and where there
/// are such "edits": {"set", "scale": [{"neuron", "value"}], "recipe", "steer_features": [{"sae",
/// "feature", "value"}], "ban"}, "seed", "lens", "exit"}
void write_run(xlens::json_writer& out, const run_record& run, std::string_view key = "run");

}  // namespace xlens::program
