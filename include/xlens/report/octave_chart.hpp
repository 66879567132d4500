// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/numerics/octaves.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#if XLENS_DEFINES(report)
#include <xlens/report/assets.hpp>
#include <xlens/report/fill.hpp>
#include <xlens/report/html_page.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#endif

namespace xlens {

/// A histogram by octaves (numerics/octaves.hpp) as an SVG in HTML (web/shared/chart.html, which
/// needs chart.css and `.chart rect` beside it): a bar a bin from the first that has a count to the
/// last, high as the logarithm of 1 + its count. `caption` is plain text.
XLENS_API std::string octave_chart(const std::string& caption,
                                   std::span<const std::uint32_t, octaves::count> counts);

/// What a bin is about: "-0.5 to -0.25", "about 0".
XLENS_API std::string octave_name(std::size_t bin);

#if XLENS_DEFINES(report)

XLENS_API std::string octave_name(std::size_t bin) {
    if (bin == octaves::small) { return "about 0"; }
    const double least = octaves::least_magnitude(bin);
    const double most = octaves::magnitude_bound(bin);
    if (bin > octaves::small) {
        return std::isinf(most) ? fmt::format("{:g} and more", least)
                                : fmt::format("{:g} to {:g}", least, most);
    }
    return std::isinf(most) ? fmt::format("-{:g} and less", least)
                            : fmt::format("-{:g} to -{:g}", most, least);
}

XLENS_API std::string octave_chart(const std::string& caption,
                                   std::span<const std::uint32_t, octaves::count> counts) {
    constexpr double width = 640.0;
    constexpr double height = 150.0;
    constexpr double floor = height - 34.0;
    constexpr std::size_t labels = 8;
    std::size_t first = octaves::count;
    std::size_t last = 0;
    for (std::size_t bin = 0; bin < octaves::count; ++bin) {
        if (counts[bin] == 0) { continue; }
        first = std::min(first, bin);
        last = std::max(last, bin);
    }
    const double high =
        std::log1p(static_cast<double>(*std::max_element(counts.begin(), counts.end())));
    std::string drawing;
    const std::size_t bins = first > last ? 0 : last - first + 1;
    const double step = width / static_cast<double>(std::max<std::size_t>(bins, 1));
    const std::size_t every = (bins + labels - 1) / labels;
    for (std::size_t i = 0; i < bins; ++i) {
        const std::size_t bin = first + i;
        const double x = step * static_cast<double>(i);
        const double bar = (floor - 8.0) * std::log1p(static_cast<double>(counts[bin])) / high;
        drawing += fmt::format(
            "<g class=\"series-{}\"><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
            "height=\"{:.1f}\"><title>{}: {}</title></rect></g>",
            bin < octaves::small ? 2 : 1, x + 1.0, floor - bar, std::max(step - 2.0, 1.0), bar,
            octave_name(bin), counts[bin]);
        if (i % every != 0 && bin != octaves::small) { continue; }
        const double edge = octaves::least_magnitude(bin);
        drawing += fmt::format(
            "<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}{:.3g}</text>",
            x + step / 2.0, floor + 16.0, bin < octaves::small ? "-" : "", edge);
    }
    const std::array values{
        placeholder{"caption", html_text(caption)},
        placeholder{"legend",
                    "<span class=\"series-2\"><i></i>m &lt; 0</span>"
                    "<span class=\"series-1\"><i></i>m &gt; 0</span>"},
        placeholder{"width", fmt::format("{}", width)},
        placeholder{"height", fmt::format("{}", height)},
        placeholder{"drawing", std::move(drawing)},
    };
    return fill(assets::chart_html, values);
}

#endif

}  // namespace xlens
