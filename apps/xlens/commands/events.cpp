// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "output/events_view.hpp"
#include "output/json_writer.hpp"
#include "output/note.hpp"
#include "output/progress.hpp"

#include <xlens/concepts/clusters_json.hpp>
#include <xlens/concepts/value_concepts.hpp>
#include <xlens/core/error.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/model.hpp>
#include <xlens/storage/open_files.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace xlens::program {

namespace {

struct events_flags {
    common_flags common;
    std::optional<std::string> file;
    text_flags how;
    std::optional<std::string> folder;
    std::optional<std::string> clusters;
    std::optional<std::string> lens;
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

event_run run_of(const events_flags& flags, const engine& opened) {
    const xlens::model& model = opened.model();
    const std::size_t context = model.config.context;
    event_run run;
    run.model = model.fingerprint();
    run.precision = opened.arithmetic();
    run.text = *flags.file;
    run.how = flags.how.options();
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
    o.lens = opened.lens();
    return run;
}

event_statistics read(const engine& opened, const event_run& run) {
    using clock = std::chrono::steady_clock;
    auto start = clock::now();  // of what the rate is about: after the first window
    std::size_t first = 0;      // tokens that an earlier run had read
    std::size_t last = 0;
    bool begun = false;
    progress_bar bar("events");
    const auto progress = [&](std::size_t done, std::size_t total) {
        if (!begun) {
            first = done;
            start = clock::now();
        }
        begun = true;
        last = done;
        bar(done, total);
    };
    event_statistics found = events(opened.model(), opened.text(), run, progress);
    const double seconds = std::chrono::duration<double>(clock::now() - start).count();
    if (last > first) {
        note(fmt::format("{} tokens, the last {} at {:.1f} a second", found.tokens, last - first,
                         static_cast<double>(last - first) / seconds));
    }
    return found;
}

std::optional<clusters> clusters_of(const events_flags& flags, const xlens::model& model) {
    if (!flags.clusters) { return std::nullopt; }
    return read_clusters(*flags.clusters, model.fingerprint(), model.config.layers,
                         model.config.inner_width);
}

/// The concepts of the value vectors that give extreme scores most often.
std::vector<std::shared_ptr<const token_ends>> concepts_of_often(const xlens::model& model,
                                                                 const functional_vectors& f) {
    std::vector<neuron> neurons;
    for (std::size_t i = 0; i < std::min(f.often.size(), named_vectors); ++i) {
        neurons.push_back(f.often[i].where);
    }
    return concepts_of(concept_reader(model, projection::folded), model.value_matrices(),
                       named_tokens, neurons);
}

void run(const events_flags& flags) {
    if (!flags.file) { fail("--file: expected a text file, got nothing"); }
    engine opened(flags.common);
    if (flags.lens) { opened.use_lens(*flags.lens); }
    const input_mark text(*flags.file);
    const xlens::model& model = opened.model();
    const event_run run = run_of(flags, opened);
    std::optional<clusters> of = clusters_of(flags, model);  // before the work: it may be refused
    const event_statistics found = read(opened, run);
    note(opened.manifest());
    const functional_vectors functional = find_functional(found);
    std::optional<counted_clusters> by_cluster;
    if (of) {
        functional_clusters counted = find_functional(found, *of, flags.seed);
        by_cluster = {*flags.clusters, std::move(*of), std::move(counted)};
    }
    const auto concepts = concepts_of_often(model, functional);
    const events_view view{opened, run, found, functional, concepts, by_cluster};
    run_record record = record_of(opened);
    record.seed = flags.seed;
    if (run.folder) { write_events_folder(view, record, *run.folder); }
    if (flags.common.json) {
        json_writer out(std::move(record));
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
    flags->common.declare_cache(a);
    a.text("--file", flags->file, "FILE", "The text, in UTF-8; - is standard input");
    flags->how.declare(a);
    a.text("-o", flags->folder, "FOLDER",
           "Folder for report.html, events.json and events.csv (a row an event);\n"
           "a run that was interrupted goes on from there");
    a.text("--lens", flags->lens, "FILE",
           "Read each layer through a fitted lens, see 'xlens trace --help'; scores of\n"
           "sub-updates stay as they are");
    a.text("--clusters", flags->clusters, "FILE",
           "Count extreme scores by the clusters of this file, too, which\n"
           "'xlens cluster' wrote; a finished run in -o is not read again");
    a.whole("--limit", flags->limit, 2, most,
            "Tokens to read at most, the start tokens of windows among them (all)");
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
