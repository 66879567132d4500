// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/hooks/policy.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/io/families.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <fmt/format.h>
#endif

namespace xlens {

struct hyperparameters;

/// Directions in the residual, one of a layer or of several, and what is known of them.
struct direction_set {
    hook site = hook::after;                       ///< before or after the FFN update
    std::map<std::size_t, std::vector<float>> of;  ///< (D) each, by layer
    std::string method{};                          ///< mean, pca; empty: not said
    std::string position{};                        ///< last, mean; empty: not said
    std::size_t pairs = 0;                         ///< of texts that they were made of; 0: not said
    std::size_t layers = 0;                        ///< L of the model; 0: not said
    std::uint64_t fingerprint = 0;                 ///< model::fingerprint; 0: not said
    std::string hint{};  ///< what llama.cpp calls the architecture; empty: not said

    /// D; 0 of an empty set.
    [[nodiscard]] std::size_t width() const { return of.empty() ? 0 : of.begin()->second.size(); }
};

/// What llama.cpp calls the model's architecture ("llama", "gemma3"); empty where it has none.
[[nodiscard]] XLENS_API std::string architecture_hint(const hyperparameters& config);

/// Throws xlens::error, naming the file and both values, where the directions are of another
/// architecture, width or number of layers than the model's, or of a layer that it does not have;
/// and where they say of which model they are and it is another one (`fingerprint`; 0: not said).
XLENS_API void check_directions(const direction_set& set, const hyperparameters& config,
                                std::uint64_t fingerprint, std::string_view name);

#if XLENS_DEFINES(interventions)

XLENS_API std::string architecture_hint(const hyperparameters& config) {
    const family* found = find_family(config.family);
    return found == nullptr ? std::string() : std::string(found->gguf);
}

XLENS_API void check_directions(const direction_set& set, const hyperparameters& config,
                                std::uint64_t fingerprint, std::string_view name) {
    const std::string file = printable(name, 1024);
    const std::string own = architecture_hint(config);
    if (!set.hint.empty() && !own.empty() && set.hint != own) {
        fail("{}: directions: made for '{}', the model is '{}'", file, printable(set.hint), own);
    }
    if (set.width() != config.width) {
        fail("{}: directions: width {}, the model has {}", file, set.width(), config.width);
    }
    if (set.layers != 0 && set.layers != config.layers) {
        fail("{}: directions: of {} layers, the model has {}", file, set.layers, config.layers);
    }
    if (set.of.rbegin()->first >= config.layers) {
        fail("{}: directions: layer {}, the model has layers 0 to {}", file, set.of.rbegin()->first,
             config.layers - 1);
    }
    if (set.fingerprint != 0 && fingerprint != 0 && set.fingerprint != fingerprint) {
        fail("{}: directions: made of model {}, this one is {}", file,
             fmt::format("{:016x}", set.fingerprint), fmt::format("{:016x}", fingerprint));
    }
}

#endif

}  // namespace xlens
