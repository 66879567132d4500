// SPDX-License-Identifier: BSD-3-Clause
#include "output/drafts.hpp"

#include <xlens/early_exit/verified.hpp>

#include <fmt/format.h>

namespace xlens::program {

void write_drafts(json_writer& out, const early_exit::draft_counts& counts, std::size_t layers) {
    out.begin_object();
    out.field("drafts", counts.drafts);
    out.field("accepted", counts.accepted);
    out.field("passes", counts.passes);
    out.field("tokens_per_pass", counts.tokens_per_pass());
    out.field("saved_layers", counts.saved_layers(layers));
    out.end_object();
}

std::string draft_words(const early_exit::draft_counts& counts, std::size_t layers) {
    return fmt::format("{} of {} drafts accepted; {:.2f} tokens a pass, {:.1f} of {} layers saved",
                       counts.accepted, counts.drafts, counts.tokens_per_pass(),
                       counts.saved_layers(layers), layers);
}

}  // namespace xlens::program
