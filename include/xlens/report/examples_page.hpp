// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/report/html_page.hpp>
#include <xlens/trace/find_examples.hpp>

#include <functional>
#include <span>
#include <string>
#include <vector>

#if XLENS_DEFINES(report)
#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/report/assets.hpp>
#include <xlens/report/fill.hpp>
#include <xlens/report/octave_chart.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#endif

namespace xlens {

/// What a page of examples says beside them; texts are plain.
struct examples_report {
    struct neuron_words {
        neuron where;
        std::string promotes;  ///< its concept
        std::string suppresses;
    };
    std::string model;
    std::string text;      ///< name of the text
    std::string manifest;  ///< what it takes to repeat the run
    const text_examples& run;
    std::vector<neuron_words> neurons;  ///< those to show, in order
    /// A token's exact bytes; empty where there is no text.
    std::function<std::string(token_id)> bytes;
};

/// Where neurons fire, as a page that needs nothing else (web/examples/): of each neuron its
/// concept, the histogram of its coefficients, and its examples with the tokens around, shaded by
/// m. Without context the run's examples are single tokens. Throws xlens::error for a neuron that
/// the run did not look at.
XLENS_API html_page examples_page(const examples_report& report);

#if XLENS_DEFINES(report)

namespace detail {

/// A token as text in a line: line ends as signs, its number where it has no text.
inline std::string example_token(const examples_report& report, std::size_t row) {
    const token_id id = report.run.tokens[row];
    const std::string bytes = report.bytes(id);
    if (bytes.empty()) { return fmt::format("#{} ", id); }
    std::string out;
    for (const char c : bytes) { out += c == '\n' ? "⏎" : std::string(1, c); }
    return html_text(out);
}

/// The examples of one sign, a `li` each.
inline std::string example_list(const examples_report& report,
                                const std::vector<neuron_example>& found) {
    const float most = found.empty() ? 1.0F : std::abs(found.front().coefficient);
    std::string out;
    for (const neuron_example& e : found) {
        const auto position = report.run.position(e.row);
        out += fmt::format("<li><b title=\"{}\">{:+.3g}</b><bdi>",
                           position ? fmt::format("token {} of the text", *position)
                                    : std::string("begins a window"),
                           e.coefficient);
        const std::size_t count = e.around.empty() ? 1 : e.around.size();
        for (std::size_t i = 0; i < count; ++i) {
            const float m = e.around.empty() ? e.coefficient : e.around[i];
            const std::size_t row = e.around.empty() ? e.row : e.first + i;
            out +=
                fmt::format("<span class=\"{}{}\" style=\"--a:{:.2f}\" title=\"{:.3g}\">{}</span>",
                            m < 0.0F ? "down" : "up", row == e.row ? " at" : "",
                            std::min(std::abs(m) / most, 1.0F), m, example_token(report, row));
        }
        out += "</bdi></li>\n";
    }
    return out.empty() ? "<li><b></b>none</li>\n" : out;
}

inline std::string example_section(const examples_report& report,
                                   const examples_report::neuron_words& one) {
    const coefficient_examples& found = report.run.found;
    const std::size_t n = found.number_of(one.where);
    const coefficient_counts counts = found.counts(n);
    const auto share = [&](std::uint32_t count) {
        const std::size_t all = std::max<std::size_t>(found.positions(), 1);
        return fmt::format("{:.3g} %", 100.0 * count / static_cast<double>(all));
    };
    const std::string name = xlens::to_string(one.where);
    const std::array values{
        placeholder{"name", name},
        placeholder{"promotes", html_text(one.promotes)},
        placeholder{"suppresses", html_text(one.suppresses)},
        placeholder{"threshold", fmt::format("{:g}", found.shape().threshold)},
        placeholder{"over", share(counts.over)},
        placeholder{"positive", share(counts.positive)},
        placeholder{"zero", share(counts.zero)},
        placeholder{"chart", octave_chart(fmt::format("Coefficients m of {}, by octaves of |m|; "
                                                      "heights are logarithms of counts",
                                                      name),
                                          counts.histogram)},
        placeholder{"largest", example_list(report, found.largest(n))},
        placeholder{"lowest", example_list(report, found.lowest(n))},
    };
    return fill(assets::neuron_html, values);
}

}  // namespace detail

XLENS_API html_page examples_page(const examples_report& report) {
    std::string sections;
    std::string names;
    for (const examples_report::neuron_words& one : report.neurons) {
        sections += detail::example_section(report, one);
        if (names.size() < 60) { names += (names.empty() ? "" : ", ") + to_string(one.where); }
    }
    const example_shape& shape = report.run.found.shape();
    const std::size_t windows =
        (report.run.tokens.size() + report.run.window - 1) / report.run.window;
    const std::array values{
        placeholder{"model", html_text(report.model)},
        placeholder{"text", html_text(report.text)},
        placeholder{"manifest", html_text(report.manifest)},
        placeholder{"tokens",
                    std::to_string(report.run.tokens.size() - windows * report.run.prefix)},
        placeholder{"window", std::to_string(report.run.window)},
        placeholder{"positions", std::to_string(report.run.found.positions())},
        placeholder{"skipped", std::to_string(shape.skipped)},
        placeholder{"apart", std::to_string(shape.apart)},
        placeholder{"neurons", std::move(sections)},
    };
    return {.title = fmt::format("{} \u00b7 xlens examples", names),
            .style = fmt::format("{}\n{}", assets::chart_css, assets::examples_css),
            .body = fill(assets::examples_html, values)};
}

#endif

}  // namespace xlens
