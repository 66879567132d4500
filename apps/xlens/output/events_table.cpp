// SPDX-License-Identifier: BSD-3-Clause
#include "output/events_view.hpp"

#include "output/cells.hpp"
#include "output/names.hpp"
#include "output/table_line.hpp"

#include <xlens/core/neuron.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

namespace xlens::program {

namespace {

constexpr std::size_t label_column = 22;  // columns of a table
constexpr std::size_t number_column = 19;

/// "1.234 ± 0.056".
std::string with_margin(const clustered_mean& m) {
    if (std::isnan(m.mean())) { return "-"; }
    if (std::isnan(m.margin())) { return fmt::format("{:.3f}", m.mean()); }
    return fmt::format("{:.3f} ± {:.3f}", m.mean(), m.margin());
}

void print_set(const events_view& view, update_set set, std::string_view title) {
    const update_means& means = view.found.of(set);
    const std::size_t all = means.layers();
    table_line()
        .cell(title, label_column, style::bold)
        .put(fmt::format(
                 "{}, {:.2f} a token", means.count(all),
                 static_cast<double>(means.count(all)) / static_cast<double>(view.found.positions)),
             style::dim)
        .print();
    table_line heading;
    heading.cell("  score of the token", label_column, style::dim);
    for (const char* name : {"mean", "max", "min"}) {
        heading.right(name, number_column, style::dim);
    }
    heading.print();
    const bool raw = view.run.options.form == projection::raw;
    for (std::size_t g = 0; g < score_groups.size(); ++g) {
        for (const bool centred : {false, true}) {
            const auto form = static_cast<score_form>((raw ? 2 : 0) + (centred ? 1 : 0));
            table_line line;
            line.cell(fmt::format("  {}{}", score_groups[g], centred ? ", centred" : ""),
                      label_column);
            for (std::size_t s = 0; s < 3; ++s) {
                const auto column = update_columns::of(static_cast<score_group>(g), form, s);
                line.right(with_margin(means.of(all, column)), number_column);
            }
            line.print();
        }
    }
    if (set == update_set::all) { return; }
    table_line()
        .cell("  whole update, centred", label_column + 2)
        .put(fmt::format("{}; of the other token {}",
                         with_margin(means.of(all, update_columns::whole_centred)),
                         with_margin(means.of(all, update_columns::other_centred))))
        .print();
    table_line()
        .cell("  log p of the token", label_column)
        .put(fmt::format("{} before, {} after, change {}",
                         with_margin(means.of(all, update_columns::log_before)),
                         with_margin(means.of(all, update_columns::log_after)),
                         with_margin(means.of(all, update_columns::log_change))))
        .print();
}

void print_layers(const events_view& view) {
    const update_means& all = view.found.of(update_set::all);
    const std::size_t form = view.run.options.form == projection::raw ? 2 : 0;
    table_line()
        .cell("layer", 6, style::dim)
        .right("saturations", 12, style::dim)
        .right("eliminations", 14, style::dim)
        .right("mean", 10, style::dim)
        .right("max", 10, style::dim)
        .right("min", 10, style::dim)
        .right("dominance", 11, style::dim)
        .right("norm", 8, style::dim)
        .right("extreme", 10, style::dim)
        .print();
    for (std::size_t l = 0; l < view.found.layers; ++l) {
        table_line line;
        line.cell(std::to_string(l), 6);
        line.right(std::to_string(view.found.of(update_set::saturation).count(l)), 12);
        line.right(std::to_string(view.found.of(update_set::elimination).count(l)), 14);
        for (std::size_t s = 0; s < 3; ++s) {
            const auto column =
                update_columns::of(score_group::dominant, static_cast<score_form>(form), s);
            line.right(fmt::format("{:.2f}", all.of(l, column).mean()), 10);
        }
        line.right(percent(static_cast<float>(all.of(l, update_columns::dominance_share).mean())),
                   11);
        line.right(percent(static_cast<float>(all.of(l, update_columns::norm_share).mean())), 8);
        line.right(percent(static_cast<float>(view.found.extreme_updates[l]) /
                           static_cast<float>(view.found.positions)),
                   10);
        line.print();
    }
}

void print_functional(const events_view& view) {
    const functional_vectors& f = view.functional;
    const std::size_t vectors = view.found.neurons.size();
    table_line()
        .cell("extreme scores", label_column, style::bold)
        .put(fmt::format("{} of ±{} or more: {} promote, {} suppress", f.promoting + f.suppressing,
                         view.run.options.threshold, f.promoting, f.suppressing),
             style::dim)
        .print();
    table_line()
        .put(fmt::format(
            "  {} of {} value vectors give half, {} nine tenths; {} ({}) at 1 position in {}",
            f.half, vectors, f.nine_tenths, f.often.size(),
            share_text(f.own.groups, f.own.groups_margin), functional_rarest))
        .print();
    constexpr std::size_t shown = 10;
    constexpr std::size_t tokens = 8;
    for (std::size_t i = 0; i < std::min(view.concepts.size(), shown); ++i) {
        const functional_vector& v = f.often[i];
        table_line line;
        line.put("  ").cell(to_string(v.where), 9, style::accent);
        line.right(fmt::format("+{} -{}", v.counts.promotes, v.counts.suppresses), 15).put("  ");
        const std::span<const scored> promotes = view.concepts[i]->promotes;
        for (const scored& token : promotes.first(std::min(promotes.size(), tokens))) {
            line.put(token_label(view.model, token.id)).put(" ");
        }
        line.print();
    }
}

}  // namespace

void print_events(const events_view& view) {
    const event_statistics& found = view.found;
    const auto settled_share = [&](settled how) {
        return percent(static_cast<float>(found.settled_counts[static_cast<std::size_t>(how)]) /
                       static_cast<float>(found.positions));
    };
    table_line()
        .put(fmt::format("{} positions in {} windows of {}; {} scores; 95 % intervals by window",
                         found.positions, found.windows, view.run.options.window,
                         view.run.options.form == projection::raw ? "raw" : "folded"),
             style::dim)
        .print();
    table_line()
        .put(
            fmt::format("final token on top for good: by an FFN update {}, by attention {}, in the "
                        "last layer {}",
                        settled_share(settled::by_ffn), settled_share(settled::by_attention),
                        settled_share(settled::at_the_end)))
        .print();
    fmt::print("\n");
    print_set(view, update_set::saturation, "saturations");
    print_set(view, update_set::elimination, "eliminations");
    print_set(view, update_set::all, "top candidates");
    fmt::print("\n");
    print_layers(view);
    fmt::print("\n");
    print_functional(view);
    if (!view.by_cluster) { return; }
    fmt::print("\n");
    print_functional_clusters(view, *view.by_cluster);
}

}  // namespace xlens::program
