// SPDX-License-Identifier: BSD-3-Clause
#include "output/run_record.hpp"

#include "engine/edit_files.hpp"
#include "engine/engine.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/core/version.hpp>
#include <xlens/io/crc32.hpp>
#include <xlens/json/writer.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/model/model.hpp>
#include <xlens/text/utf8.hpp>

#include <fmt/format.h>

#include <span>
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

/// The files that edits name, and their checksums; null where one can be read but once.
void write_files(xlens::json_writer& out, const std::vector<edit_file>& files) {
    if (files.empty()) { return; }
    out.key("files");
    out.begin_array();
    for (const edit_file& file : files) {
        out.begin_object();
        out.field("file", replace_invalid(file.path));
        if (file.crc32) {
            out.field("crc32", fmt::format("{:08x}", *file.crc32));
        } else {
            out.key("crc32");
            out.literal("null");
        }
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
    write_files(out, files_of(edits));
    out.end_object();
}

/// What was computed with.
void write_model(xlens::json_writer& out, const run_record& run) {
    out.field("model", replace_invalid(run.model));
    out.field("fingerprint", fmt::format("{:016x}", run.fingerprint));
    out.field("precision", run.precision);
    out.field("instruction_set", run.instruction_set);
    out.field("threads", run.threads);
    if (run.cache != "f32") { out.field("cache", run.cache); }
    out.key("edits");
    write_edits(out, run.edits);
    out.key("seed");
    if (run.seed) {
        out.value(static_cast<std::size_t>(*run.seed));
    } else {
        out.literal("null");
    }
}

}  // namespace

run_record record_of(const engine& opened) {
    return {.model = opened.path(),
            .fingerprint = opened.model().fingerprint(),
            .precision = opened.precision(),
            .cache = opened.cache(),
            .instruction_set = std::string(instruction_set()),
            .threads = max_threads(),
            .lens = opened.lens_path(),
            .lens_fingerprint = opened.lens() == nullptr ? 0 : opened.lens()->hash()};
}

std::string edits_fingerprint(const edit_flags& edits) {
    if (edits.empty()) { return "none"; }
    for (const edit_file& file : files_of(edits)) {
        if (!file.crc32) {
            fail("{}: expected a file that can be read again, got what can be read but once",
                 printable(file.path, 1024));
        }
    }
    std::string out;
    {
        xlens::json_writer json(out);
        write_edits(json, edits);
    }
    // First what differs wherever they do, however little of them a message has room for.
    return fmt::format("{:08x} {}", crc32(std::as_bytes(std::span(out))), out);
}

void write_run(xlens::json_writer& out, const run_record& run, std::string_view key) {
    out.key(key);
    write_record(out, run);
}

void write_record(xlens::json_writer& out, const run_record& run) {
    out.begin_object();
    out.field("version", version);
    if (!run.model.empty()) { write_model(out, run); }
    if (!run.lens.empty()) {
        out.field("lens", run.lens);
        out.field("lens_fingerprint", fmt::format("{:016x}", run.lens_fingerprint));
    }
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
