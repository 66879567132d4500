// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "output/clusters.hpp"
#include "output/note.hpp"
#include "output/progress.hpp"
#include "output/run_record.hpp"

#include <xlens/concepts/cluster_values.hpp>
#include <xlens/core/error.hpp>
#include <xlens/model/model.hpp>
#include <xlens/storage/atomic_file.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>

namespace xlens::program {

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20U;

struct cluster_flags {
    common_flags common;
    std::optional<std::size_t> clusters;
    std::optional<std::string> path;
    std::string method;
    std::string space;
    std::string form;
    std::optional<std::size_t> sample;
    std::size_t seed = 0;
    std::optional<std::size_t> rounds;
    std::optional<float> tolerance;
    std::optional<std::size_t> memory;
    std::size_t top = 10;
    std::size_t limit = 40;
    bool shuffle = false;

    [[nodiscard]] cluster_options options() const {
        if (!clusters) { fail("-k: expected a number of clusters, got nothing"); }
        cluster_options out;
        out.method = parse_cluster_method(method);
        out.space = parse_cluster_space(space);
        out.form = parse_projection(form);
        out.clusters = *clusters;
        out.seed = seed;
        out.sample = sample.value_or(0);
        out.top = top;
        out.shuffle = shuffle;
        const bool complete = out.method == cluster_method::complete;
        for (const auto& [flag, given, fits] :
             {std::tuple{"--rounds", rounds.has_value(), !complete},
              {"--tolerance", tolerance.has_value(), !complete},
              {"--memory", memory.has_value(), complete}}) {
            if (given && !fits) { fail("{}: not for --method {}", flag, method); }
        }
        out.k_means.rounds = rounds.value_or(100);
        out.k_means.tolerance = double{tolerance.value_or(1e-5F)};
        if (out.k_means.tolerance < 0.0) {
            fail("--tolerance: expected at least 0, got {}", out.k_means.tolerance);
        }
        out.linkage.memory = memory.value_or(1024) * mebibyte;
        return out;
    }
};

void run(const cluster_flags& flags) {
    const cluster_options options = flags.options();
    const engine opened(flags.common);
    std::optional<atomic_file> file;
    if (flags.path) { file.emplace(*flags.path); }  // refused now, not after the work
    const cluster_report report = [&] {
        progress_bar bar("cluster");
        const xlens::model& model = opened.model();
        return cluster_values(model, model.fingerprint(), options, std::ref(bar));
    }();
    if (file || flags.common.json) {
        run_record run = record_of(opened);
        run.seed = flags.seed;
        const std::string text = clusters_document(opened, report, run);
        if (file) {
            file->write(std::as_bytes(std::span(text)));
            file->commit();
        }
        if (flags.common.json) { std::fwrite(text.data(), 1, text.size(), stdout); }
    }
    if (!flags.common.json) { print_clusters(opened, report, flags.limit); }
    note(fmt::format("{}, seed {}", opened.manifest(), flags.seed));
}

}  // namespace

void add_cluster(command_line& program) {
    constexpr std::size_t most = 100'000'000;
    const auto flags = std::make_shared<cluster_flags>();
    arguments a = program.add("cluster", "Group value vectors that point in similar directions",
                              "xlens cluster default -k 200 --shuffle -o default.clusters.json",
                              [flags] { run(*flags); });
    flags->common.declare(a);
    a.whole("-k", flags->clusters, 1, most, "Clusters to make");
    a.text("-o", flags->path, "FILE", "File to write them to, as JSON");
    a.choice("--method", flags->method, {"kmeans", "complete"},
             "Spherical k-means, or complete linkage on cosine distance");
    a.choice("--space", flags->space, {"raw", "projected", "centred"},
             "Cosines of v; of projections; of those less their mean");
    a.choice("--projection", flags->form, {"folded", "raw", "normed", "standard"},
             "How v is read: with the final norm's gain, as it is, normed, or beside what\n"
             "all value vectors score for each token");
    a.whole("--sample", flags->sample, 1, most, "Take this many value vectors at random (all)");
    a.whole("--seed", flags->seed, 0, std::numeric_limits<std::size_t>::max(),
            "Of the first centroids, the sample and the shuffle");
    a.whole("--rounds", flags->rounds, 0, 1'000'000, "Most rounds of k-means (100)");
    a.number("--tolerance", flags->tolerance,
             "K-means ends when a round takes less than this share off Σ(1 - cos) (1e-5)");
    a.whole("--memory", flags->memory, 1, most,
            "Most MiB for the distances of complete linkage (1024)");
    a.flag("--shuffle", flags->shuffle,
           "Do the same to vectors with shuffled components, for comparison");
    a.whole("--top", flags->top, 1, most, "Tokens of each end of a concept");
    a.whole("--limit", flags->limit, 0, most, "Clusters that the table shows");
}

}  // namespace xlens::program
