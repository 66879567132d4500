// SPDX-License-Identifier: BSD-3-Clause
#include "output/events_view.hpp"
#include "output/json_writer.hpp"
#include "output/names.hpp"

#include <xlens/events/functional_rows.hpp>
#include <xlens/report/events_page.hpp>
#include <xlens/storage/atomic_file.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

// What `xlens events -o FOLDER` leaves there besides the events themselves.

namespace xlens::program {

namespace {

void write_file(const std::filesystem::path& path, const std::string& text) {
    atomic_file file(path);
    file.write(std::as_bytes(std::span(text)));
    file.commit();
}

constexpr std::size_t most_in_report = 30;  // of value vectors and clusters in the report

std::string words_of(const engine& model, std::span<const scored> tokens) {
    std::string out;
    for (const scored& t : tokens) { out += token_label(model, t.id) + " "; }
    return out;
}

std::string report_of(const events_view& view) {
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
    for (std::size_t i = 0; i < std::min(view.concepts.size(), most_in_report); ++i) {
        report.promoted.push_back(words_of(view.model, view.concepts[i]->promotes));
    }
    if (view.by_cluster) {
        const auto& [path, of, found] = *view.by_cluster;
        for (std::size_t i = 0; i < std::min(found.often, most_in_report); ++i) {
            const cluster& c = of.all()[found.ranked[i].id];
            report.cluster_concepts.push_back(words_of(view.model, c.concept_of_centroid.promotes));
        }
    }
    return event_report_page(report);
}

}  // namespace

void write_events_folder(const events_view& view, const run_record& run,
                         const std::filesystem::path& folder) {
    std::string text;
    {
        json_writer out(text, run);
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

}  // namespace xlens::program
