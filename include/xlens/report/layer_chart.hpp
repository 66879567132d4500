// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#if XLENS_DEFINES(report)
#include <xlens/report/assets.hpp>
#include <xlens/report/fill.hpp>
#include <xlens/report/html_page.hpp>

#include <fmt/format.h>

#include <algorithm>
#endif

namespace xlens {

/// A value a layer, and where it is known half of an interval.
struct chart_series {
    std::string name{};
    std::vector<double> values{};   ///< (L); NaN: none
    std::vector<double> margins{};  ///< (L) or empty
};

namespace detail {

XLENS_API double margin_of(const chart_series& s, std::size_t l);

/// Places of a chart's values on its picture.
class chart_frame {
public:
    static constexpr double width = 640.0;
    static constexpr double height = 260.0;
    static constexpr double left = 52.0;
    static constexpr double right = 12.0;
    static constexpr double top = 14.0;
    static constexpr double bottom = 34.0;

    chart_frame(const std::vector<chart_series>& series, std::size_t layers);
    [[nodiscard]] double x(double layer) const;
    [[nodiscard]] double y(double value) const;
    /// Lines across with their numbers, and numbers of layers.
    [[nodiscard]] std::string grid() const;

private:
    std::size_t m_layers;
    double m_low = 0.0;
    double m_high = 0.0;
    double m_step = 1.0;
};

/// A line through the values, with a band of the margins, and a tooltip a layer.
XLENS_API std::string chart_line(const chart_frame& frame, const chart_series& s,
                                 std::size_t number);

}  // namespace detail

/// A figure of up to four series over the layers, as an SVG in HTML (web/shared/chart.html,
/// which needs chart.css beside it: assets::chart_css). `caption` is plain text.
XLENS_API std::string layer_chart(const std::string& caption,
                                  const std::vector<chart_series>& series);

#if XLENS_DEFINES(report)

namespace detail {

XLENS_API double margin_of(const chart_series& s, std::size_t l) {
    return s.margins.empty() || !std::isfinite(s.margins[l]) ? 0.0 : s.margins[l];
}

XLENS_API chart_frame::chart_frame(const std::vector<chart_series>& series, std::size_t layers)
    : m_layers(layers) {
    for (const chart_series& s : series) {
        for (std::size_t l = 0; l < s.values.size(); ++l) {
            const double v = s.values[l];
            if (!std::isfinite(v)) { continue; }
            m_low = std::min(m_low, v - margin_of(s, l));
            m_high = std::max(m_high, v + margin_of(s, l));
        }
    }
    // Round numbers on the axis: 1, 2 or 5 times a power of ten.
    const double rough = (m_high > m_low ? m_high - m_low : 1.0) / 5.0;
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    const double part = rough / power;
    m_step = power * (part <= 1.0 ? 1.0 : part <= 2.0 ? 2.0 : part <= 5.0 ? 5.0 : 10.0);
    m_low = std::floor(m_low / m_step) * m_step;
    m_high = std::ceil(m_high / m_step) * m_step;
    if (m_high <= m_low) { m_high = m_low + m_step; }
}

XLENS_API double chart_frame::x(double layer) const {
    const double cells = m_layers > 1 ? static_cast<double>(m_layers) - 1.0 : 1.0;
    return left + (width - left - right) * layer / cells;
}

XLENS_API double chart_frame::y(double value) const {
    return top + (height - top - bottom) * (m_high - value) / (m_high - m_low);
}

XLENS_API std::string chart_frame::grid() const {
    std::string out;
    const auto steps = static_cast<int>(std::lround((m_high - m_low) / m_step));
    for (int i = 0; i <= steps; ++i) {
        const double v = m_low + m_step * i;
        const bool zero = std::abs(v) < m_step * 1e-6;
        out += fmt::format(
            "<line class=\"{}\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
            "<text class=\"tick\" text-anchor=\"end\" x=\"{:.1f}\" y=\"{:.1f}\">{:g}</text>",
            zero ? "zero" : "grid", left, width - right, y(v), y(v), left - 6.0, y(v) + 4.0,
            zero ? 0.0 : v);
    }
    const std::size_t every = std::max<std::size_t>(1, m_layers / 10);
    for (std::size_t l = 0; l < m_layers; l += every) {
        out += fmt::format(
            "<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>",
            x(static_cast<double>(l)), height - bottom + 16.0, l);
    }
    return out + fmt::format(
                     "<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" "
                     "y=\"{:.1f}\">layer</text>",
                     (left + width - right) / 2.0, height - 4.0);
}

XLENS_API std::string chart_line(const chart_frame& frame, const chart_series& s,
                                 std::size_t number) {
    std::string points;
    std::string upper;
    std::string lower;
    std::string marks;
    for (std::size_t l = 0; l < s.values.size(); ++l) {
        if (!std::isfinite(s.values[l])) { continue; }
        const double x = frame.x(static_cast<double>(l));
        const double margin = margin_of(s, l);
        points += fmt::format("{:.1f},{:.1f} ", x, frame.y(s.values[l]));
        upper += fmt::format("{:.1f},{:.1f} ", x, frame.y(s.values[l] + margin));
        lower.insert(0, fmt::format("{:.1f},{:.1f} ", x, frame.y(s.values[l] - margin)));
        marks += fmt::format(
            "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\"><title>layer {}: {} {:.4g}{}</title>"
            "</circle>",
            x, frame.y(s.values[l]), l, html_text(s.name), s.values[l],
            margin > 0.0 ? fmt::format(" ± {:.2g}", margin) : "");
    }
    return fmt::format(
        "<g class=\"series-{}\"><polygon points=\"{}{}\"/><polyline points=\"{}\"/>{}"
        "</g>",
        number, upper, lower, points, marks);
}

}  // namespace detail

XLENS_API std::string layer_chart(const std::string& caption,
                                  const std::vector<chart_series>& series) {
    const std::size_t layers = series.empty() ? 0 : series.front().values.size();
    const detail::chart_frame frame(series, layers);
    std::string lines;
    std::string legend;
    for (std::size_t i = 0; i < series.size(); ++i) {
        lines += detail::chart_line(frame, series[i], i + 1);
        legend += fmt::format("<span class=\"series-{}\"><i></i>{}</span>", i + 1,
                              html_text(series[i].name));
    }
    const std::array values{
        placeholder{"caption", html_text(caption)},
        placeholder{"legend", std::move(legend)},
        placeholder{"width", fmt::format("{}", detail::chart_frame::width)},
        placeholder{"height", fmt::format("{}", detail::chart_frame::height)},
        placeholder{"drawing", frame.grid() + lines},
    };
    return fill(assets::chart_html, values);
}

#endif

}  // namespace xlens
