// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "output/json_writer.hpp"

#include <cstddef>
#include <string>

namespace xlens::early_exit {
struct draft_counts;
}

namespace xlens::program {

/// {"drafts", "accepted", "passes", "tokens_per_pass", "saved_layers"}, of a model of L layers.
void write_drafts(json_writer& out, const early_exit::draft_counts& counts, std::size_t layers);

/// The same in words.
std::string draft_words(const early_exit::draft_counts& counts, std::size_t layers);

}  // namespace xlens::program
