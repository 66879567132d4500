// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"

int main(int count, char** values) {
    using namespace xlens::program;
    command_line program;
    add_info(program);
    add_tokenize(program);
    add_trace(program);
    add_concept(program);
    add_index(program);
    add_search(program);
    add_cluster(program);
    add_attribute(program);
    add_patch(program);
    add_generate(program);
    add_perplexity(program);
    add_direction(program);
    add_compare(program);
    add_events(program);
    add_capture(program);
    add_merge(program);
    add_examples(program);
    add_exit(program);
    add_lens(program);
    add_sae(program);
    return program.run(count, values);
}
