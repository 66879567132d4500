// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/text/templates/template_value.hpp>

#include <array>
#include <chrono>
#include <ctime>
#include <string>
#include <string_view>

namespace xlens::detail {

/// The time that strftime_now shows.
using template_clock = std::tm;

/// Now, where this computer is; or "YYYY-MM-DD" at midnight. Fails for another text.
inline template_clock template_time(std::string_view date) {
    std::tm out{};
    if (date.empty()) {
        const std::time_t now = std::time(nullptr);
        if (localtime_r(&now, &out) == nullptr) { fail("chat template: the clock has no time"); }
        return out;
    }
    bool good = date.size() == 10;
    const auto digits = [&](std::size_t at, std::size_t count) {
        int value = 0;
        for (std::size_t i = at; good && i < at + count; ++i) {
            good = date[i] >= '0' && date[i] <= '9';
            value = value * 10 + (date[i] - '0');
        }
        return value;
    };
    const int year = digits(0, 4);
    const int month = digits(5, 2);
    const int day = digits(8, 2);
    using namespace std::chrono;
    const year_month_day calendar{std::chrono::year(year),
                                  std::chrono::month(static_cast<unsigned>(month)),
                                  std::chrono::day(static_cast<unsigned>(day))};
    good = good && date[4] == '-' && date[7] == '-' && year > 0 && calendar.ok();
    if (!good) { fail("date: expected YYYY-MM-DD, got '{}'", printable(date)); }
    const sys_days days = calendar;
    const sys_days first = std::chrono::year(year) / January / 1;
    out.tm_year = year - 1900;
    out.tm_mon = month - 1;
    out.tm_mday = day;
    out.tm_wday = static_cast<int>(weekday(days).c_encoding());
    out.tm_yday = static_cast<int>((days - first).count());
    return out;
}

/// datetime.strftime(format) in the language of the C locale; parts that it shows otherwise than
/// Python, or not on every system, are refused by name.
inline std::string template_time_text(const template_clock& clock, std::string_view format) {
    constexpr std::string_view known = "aAbBcdDeFHIjmMpRSTuUVwWxXyYGn%";
    std::string out;
    for (std::size_t at = 0; at < format.size(); ++at) {
        if (format[at] != '%') {
            out += format[at];
            continue;
        }
        std::string part = "%";
        // Digits without the zeros before them, as on Linux.
        if (at + 1 < format.size() && format[at + 1] == '-') { part += format[++at]; }
        const char letter = at + 1 < format.size() ? format[++at] : ' ';
        if (known.find(letter) == std::string_view::npos) {
            fail_template("strftime_now: '" + part + letter + "' is not supported");
        }
        part += letter;
        std::array<char, 128> buffer{};
        // NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): checked above.
        out.append(buffer.data(),
                   std::strftime(buffer.data(), buffer.size(), part.c_str(), &clock));
    }
    return out;
}

}  // namespace xlens::detail
