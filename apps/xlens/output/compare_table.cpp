// SPDX-License-Identifier: BSD-3-Clause
#include "output/cells.hpp"
#include "output/compare_view.hpp"
#include "output/names.hpp"
#include "output/table_line.hpp"

#include <xlens/compare/compare_options.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace xlens::program {

namespace {

constexpr std::size_t name_width = 14;
constexpr std::size_t rows_shown = 5;  // positions and value vectors

/// A number that may be very small: "0.01234", "1.2e-05".
std::string small(double x) {
    if (x == 0.0) { return "0"; }
    return std::abs(x) < 1e-4 ? fmt::format("{:.1e}", x) : fmt::format("{:.5f}", x);
}
std::string share(double x) {
    return std::isfinite(x) ? fmt::format("{:.2f}%", 100.0 * x) : std::string("–");
}
/// " ± 0.01"; empty where the error is not known.
std::string plus_minus(double error, double scale = 1.0, const char* unit = "") {
    return std::isfinite(error) ? fmt::format(" ± {:.2g}{}", scale * error, unit) : std::string();
}

table_line named(std::string_view name) {
    table_line out;
    out.cell(name, name_width, style::dim);
    return out;
}

void print_model(char which, const engine& model, const std::string& name) {
    table_line line;
    line.put(fmt::format("{}  ", which), style::accent).put(name, style::bold);
    line.put("  " + model_sizes(model), style::dim).print();
}

void print_outputs(const output_difference& o) {
    named("KL(A‖B)")
        .put(fmt::format("{}{} nats", small(o.kl.mean), plus_minus(o.kl.error)), style::bold)
        .print();
    named("")
        .put(fmt::format("median {}, 95% {}, 99% {}, largest {} at token {}", small(o.kl_median),
                         small(o.kl_95), small(o.kl_99), small(o.kl_max), o.kl_max_at))
        .print();
    named("same top-1")
        .put(share(o.agreement.mean) + plus_minus(o.agreement.error, 100.0, "%"), style::bold)
        .print();
    named("next token")
        .put(fmt::format("mean |Δ log p| {}", small(o.log_change)))
        .put(fmt::format("   Δp {:+.3f}%{}, rms {:.3f}%", 100.0 * o.probability_change.mean,
                         plus_minus(o.probability_change.error, 100.0, "%"),
                         100.0 * o.probability_rms))
        .print();
    named("perplexity")
        .put(fmt::format("A {:.4f}   B {:.4f}   ", o.perplexity_a(), o.perplexity_b()))
        .put(fmt::format("B/A {:.5f}{}", o.ratio().mean, plus_minus(o.ratio().error)), style::bold)
        .print();
}

/// Two rows of headings.
void print_headings(bool values) {
    table_line groups;
    groups.to(8).put("what the lens reads", style::dim).to(29).put("residual", style::dim);
    groups.to(49).put("dominant sub-updates", style::dim);
    if (values) {
        groups.to(72).put(
            fmt::format("value vectors (promoted: of {})", compare_options::usual_sample),
            style::dim);
    }
    groups.print();
    table_line line;
    line.right("layer", 5).right("KL", 10).right("top-1", 9);
    line.right("cosine", 9).right("distance", 11).right("overlap", 9).right("Jaccard", 9);
    line.right("|Δm|/|m|", 10);
    if (values) { line.right("cosine", 9).right("least", 8).right("promoted", 10); }
    line.print();
}

void print_layers(const comparison& found) {
    const bool values = found.values_left_out.empty();
    print_headings(values);
    for (std::size_t i = 0; i < found.layers.size(); ++i) {
        const layer_difference& l = found.layers[i];
        table_line line;
        line.right(std::to_string(i), 5).right(small(l.kl), 10).right(share(l.agreement), 9);
        line.right(fmt::format("{:.5f}", l.cosine), 9).right(small(l.distance), 11);
        line.right(share(l.overlap), 9).right(share(l.jaccard), 9);
        line.right(std::isfinite(l.coefficient_change) ? small(l.coefficient_change) : "–", 10);
        if (l.values) {
            line.right(fmt::format("{:.5f}", l.values->cosine), 9);
            line.right(fmt::format("{:.4f}", l.values->least), 8);
            line.right(share(l.values->promoted), 10);
        }
        line.print();
    }
    const saturation_difference& s = *found.saturation;
    named("saturation")
        .put(fmt::format("mean layer A {:.2f}, B {:.2f}; shift {:+.3f}, unchanged at {}", s.a, s.b,
                         s.shift, share(s.unchanged)))
        .print();
}

void print_tokens(const engine& model, const reading& r, char which) {
    table_line line;
    line.to(14).put(fmt::format("{} ", which), style::accent);
    for (const scored& s : r.top) {
        const std::string token = fmt::format(" {}", token_label(model, s.id));
        const std::string p = " " + percent(r.probability(s));
        if (columns(token) + columns(p) > line.left(page_width)) { break; }
        line.put(token).put(p, style::dim);
    }
    line.print();
}

void print_position(const compare_view& view, const compared_position& p) {
    table_line line;
    line.right(small(p.kl), 10, style::bold).to(14).put(token_label(view.a, p.read));
    if (p.next >= 0) {
        line.put(" → ", style::dim).put(token_label(view.a, p.next), style::good);
        line.put(fmt::format("  token {}, A {}, B {}", p.predicted,
                             percent(static_cast<float>(std::exp(p.log_a))),
                             percent(static_cast<float>(std::exp(p.log_b)))),
                 style::dim);
    } else {
        line.put("  the last token", style::dim);
    }
    line.print();
    print_tokens(view.a, p.a, 'A');
    print_tokens(view.a, p.b, 'B');
}

void print_values(const compare_view& view) {
    const comparison& found = view.found;
    if (found.values.empty()) { return; }
    std::fputs("\nvalue vectors that are least alike, and what they promote\n", stdout);
    const std::size_t width = neuron_width(view.a.config());
    for (std::size_t i = 0; i < std::min(rows_shown, found.values.size()); ++i) {
        const compared_value& v = found.values[i];
        for (const char which : {'A', 'B'}) {
            table_line line;
            line.cell(which == 'A' ? to_string(v.where) : "", width + 1);
            line.right(which == 'A' ? fmt::format("{:.4f}", v.cosine) : "", 8).put("  ");
            line.put(fmt::format("{} ", which), style::accent);
            for (const scored& s : which == 'A' ? v.a : v.b) {
                const std::string label = " " + token_label(view.a, s.id);
                if (columns(label) > line.left(page_width)) { break; }
                line.put(label);
            }
            line.print();
        }
    }
}

}  // namespace

std::string compared_name(const engine& model, const edit_flags& edits) {
    return fmt::format("{}, {}{}", visible(model_name(model)), model.arithmetic(),
                       edits_text(edits));
}

void print_comparison(const compare_view& view) {
    const comparison& found = view.found;
    print_model('A', view.a, compared_name(view.a, {}));
    print_model('B', view.b, compared_name(view.b, view.edits));
    table_line text = named("text");
    text.put(fmt::format("{} positions of {}, {} tokens{}", found.output.positions,
                         visible(std::filesystem::path(view.text).filename().string()),
                         view.tokens.size(),
                         view.window > 0 ? fmt::format(" in windows of {}", view.window) : ""));
    text.print();
    print_outputs(found.output);
    std::fputc('\n', stdout);
    if (found.left_out.empty()) {
        print_layers(found);
        if (!found.values_left_out.empty()) {
            named("value vectors").put("left out: " + found.values_left_out).print();
        }
    } else {
        named("layers").put("left out: " + found.left_out).print();
    }
    if (found.output.end) {
        std::fputs("\nafter the text\n", stdout);
        print_position(view, *found.output.end);
    }
    if (!found.output.largest.empty()) {
        std::fputs("\nlargest KL(A‖B)\n", stdout);
        for (std::size_t i = 0; i < std::min(rows_shown, found.output.largest.size()); ++i) {
            print_position(view, found.output.largest[i]);
        }
    }
    print_values(view);
}

}  // namespace xlens::program
