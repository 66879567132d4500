// SPDX-License-Identifier: BSD-3-Clause
#include "events.hpp"

#include "progress.hpp"
#include "report.hpp"
#include "subcommands.hpp"
#include "trace_header.hpp"
#include "value_concept.hpp"

#include <xlens/concepts/clusters_json.hpp>
#include <xlens/core/error.hpp>
#include <xlens/events/functional_rows.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/report/events_page.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/open_files.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace xlens::program {

namespace {

struct events_flags {
    common_flags common;
    std::optional<std::string> file;
    std::optional<std::string> folder;
    std::optional<std::string> clusters;
    std::optional<std::size_t> limit;
    std::optional<std::size_t> window;
    std::optional<float> threshold;
    std::string form;
    std::size_t every = 1;
    std::size_t skipped = 1;
    std::size_t sub_updates = 10;
    std::size_t measured = 8;
    std::size_t seed = 0;
    std::size_t batch = 512;
};

event_run run_of(const events_flags& flags, std::size_t context) {
    event_run run;
    run.text = *flags.file;
    run.limit = flags.limit;
    if (flags.folder) { run.folder = *flags.folder; }
    event_options& o = run.options;
    o.window = flags.window.value_or(std::min(o.window, context));
    if (o.window > context) {
        fail("--window: expected 2 to {}, the model's context, got {}", context, o.window);
    }
    o.sub_updates = flags.sub_updates;
    o.seed = flags.seed;
    o.form = parse_projection(flags.form);
    o.threshold = flags.threshold.value_or(o.threshold);
    if (o.threshold <= 0.0F) { fail("--threshold: expected more than 0, got {}", o.threshold); }
    o.every = flags.every;
    o.skipped = flags.skipped;
    o.measured = flags.measured;
    o.batch = flags.batch;
    return run;
}

event_statistics read(const engine& model, const event_run& run) {
    using clock = std::chrono::steady_clock;
    auto start = clock::now();  // of what the rate is about: after the first window
    std::size_t first = 0;      // tokens that an earlier run had read
    std::size_t last = 0;
    bool begun = false;
    progress_bar bar("events");
    event_statistics found = model.events(run, [&](std::size_t done, std::size_t total) {
        if (!begun) {
            first = done;
            start = clock::now();
        }
        begun = true;
        last = done;
        bar(done, total);
    });
    const double seconds = std::chrono::duration<double>(clock::now() - start).count();
    if (last > first) {
        note(fmt::format("{} tokens, the last {} at {:.1f} a second", found.tokens, last - first,
                         static_cast<double>(last - first) / seconds));
    }
    return found;
}

void write_file(const std::filesystem::path& path, const std::string& text) {
    atomic_file file(path);
    file.write(std::as_bytes(std::span(text)));
    file.commit();
}

constexpr std::size_t shown = 30;  // of value vectors and clusters in the report

std::string words_of(const engine& model, std::span<const scored> tokens) {
    std::string out;
    for (const scored& t : tokens) { out += token_label(model, t.id) + " "; }
    return out;
}

std::string report_of(const events_view& view) {
    constexpr std::size_t tokens = 10;
    const auto name = [](const std::filesystem::path& path) { return path.filename().string(); };
    event_report report{.model = name(view.model.path()),
                        .text = name(view.run.text),
                        .manifest = view.model.manifest(),
                        .options = view.run.options,
                        .found = view.found,
                        .functional = view.functional,
                        .promoted = {},
                        .by_cluster = view.by_cluster ? &view.by_cluster->functional : nullptr,
                        .cluster_concepts = {}};
    for (std::size_t i = 0; i < std::min(view.functional.often.size(), shown); ++i) {
        const neuron& where = view.functional.often[i].where;
        report.promoted.push_back(
            words_of(view.model, view.model.concept_of(where, tokens, "folded").ends.promotes));
    }
    if (view.by_cluster) {
        const auto& [path, of, found] = *view.by_cluster;
        for (std::size_t i = 0; i < std::min(found.often, shown); ++i) {
            const cluster& c = of.all()[found.ranked[i].id];
            report.cluster_concepts.push_back(words_of(view.model, c.concept_of_centroid.promotes));
        }
    }
    return event_report_page(report);
}

std::optional<clusters> clusters_of(const events_flags& flags, const engine& model) {
    if (!flags.clusters) { return std::nullopt; }
    return read_clusters(*flags.clusters, model.facts().fingerprint, model.config().layers,
                         model.config().inner_width);
}

void write_files(const events_view& view, const std::filesystem::path& folder) {
    std::string text;
    {
        json_writer out(text);
        write_events(out, view);
    }
    write_file(folder / "events.json", text);
    const auto& by_cluster = view.by_cluster;
    write_file(folder / "functional.csv",
               functional_rows(view.found, by_cluster ? &by_cluster->of : nullptr));
    if (by_cluster) {
        write_file(folder / "functional_clusters.csv",
                   functional_cluster_rows(by_cluster->functional, by_cluster->of,
                                           [&](token_id id) { return view.model.token_text(id); }));
    }
    write_file(folder / "report.html", report_of(view));
}

void run(const events_flags& flags) {
    if (!flags.file) { fail("--file: expected a text file, got nothing"); }
    const engine model(flags.common);
    const input_mark text(*flags.file);
    const event_run run = run_of(flags, model.config().context);
    std::optional<clusters> of = clusters_of(flags, model);  // before the work: it may be refused
    const event_statistics found = read(model, run);
    note(model.manifest());
    const functional_vectors functional = find_functional(found);
    std::optional<counted_clusters> by_cluster;
    if (of) {
        functional_clusters counted = find_functional(found, *of, flags.seed);
        by_cluster = {*flags.clusters, std::move(*of), std::move(counted)};
    }
    const events_view view{model, run, found, functional, by_cluster};
    if (run.folder) { write_files(view, *run.folder); }
    if (flags.common.json) {
        json_writer out;
        write_events(out, view);
    } else {
        print_events(view);
    }
}

}  // namespace

void add_events(command_line& program) {
    constexpr std::size_t most = std::size_t{1} << 40U;
    const auto flags = std::make_shared<events_flags>();
    arguments a = program.add(
        "events", "Find what FFN updates promote and eliminate in a text, and how",
        "xlens events default --file book.txt --limit 20000 -o book", [flags] { run(*flags); });
    flags->common.declare(a);
    a.text("--file", flags->file, "FILE", "The text, in UTF-8");
    a.text("-o", flags->folder, "FOLDER",
           "Folder for report.html, events.json and events.csv (a row an event);\n"
           "a run that was interrupted goes on from there");
    a.text("--clusters", flags->clusters, "FILE",
           "Count extreme scores by the clusters of this file, too, which\n"
           "'xlens cluster' wrote; a finished run in -o is not read again");
    a.whole("--limit", flags->limit, 2, most, "Tokens to read at most (all)");
    a.whole("--window", flags->window, 2, 1U << 28U,
            "Tokens that are read together (512, or the model's context)");
    a.whole("--every", flags->every, 1, most, "Read every N-th window only");
    a.whole("--skip", flags->skipped, 0, 1U << 28U,
            "First positions of a window, read but not looked at");
    a.choice("--projection", flags->form, {"folded", "raw"},
             "Scores that the table, events.csv and --threshold are about:\n"
             "with the final norm's gain, or as the paper has them");
    a.number("--threshold", flags->threshold, "Scores of this size, either sign, are extreme (10)");
    a.whole("--sub-updates", flags->sub_updates, 1, 1U << 20U, "Dominant sub-updates a layer");
    a.whole("--measured", flags->measured, 1, most,
            "Log-probabilities for every saturation and one elimination in N");
    a.whole("--seed", flags->seed, 0, most, "Seed of random sub-updates and random vectors");
    a.whole("--batch", flags->batch, 1, 1U << 20U,
            "Positions of a pass: changes memory, not results");
}

}  // namespace xlens::program
