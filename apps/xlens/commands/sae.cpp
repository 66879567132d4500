// SPDX-License-Identifier: BSD-3-Clause
#include "output/sae.hpp"
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "engine/policies.hpp"
#include "engine/read.hpp"
#include "output/cells.hpp"
#include "output/concept_cell.hpp"
#include "output/json_writer.hpp"
#include "output/names.hpp"
#include "output/note.hpp"
#include "output/print_edits.hpp"
#include "output/progress.hpp"
#include "output/table_line.hpp"
#include "output/token_json.hpp"

#include <xlens/core/error.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/model.hpp>
#include <xlens/sae/feature_concepts.hpp>
#include <xlens/sae/feature_trace.hpp>
#include <xlens/sae/read_sae.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace xlens::program {

namespace {

struct sae_flags {
    common_flags common;
    std::string folder;
    prompt_flags prompt;
    edit_flags edits;
    std::optional<std::string> positions;
    std::optional<std::size_t> feature;
    std::optional<std::size_t> layer;
    std::optional<std::string> site;
    std::size_t features = 10;
    std::size_t top = 10;
};

/// Features and their concepts, each computed once.
using concepts_by_feature = std::map<std::size_t, token_ends>;

concepts_by_feature concepts_of(const xlens::model& model, const sparse_autoencoder& sae,
                                std::span<const feature_position> positions, std::size_t top) {
    std::vector<std::size_t> features;
    for (const feature_position& p : positions) {
        for (const active_feature& f : p.features) { features.push_back(f.feature); }
    }
    std::ranges::sort(features);
    features.erase(std::unique(features.begin(), features.end()), features.end());
    const std::vector<token_ends> ends = feature_concepts(model, sae, features, top);
    concepts_by_feature out;
    for (std::size_t i = 0; i < features.size(); ++i) { out.emplace(features[i], ends[i]); }
    return out;
}

void show_feature(const engine& opened, const sparse_autoencoder& sae, const sae_flags& flags) {
    const std::vector<std::size_t> one{*flags.feature};
    const token_ends ends = feature_concepts(opened.model(), sae, one, flags.top).front();
    if (flags.common.json) {
        json_writer out(record_of(opened));
        out.begin_object();
        write_sae(out, sae);
        out.field("feature", *flags.feature);
        write_ends(out, opened, ends);
        out.end_object();
        return;
    }
    fmt::print("{}\n", sae_text(sae));
    for (const auto& [name, list] :
         {std::pair("promotes", &ends.promotes), std::pair("suppresses", &ends.suppresses)}) {
        table_line line;
        line.cell(name, 12, style::bold);
        for (const scored& s : *list) {
            line.put(token_label(opened, s.id)).put(fmt::format(" {:.3g}  ", s.score), style::dim);
        }
        line.print();
    }
}

void write_positions(const engine& opened, const sparse_autoencoder& sae,
                     std::span<const token_id> tokens, std::span<const feature_position> positions,
                     const concepts_by_feature& concepts, const edit_flags& edits) {
    run_record run = record_of(opened);
    run.edits = edits;
    json_writer out(std::move(run));
    out.begin_object();
    write_sae(out, sae);
    out.key("tokens");
    out.begin_array();
    for (const token_id id : tokens) { write_token(out, opened, id); }
    out.end_array();
    out.key("positions");
    out.begin_array();
    for (const feature_position& p : positions) {
        out.begin_object();
        out.field("position", p.position);
        out.field("active", p.active);
        out.field("unexplained", p.unexplained);
        out.key("features");
        out.begin_array();
        for (const active_feature& f : p.features) {
            out.begin_object();
            out.field("feature", f.feature);
            out.field("activation", f.activation);
            write_ends(out, opened, concepts.at(f.feature));
            out.end_object();
        }
        out.end_array();
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

void print_positions(const engine& opened, const sparse_autoencoder& sae,
                     std::span<const token_id> tokens, std::span<const feature_position> positions,
                     const concepts_by_feature& concepts, const edit_flags& edits) {
    fmt::print("{}\n", sae_text(sae));
    print_edits(edits);
    for (const feature_position& p : positions) {
        table_line head;
        head.put(fmt::format("{} ", p.position), style::dim)
            .put(token_label(opened, tokens[p.position]), style::bold)
            .put(fmt::format("  {} active, {:.1f} % unexplained", p.active, 100.0 * p.unexplained),
                 style::dim);
        head.print();
        for (const active_feature& f : p.features) {
            table_line line;
            line.right(std::to_string(f.feature), 8).right(fmt::format("{:.2f}", f.activation), 10);
            line.put("  ");
            for (const scored& s : concepts.at(f.feature).promotes) {
                const std::string label = token_label(opened, s.id);
                if (line.left(page_width) <= columns(label)) { break; }
                line.put(label).put(" ");
            }
            line.print();
        }
    }
}

void run(const sae_flags& flags) {
    const bool prompted = flags.prompt.text || flags.prompt.ids || flags.prompt.as.messages;
    if (prompted == flags.feature.has_value()) {
        fail("--prompt, --feature: expected one of the two, got {}", prompted ? "both" : "neither");
    }
    const engine opened(flags.common);
    sae_override place;
    place.layer = flags.layer;
    if (flags.site) { place.site = find_sae_site(*flags.site); }
    const sparse_autoencoder sae = read_sae(flags.folder, place);
    sae.check(opened.model().sizes());
    if (flags.feature) { return show_feature(opened, sae, flags); }
    const std::vector<token_id> tokens = read_prompt(opened, flags.prompt);
    dynamic_policies edits =
        interventions_of(flags.edits, opened.model(), {tokens.size(), tokens.size()});
    note(opened.manifest());
    std::vector<feature_position> positions = [&] {
        progress_bar bar("sae");
        return trace_features(opened.model(), sae, tokens,
                              {.features = flags.features, .progress = std::ref(bar)}, edits);
    }();
    if (flags.positions != "all") { positions.erase(positions.begin(), positions.end() - 1); }
    const concepts_by_feature concepts = concepts_of(opened.model(), sae, positions, flags.top);
    if (flags.common.json) {
        write_positions(opened, sae, tokens, positions, concepts, flags.edits);
    } else {
        print_positions(opened, sae, tokens, positions, concepts, flags.edits);
    }
}

}  // namespace

void add_sae(command_line& program) {
    constexpr std::size_t most = 100'000;
    const auto flags = std::make_shared<sae_flags>();
    arguments a = program.add(
        "sae", "Show active features of a sparse autoencoder, and what they promote",
        "xlens sae gemma.gguf layer_12/width_16k/average_l0_82 --prompt \"The capital of France\"\n"
        "  xlens sae gemma.gguf layer_12/width_16k/average_l0_82 --feature 1033",
        [flags] { run(*flags); });
    flags->common.declare(a);
    flags->common.declare_cache(a);
    a.positional("FOLDER", flags->folder,
                 "A sparse autoencoder of SAELens, Gemma Scope or Gemma Scope 2");
    flags->prompt.declare(a);
    flags->prompt.declare_chat(a);
    a.choice("--positions", flags->positions, {"last", "all"}, "The last position, or all");
    a.whole("--features", flags->features, 1, most, "Features of a position, the most active");
    a.whole("--top", flags->top, 1, most, "Tokens of each end of a feature");
    a.whole("--feature", flags->feature, 0, 1U << 28U, "Show this feature alone, of no prompt");
    a.whole("--layer", flags->layer, 0, most, "Layer that it reads, where its folder tells none");
    a.choice("--site", flags->site, {"entering", "before", "after", "attention_out", "ffn_out"},
             "What it reads of the layer, likewise");
    flags->edits.declare(a);
}

}  // namespace xlens::program
