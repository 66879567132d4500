// SPDX-License-Identifier: BSD-3-Clause
#include "output/examples.hpp"

#include "output/cells.hpp"
#include "output/names.hpp"
#include "output/table_line.hpp"
#include "output/token_json.hpp"

#include <xlens/core/neuron.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/numerics/octaves.hpp>
#include <xlens/report/examples_page.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/trace/find_examples.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>

namespace xlens::program {

namespace {

double share(std::uint32_t count, const text_examples& run) {
    return static_cast<double>(count) /
           static_cast<double>(std::max<std::size_t>(run.found.positions(), 1));
}

/// Rows about an example, its own alone where no context was kept.
std::size_t tokens_shown(const neuron_example& e) {
    return std::max<std::size_t>(e.around.size(), 1);
}
std::size_t first_shown(const neuron_example& e) { return e.around.empty() ? e.row : e.first; }
float shown_coefficient(const neuron_example& e, std::size_t i) {
    return e.around.empty() ? e.coefficient : e.around[i];
}

void write_settings(json_writer& out, const examples_view& view) {
    const text_examples& run = view.run;
    const std::size_t windows = (run.tokens.size() + run.window - 1) / run.window;
    const example_shape& shape = run.found.shape();
    out.field("text", view.file);
    out.field("text_tokens", run.tokens.size() - windows * run.prefix);
    out.field("window", run.window);
    out.field("prefix", run.prefix);
    out.field("positions", run.found.positions());
    out.field("skipped", shape.skipped);
    out.field("apart", shape.apart);
    out.field("threshold", shape.threshold);
}

void write_hits(json_writer& out, const examples_view& view, std::string_view key,
                const std::vector<neuron_example>& found) {
    out.key(key);
    out.begin_array();
    for (const neuron_example& e : found) {
        out.begin_object();
        const auto position = view.run.position(e.row);
        out.key("position");
        if (position) {
            out.value(*position);
        } else {
            out.literal("null");
        }
        out.field("window", e.row / view.run.window);
        out.field("row", e.row % view.run.window);
        out.field("coefficient", e.coefficient);
        out.field("at", e.row - first_shown(e));
        out.key("tokens");
        out.begin_array();
        for (std::size_t i = 0; i < tokens_shown(e); ++i) {
            const token_id id = view.run.tokens[first_shown(e) + i];
            out.begin_object();
            out.field("id", id);
            out.field("text", view.model.token_text(id));
            out.field("coefficient", shown_coefficient(e, i));
            out.end_object();
        }
        out.end_array();
        out.end_object();
    }
    out.end_array();
}

void write_histogram(json_writer& out, const coefficient_counts& counts) {
    out.key("histogram");
    out.begin_array();
    for (std::size_t bin = 0; bin < octaves::count; ++bin) {
        if (counts.histogram[bin] == 0) { continue; }
        const double sign = bin < octaves::small ? -1.0 : 1.0;
        out.begin_object();
        out.field("least", sign * octaves::least_magnitude(bin));
        out.field("bound", sign * octaves::magnitude_bound(bin));  // null where it has none
        out.field("count", counts.histogram[bin]);
        out.end_object();
    }
    out.end_array();
}

void print_words(std::string_view name, const engine& model, const std::vector<scored>& tokens) {
    table_line line;
    line.put("  ").cell(name, 11, style::dim);
    for (const scored& token : tokens) {
        const std::string label = token_label(model, token.id);
        if (line.left(page_width) <= columns(label)) { break; }
        line.put(label).put(" ");
    }
    line.print();
}

/// "-4 ▁▂▆█▁ ▁█▅▂ 8": a bar a bin, high as the logarithm of its count.
void print_histogram(const coefficient_counts& counts) {
    static const char* const bars[] = {"·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const auto& h = counts.histogram;
    const auto is_there = [](std::uint32_t count) { return count > 0; };
    const auto first = std::find_if(h.begin(), h.end(), is_there);
    if (first == h.end()) { return; }
    const auto last = std::find_if(h.rbegin(), h.rend(), is_there).base() - 1;
    const double most = std::log1p(static_cast<double>(*std::max_element(h.begin(), h.end())));
    const auto edge = [&](auto bin) {
        const auto number = static_cast<std::size_t>(bin - h.begin());
        const double x = octaves::magnitude_bound(number);
        return fmt::format("{}{:g}", number < octaves::small ? "−" : "", x);
    };
    table_line line;
    line.put("  ").cell("m", 11, style::dim).put(edge(first) + " ", style::dim);
    for (auto bin = first; bin <= last; ++bin) {
        const double part = std::log1p(static_cast<double>(*bin)) / most;
        const auto bar = *bin == 0 ? 0 : static_cast<std::size_t>(std::lround(1.0 + 7.0 * part));
        const bool below = bin < h.begin() + octaves::small;
        line.put(bars[bar], below ? style::negative : style::plain);
    }
    line.put(" " + edge(last), style::dim).put("  by octaves, log counts", style::dim).print();
}

/// A token of running text: spaces as they are.
std::string text_label(const engine& model, token_id id) {
    std::string out = token_label(model, id);
    constexpr std::string_view space = "␣";
    for (std::size_t at = out.find(space); at != out.npos; at = out.find(space, at)) {
        out.replace(at, space.size(), " ");
    }
    return out;
}

void print_hits(const examples_view& view, std::string_view name,
                const std::vector<neuron_example>& found) {
    constexpr std::size_t middle = 62;  // column at which the example's own token begins
    table_line().put("  ").put(name, style::dim).print();
    for (const neuron_example& e : found) {
        const auto position = view.run.position(e.row);
        table_line line;
        line.right(fmt::format("{:+.3f}", e.coefficient), 9,
                   e.coefficient < 0.0F ? style::negative : style::bold);
        line.right(position ? fmt::format("{}", *position) : "start", 9, style::dim).put("  ");
        const std::size_t own = e.row - first_shown(e);
        std::string before;
        std::size_t i = own;
        for (; i > 0; --i) {
            const std::string label =
                text_label(view.model, view.run.tokens[first_shown(e) + i - 1]);
            if (columns(label) + columns(before) + line.column() >= middle) { break; }
            before = label + before;
        }
        line.to(middle - columns(before)).put(before, style::dim);
        line.put("[", style::dim);
        line.put(text_label(view.model, view.run.tokens[e.row]), style::good);
        line.put("]", style::dim);
        for (i = own + 1; i < tokens_shown(e); ++i) {
            line.put(text_label(view.model, view.run.tokens[first_shown(e) + i]), style::dim);
        }
        line.print();
    }
}

}  // namespace

void write_examples(json_writer& out, const examples_view& view) {
    out.begin_object();
    write_settings(out, view);
    out.key("neurons");
    out.begin_array();
    for (std::size_t i = 0; i < view.neurons.size(); ++i) {
        const std::size_t n = view.run.found.number_of(view.neurons[i]);
        const coefficient_counts counts = view.run.found.counts(n);
        out.begin_object();
        out.field("neuron", to_string(view.neurons[i]));
        write_ends(out, view.model, *view.concepts[i]);
        out.field("over", share(counts.over, view.run));
        out.field("positive", share(counts.positive, view.run));
        out.field("zero", share(counts.zero, view.run));
        write_histogram(out, counts);
        write_hits(out, view, "largest", view.run.found.largest(n));
        write_hits(out, view, "lowest", view.run.found.lowest(n));
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

void write_example_lines(atomic_file& file, const examples_view& view) {
    std::string text;
    const auto hand_over = [&] {
        file.write(std::as_bytes(std::span(text)));
        text.clear();
    };
    {
        json_writer out(text);
        out.begin_object();
        write_settings(out, view);
        out.key("tokens");
        out.begin_array();
        for (const token_id id : view.run.tokens) { out.value(id); }
        out.end_array();
        write_run(out, record_of(view.model));
        out.end_object();
    }
    hand_over();
    const coefficient_examples& found = view.run.found;
    for (std::size_t n = 0; n < found.neurons().size(); ++n) {
        const coefficient_counts counts = found.counts(n);
        const auto hits = [&](json_writer& out, std::string_view key,
                              const std::vector<neuron_example>& list) {
            out.key(key);
            out.begin_array();
            for (const neuron_example& e : list) {
                out.begin_array();
                out.value(e.row);
                out.value(e.coefficient);
                out.end_array();
            }
            out.end_array();
        };
        {
            json_writer out(text);
            out.begin_object();
            out.field("neuron", to_string(found.neurons()[n]));
            out.field("over", counts.over);
            out.field("positive", counts.positive);
            out.field("zero", counts.zero);
            out.key("histogram");
            out.begin_array();
            for (std::size_t bin = 0; bin < octaves::count; ++bin) {
                if (counts.histogram[bin] == 0) { continue; }
                out.begin_array();
                out.value(bin);
                out.value(counts.histogram[bin]);
                out.end_array();
            }
            out.end_array();
            hits(out, "largest", found.largest(n));
            hits(out, "lowest", found.lowest(n));
            out.end_object();
        }
        constexpr std::size_t enough = 1U << 20U;
        if (text.size() > enough) { hand_over(); }
    }
    hand_over();
    file.commit();
}

void print_examples(const examples_view& view) {
    const text_examples& run = view.run;
    const example_shape& shape = run.found.shape();
    table_line()
        .put(fmt::format("{}: {} positions, of windows of {} without the first {}; one in {} in "
                         "a row",
                         std::filesystem::path(view.file).filename().string(),
                         run.found.positions(), run.window, shape.skipped, shape.apart),
             style::dim)
        .print();
    for (std::size_t i = 0; i < view.neurons.size(); ++i) {
        const std::size_t n = run.found.number_of(view.neurons[i]);
        const coefficient_counts counts = run.found.counts(n);
        const auto percent_of = [&](std::uint32_t count) { return 100.0 * share(count, run); };
        table_line line;
        line.put(to_string(view.neurons[i]), style::bold);
        line.put(fmt::format("  |m| > {:g} at {:.2g} % of positions, m > 0 at {:.3g} %, m = 0 at "
                             "{:.3g} %",
                             shape.threshold, percent_of(counts.over), percent_of(counts.positive),
                             percent_of(counts.zero)),
                 style::dim);
        line.print();
        print_words("promotes", view.model, view.concepts[i]->promotes);
        print_words("suppresses", view.model, view.concepts[i]->suppresses);
        print_histogram(counts);
        print_hits(view, "largest m", run.found.largest(n));
        print_hits(view, "lowest m", run.found.lowest(n));
    }
}

std::size_t write_examples_page(atomic_file& file, const examples_view& view) {
    examples_report report{.model = model_name(view.model),
                           .text = std::filesystem::path(view.file).filename().string(),
                           .manifest = view.model.manifest(),
                           .run = view.run,
                           .neurons = {},
                           .bytes = [&](token_id id) { return view.model.token_bytes(id); }};
    const auto words = [&](const std::vector<scored>& tokens) {
        std::string out;
        for (const scored& t : tokens) { out += token_label(view.model, t.id) + " "; }
        return out;
    };
    for (std::size_t i = 0; i < view.neurons.size(); ++i) {
        report.neurons.push_back({view.neurons[i], words(view.concepts[i]->promotes),
                                  words(view.concepts[i]->suppresses)});
    }
    return write_page(file, examples_page(report));
}

}  // namespace xlens::program
