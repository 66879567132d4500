// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace xlens {

/// What a lens's file says of it.
struct lens_facts {
    std::string kind;               ///< linear, tuned or jacobian
    std::string source;             ///< who wrote it: xlens, tuned-lens, jacobian-lens
    std::string model;              ///< what it calls the model that it was fitted to; may be empty
    std::uint64_t fingerprint = 0;  ///< of that model (model::fingerprint); 0: not said
    std::size_t width = 0;          ///< D
    std::size_t layers = 0;         ///< L; 0: not said
    std::size_t examples = 0;  ///< tokens that it was fitted on, of a Jacobian lens prompts; 0: not
                               ///< said
    /// The layer after which the maps say what the residual is; none: the last.
    std::optional<std::size_t> target = {};
};

}  // namespace xlens
