// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "output/json_writer.hpp"

#include <xlens/concepts/concept_quality.hpp>
#include <xlens/core/types.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace xlens {
struct value_concept;
}

namespace xlens::program {

/// Both ends of a concept beside those of random vectors.
struct concept_beside_random {
    controlled_concept found;
    std::size_t vectors = 0;
    std::uint64_t seed = 0;
};

/// The document of `xlens concept --json`.
void write_concept(json_writer& out, const engine& model, const neuron& where,
                   const value_concept& found, const std::optional<concept_beside_random>& control);
/// A table of both ends.
void print_concept(const engine& model, const neuron& where, const value_concept& found,
                   const std::string& form);
void print_control(const concept_beside_random& control);

}  // namespace xlens::program
