// SPDX-License-Identifier: BSD-3-Clause
#include "output/attribution_table.hpp"

#include "output/cells.hpp"
#include "output/concept_cell.hpp"
#include "output/names.hpp"
#include "output/table_line.hpp"
#include "output/trace_header.hpp"

#include <xlens/core/neuron.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/trace/attribution.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace xlens::program {

namespace {

constexpr std::size_t waterfall_begin = 36;  // column where its bars begin

/// "␣Paris", or "␣Paris − ␣the".
std::string logit_label(const engine& model, const attribution& a) {
    const std::string token = cut(token_label(model, a.token), 24);
    if (!a.against) { return token; }
    return token + " − " + cut(token_label(model, *a.against), 24);
}

/// One line of the waterfall.
struct waterfall_part {
    std::string label;
    double adds = 0.0;
};

std::vector<waterfall_part> parts_of(const attribution& a) {
    std::vector<waterfall_part> out{{"    embedding", double{a.embedding}}};
    for (std::size_t l = 0; l < a.ffn.size(); ++l) {
        out.push_back({fmt::format("{:>3} attention", l), double{a.attention[l]}});
        out.push_back({"    FFN", double{a.ffn[l]}});
    }
    out.push_back({"    biases", double{a.bias()}});
    return out;
}

/// Where numbers stand between the lowest and the highest total.
class bar_scale {
public:
    explicit bar_scale(const std::vector<waterfall_part>& parts) {
        double total = 0.0;
        for (const waterfall_part& p : parts) {
            total += p.adds;
            m_low = std::min(m_low, total);
            m_high = std::max(m_high, total);
        }
    }
    /// From one total to the next: █ upwards, ▒ downwards, ▏ for less than a column.
    void put(table_line& line, double from, double to) const {
        if (!(m_high > m_low) || !std::isfinite(from) || !std::isfinite(to)) { return; }
        const std::size_t begin = column(std::min(from, to));
        const std::size_t end = column(std::max(from, to));
        const std::size_t zero = column(0.0);
        if (zero < begin) { line.to(zero).put("│", style::dim); }
        line.to(begin);
        const bool up = to >= from;
        if (begin == end) { line.put("▏", style_of_sign(to - from)); }
        for (std::size_t c = begin; c < end; ++c) {
            line.put(up ? "█" : "▒", style_of_sign(to - from));
        }
        if (zero > line.column() || (zero == line.column() && begin < end)) {
            line.to(zero).put("│", style::dim);
        }
    }

private:
    [[nodiscard]] std::size_t column(double x) const {
        constexpr std::size_t last = page_width - 1;
        return waterfall_begin +
               static_cast<std::size_t>((x - m_low) / (m_high - m_low) * (last - waterfall_begin) +
                                        0.5);
    }

    double m_low = 0.0;
    double m_high = 0.0;
};

void print_title(const trace_view& view, const attribution& a) {
    table_line line;
    line.put(logit_label(view.model, a), style::good);
    line.put(fmt::format("  {} {:.4f}", a.against ? "difference of logits" : "logit", a.logit),
             style::bold);
    const float cap = view.model.config().logit_cap;
    if (cap > 0.0F) { line.put(fmt::format(" before the cap of {}", cap), style::dim); }
    line.put(fmt::format(" at position {}, after {}", a.position,
                         token_label(view.model, view.tokens[a.position])),
             style::dim);
    std::fputc('\n', stdout);
    line.print();
}

void print_biases(const attribution& a) {
    table_line line;
    line.put("    of which");
    const auto put = [&](std::string_view name, float value) {
        if (value != 0.0F) { line.put(fmt::format("  {} {:+.3f}", name, value), style::dim); }
    };
    put("attention outputs", a.attention_bias);
    put("FFN outputs", a.ffn_bias);
    put("final norm", a.final_norm_bias);
    put("normaliser", a.normaliser);
    if (a.bias() != 0.0F) { line.print(); }
}

void print_waterfall(const attribution& a) {
    const std::vector<waterfall_part> parts = parts_of(a);
    const bar_scale scale(parts);
    table_line heading;
    heading.cell("layer", 14, style::dim).right("adds", adds_width, style::dim);
    heading.right("total", adds_width, style::dim).to(waterfall_begin);
    heading.put("the total: █ raised, ▒ lowered; │ is 0", style::dim).print();
    double total = 0.0;
    for (const waterfall_part& p : parts) {
        table_line line;
        line.cell(p.label, 14).adds(p.adds);
        line.right(fmt::format("{:.3f}", total + p.adds), adds_width, style::dim);
        scale.put(line, total, total + p.adds);
        line.print();
        total += p.adds;
    }
    print_biases(a);
    table_line last;
    last.cell("    logit", 14, style::bold).right("", adds_width);
    last.right(fmt::format("{:.3f}", a.logit), adds_width, style::bold).to(waterfall_begin);
    last.put(fmt::format("gap {:.1e}: the logit less the sum", a.gap), style::dim);
    last.print();
}

double sum_of(const std::vector<float>& parts) {
    return std::accumulate(parts.begin(), parts.end(), 0.0);
}
double named_sum(const attribution& a) {
    double sum = 0.0;
    for (const sub_update_contribution& s : a.sub_updates) { sum += double{s.contribution}; }
    return sum;
}

void print_sub_updates(const trace_view& view, const attribution& a) {
    if (a.sub_updates.empty()) { return; }
    const hyperparameters& config = view.model.config();
    std::fputc('\n', stdout);
    table_line title;
    title.put(fmt::format("{} of {} sub-updates", a.sub_updates.size(),
                          config.inner_width * a.ffn.size()),
              style::bold);
    title.put(fmt::format("  they add {:+.3f}, all of them {:+.3f}", named_sum(a), sum_of(a.ffn)),
              style::dim);
    title.print();
    table_line heading;
    const std::size_t width = neuron_width(config);
    heading.cell("neuron", width, style::dim).right("m", adds_width, style::dim);
    heading.right("adds", adds_width, style::dim).put("  ");
    heading.put("m·v promotes (−: m<0, what v suppresses)", style::dim).print();
    for (const sub_update_contribution& s : a.sub_updates) {
        const bool negative = std::signbit(s.coefficient);
        table_line line;
        line.cell(to_string(s.where), width, style::accent);
        line.right(fmt::format("{:+.2f}", s.coefficient), adds_width,
                   negative ? style::negative : style::plain);
        line.adds(double{s.contribution});
        line.put(" ");
        if (s.concept_of_value) {
            put_concept(line, view.model, *s.concept_of_value, negative, view.top, a.token);
        }
        line.print();
    }
}

/// As many as fit a line, the largest first.
void print_largest(std::string_view label, const std::vector<waterfall_part>& parts) {
    table_line line;
    line.put(label, style::dim);
    for (const waterfall_part& p : parts) {
        const std::string text = fmt::format("{} {:+.2f}", p.label, p.adds);
        if (columns(text) + 2 > line.left(page_width)) { break; }
        line.put("  ").put(text, style_of_sign(p.adds));
    }
    line.print();
}

void print_summary(const engine& model, const attribution& a) {
    table_line line;
    line.put(fmt::format("{:>4} ", a.position), style::dim);
    line.put(logit_label(model, a), style::good).put(fmt::format(" {:.3f}", a.logit), style::bold);
    line.put(fmt::format(" = embedding {:+.2f}  attention {:+.2f}  FFN {:+.2f}  biases {:+.2f}",
                         a.embedding, sum_of(a.attention), sum_of(a.ffn), a.bias()));
    line.put(fmt::format("  gap {:.0e}", a.gap), style::dim);
    line.print();
    std::vector<waterfall_part> layers;
    for (std::size_t l = 0; l < a.ffn.size(); ++l) {
        layers.push_back({fmt::format("attention {}", l), double{a.attention[l]}});
        layers.push_back({fmt::format("FFN {}", l), double{a.ffn[l]}});
    }
    std::stable_sort(layers.begin(), layers.end(), [](const auto& x, const auto& y) {
        return std::abs(x.adds) > std::abs(y.adds);
    });
    print_largest("     layers     ", layers);
    std::vector<waterfall_part> named;
    for (const sub_update_contribution& s : a.sub_updates) {
        named.push_back({to_string(s.where), double{s.contribution}});
    }
    print_largest("     sub-updates", named);
}

}  // namespace

void print_attribution(const trace_view& view, const attribution& a) {
    print_trace_header(view);
    print_title(view, a);
    print_waterfall(a);
    print_sub_updates(view, a);
}

void print_attributions(const engine& model, std::span<const attribution> attributions) {
    std::fputc('\n', stdout);
    table_line title;
    title.put("attribution", style::bold)
        .put("  position, its logit and what adds to it", style::dim);
    title.print();
    for (const attribution& a : attributions) { print_summary(model, a); }
}

}  // namespace xlens::program
