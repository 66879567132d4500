// SPDX-License-Identifier: BSD-3-Clause
#include "output/run_record.hpp"

#include "engine/engine.hpp"

#include <xlens/core/neuron.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/core/version.hpp>
#include <xlens/io/crc32.hpp>
#include <xlens/json/writer.hpp>
#include <xlens/model/model.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/text/utf8.hpp>

#include <fmt/format.h>

#include <vector>

namespace xlens::program {

namespace {

void write_changes(xlens::json_writer& out, std::string_view key,
                   const std::vector<edit_flags::change>& changes) {
    if (changes.empty()) { return; }
    out.key(key);
    out.begin_array();
    for (const auto& [where, value] : changes) {
        out.begin_object();
        out.field("neuron", to_string(where));
        out.field("value", value);
        out.end_object();
    }
    out.end_array();
}

void write_edits(xlens::json_writer& out, const edit_flags& edits) {
    out.begin_object();
    write_changes(out, "set", edits.set);
    write_changes(out, "scale", edits.scale);
    if (edits.recipe) { out.field("recipe", replace_invalid(*edits.recipe)); }
    if (!edits.features.empty()) {
        out.key("steer_features");
        out.begin_array();
        for (const edit_flags::feature& f : edits.features) {
            out.begin_object();
            out.field("sae", replace_invalid(f.sae));
            out.field("feature", f.index);
            out.field("value", f.value);
            out.end_object();
        }
        out.end_array();
    }
    if (!edits.steers.empty()) {
        out.key("steer");
        out.begin_array();
        for (const edit_flags::steering& s : edits.steers) {
            out.begin_object();
            out.field("file", replace_invalid(s.file));
            if (!s.layers.empty()) {
                out.key("layers");
                out.begin_array();
                for (const std::size_t l : s.layers) { out.value(l); }
                out.end_array();
            }
            out.field("strength", s.strength);
            out.end_object();
        }
        out.end_array();
    }
    if (!edits.bans.empty()) {
        out.key("ban");
        out.begin_array();
        for (const std::string& word : edits.bans) { out.value(replace_invalid(word)); }
        out.end_array();
    }
    out.end_object();
}

}  // namespace

run_record record_of(const engine& opened) {
    return {.model = opened.path(),
            .fingerprint = opened.model().fingerprint(),
            .precision = opened.precision(),
            .cache = opened.cache(),
            .instruction_set = std::string(instruction_set()),
            .threads = max_threads(),
            .lens = opened.lens_path()};
}

std::string edits_fingerprint(const edit_flags& edits) {
    if (edits.empty()) { return "none"; }
    std::string out;
    xlens::json_writer json(out);
    write_edits(json, edits);
    const auto add_contents = [&](const std::string& file) {
        out += fmt::format(", {:08x}", crc32(mapped_file(file).bytes()));
    };
    if (edits.recipe) { add_contents(*edits.recipe); }
    for (const edit_flags::steering& s : edits.steers) { add_contents(s.file); }
    return out;
}

void write_run(xlens::json_writer& out, const run_record& run, std::string_view key) {
    out.key(key);
    write_record(out, run);
}

void write_record(xlens::json_writer& out, const run_record& run) {
    out.begin_object();
    out.field("version", version);
    out.field("model", replace_invalid(run.model));
    out.field("fingerprint", fmt::format("{:016x}", run.fingerprint));
    out.field("precision", run.precision);
    out.field("instruction_set", run.instruction_set);
    out.field("threads", run.threads);
    if (run.cache != "f32") { out.field("cache", run.cache); }
    if (!run.edits.empty()) {
        out.key("edits");
        write_edits(out, run.edits);
    }
    if (run.seed) { out.field("seed", static_cast<std::size_t>(*run.seed)); }
    if (!run.lens.empty()) { out.field("lens", run.lens); }
    if (run.exit_rule) { out.field("exit", replace_invalid(*run.exit_rule)); }
    if (run.prompt) {
        out.field("prompts", replace_invalid(run.prompt->file));
        out.field("line", run.prompt->line);
        if (!run.prompt->metadata.empty()) {
            out.key("metadata");
            out.literal(run.prompt->metadata);
        }
    }
    out.end_object();
}

}  // namespace xlens::program
