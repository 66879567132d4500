// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/events/event_reader.hpp>

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <string_view>

namespace xlens {

/// The header of the table of events, one comma-separated row an event.
XLENS_API std::string event_header(std::string_view form);

namespace detail {
/// In quotes, as RFC 4180 has it.
XLENS_API std::string csv_text(std::string_view text);
/// Six significant digits; nothing where there is no number.
inline std::string csv_number(float x) { return std::isnan(x) ? "" : fmt::format("{:.6g}", x); }
}  // namespace detail

/// An event as a row; scores in one form, folded or raw.
XLENS_API std::string event_row(const text_event& e, projection form, std::string_view token);

#if XLENS_DEFINES(events)

XLENS_API std::string event_header(std::string_view form) {
    std::string out =
        "position,window,layer,kind,token,text,other,log_before,log_after,"
        "dominance_share,norm_share,whole,whole_centred,other_whole,"
        "other_whole_centred";
    for (const std::string_view group : score_groups) {
        for (const std::string_view centred : {"", "_centred"}) {
            for (const std::string_view which : {"mean", "max", "min"}) {
                out += fmt::format(",{}_{}{}_{}", group, form, centred, which);
            }
        }
    }
    return out + "\n";
}

namespace detail {

XLENS_API std::string csv_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        out += c;
        if (c == '"') { out += c; }
    }
    return out + '"';
}

}  // namespace detail

XLENS_API std::string event_row(const text_event& e, projection form, std::string_view token) {
    const update_measures& u = e.measures;
    std::string out = fmt::format(
        "{},{},{},{},{},{},{},{},{},{},{}", e.position, e.window, e.what.layer,
        update_sets[static_cast<std::size_t>(e.what.kind)], e.what.token, detail::csv_text(token),
        e.what.other, detail::csv_number(u.log_before), detail::csv_number(u.log_after),
        detail::csv_number(u.dominance_share), detail::csv_number(u.norm_share));
    for (const float x : {u.whole.score, u.whole.centred, u.other.score, u.other.centred}) {
        out += ',';
        out += detail::csv_number(x);
    }
    const std::size_t first = form == projection::raw ? 2 : 0;
    for (const auto& group : u.scores.all) {
        for (const std::size_t f : {first, first + 1}) {
            for (const float x : {group[f].mean, group[f].max, group[f].min}) {
                out += ',';
                out += detail::csv_number(x);
            }
        }
    }
    return out + "\n";
}

#endif

}  // namespace xlens
