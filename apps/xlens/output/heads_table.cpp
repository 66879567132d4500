// SPDX-License-Identifier: BSD-3-Clause
#include "output/heads_table.hpp"

#include "output/cells.hpp"
#include "output/names.hpp"
#include "output/table_line.hpp"

#include <xlens/core/attention_head.hpp>
#include <xlens/trace/attribution.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

namespace xlens::program {

namespace {

constexpr std::size_t bars_begin = 44;  // column where they begin

/// A head or a position, and what it adds.
struct adding_part {
    std::size_t layer = 0;
    std::size_t index = 0;
    float adds = 0.0F;
};

/// The `limit` parts of largest magnitude, largest first.
std::vector<adding_part> largest(std::vector<adding_part> parts, std::size_t limit) {
    std::stable_sort(parts.begin(), parts.end(), [](const adding_part& x, const adding_part& y) {
        return std::abs(x.adds) > std::abs(y.adds);
    });
    parts.resize(std::min(parts.size(), limit));
    return parts;
}

double sum_of(const std::vector<adding_part>& parts) {
    return std::accumulate(parts.begin(), parts.end(), 0.0,
                           [](double sum, const adding_part& p) { return sum + double{p.adds}; });
}

/// █ for what is added, ▒ for what is taken; a whole line is `most`.
void put_bar(table_line& line, float adds, float most) {
    if (!(most > 0.0F) || !std::isfinite(adds)) { return; }
    constexpr std::size_t width = page_width - bars_begin;
    const double share = double{std::abs(adds)} / double{most} * static_cast<double>(width);
    line.to(bars_begin);
    for (std::size_t c = 0; c < std::min(width, static_cast<std::size_t>(share + 0.5)); ++c) {
        line.put(adds < 0.0F ? "▒" : "█", style_of_sign(double{adds}));
    }
}

void print_title(const std::string& what, const std::string& sums) {
    std::fputc('\n', stdout);
    table_line title;
    title.put(what, style::bold).put(sums, style::dim).print();
}

}  // namespace

void print_heads(const attribution& a, std::size_t limit) {
    if (a.heads.empty()) { return; }
    std::vector<adding_part> all;
    double biases = 0.0;
    float gap = 0.0F;
    for (std::size_t l = 0; l < a.heads.size(); ++l) {
        for (std::size_t h = 0; h < a.heads[l].heads.size(); ++h) {
            all.push_back({l, h, a.heads[l].heads[h]});
        }
        biases += double{a.heads[l].bias};
        gap = std::max(gap, std::abs(a.heads[l].gap));
    }
    const std::vector<adding_part> shown = largest(all, limit);
    print_title(fmt::format("{} of {} heads", shown.size(), all.size()),
                fmt::format("  they add {:+.3f}, all of them {:+.3f}", sum_of(shown), sum_of(all)));
    table_line heading;
    heading.cell("head", 8, style::dim).right("adds", adds_width, style::dim);
    heading.right("its layer", 14, style::dim)
        .to(bars_begin)
        .put("█ adds, ▒ takes", style::dim)
        .print();
    for (const adding_part& p : shown) {
        table_line line;
        line.cell(to_string(attention_head{p.layer, p.index}), 8, style::accent);
        line.adds(double{p.adds});
        line.right(fmt::format("{:+.3f}", a.attention[p.layer]), 14, style::dim);
        put_bar(line, p.adds, std::abs(shown.front().adds));
        line.print();
    }
    table_line last;
    if (biases != 0.0) {
        last.put(fmt::format("output biases behind norms add {:+.3f}; ", biases));
    }
    last.put(fmt::format("gap {:.1e}: a layer's attention less its heads, at most", gap),
             style::dim);
    last.print();
}

void print_sources(const trace_view& view, const attribution& a, std::size_t limit) {
    if (!a.head) { return; }
    const std::vector<head_source>& sources = a.head->sources;
    std::vector<adding_part> all;
    double weights = 0.0;
    for (std::size_t s = 0; s < sources.size(); ++s) {
        all.push_back({a.head->which.layer, s, sources[s].contribution});
        weights += double{sources[s].weight};
    }
    const std::vector<adding_part> shown = largest(all, limit);
    print_title(fmt::format("head {}", to_string(a.head->which)),
                fmt::format("  adds {:+.3f}; {} of {} positions that it may read add {:+.3f}",
                            a.head->contribution, shown.size(), all.size(), sum_of(shown)));
    table_line heading;
    heading.right("position", 8, style::dim).put(" ").cell("token", 14, style::dim);
    heading.right("weight", 9, style::dim).right("adds", adds_width, style::dim);
    heading.to(bars_begin).put("█ adds, ▒ takes", style::dim).print();
    for (const adding_part& p : shown) {
        table_line line;
        line.right(fmt::format("{}", p.index), 8, style::accent).put(" ");
        line.cell(cut(token_label(view.model, view.tokens[p.index]), 13), 14);
        line.right(fmt::format("{:.4f}", sources[p.index].weight), 9);
        line.adds(double{p.adds});
        put_bar(line, p.adds, std::abs(shown.front().adds));
        line.print();
    }
    table_line last;
    if (weights < 1.0 - 1e-3) {
        last.put(fmt::format("weights sum to {:.4f}: a sink takes the rest; ", weights));
    }
    last.put(fmt::format("gap {:.1e}: the head less its positions", a.head->gap), style::dim);
    last.print();
}

}  // namespace xlens::program
