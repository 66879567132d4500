// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "flags/arguments.hpp"

namespace xlens::program {

// Each adds one subcommand; the file of that name holds it.
void add_info(command_line& program);
void add_tokenize(command_line& program);
void add_trace(command_line& program);
void add_concept(command_line& program);
void add_index(command_line& program);
void add_search(command_line& program);
void add_cluster(command_line& program);
void add_generate(command_line& program);
void add_patch(command_line& program);
void add_perplexity(command_line& program);
void add_compare(command_line& program);
void add_events(command_line& program);
void add_attribute(command_line& program);
void add_direction(command_line& program);
void add_capture(command_line& program);
void add_merge(command_line& program);
void add_examples(command_line& program);
void add_exit(command_line& program);
void add_lens(command_line& program);
void add_sae(command_line& program);

}  // namespace xlens::program
