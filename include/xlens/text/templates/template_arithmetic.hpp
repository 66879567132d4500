// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_compare.hpp>
#include <xlens/text/templates/template_format.hpp>
#include <xlens/text/templates/template_run.hpp>
#include <xlens/text/templates/template_strings.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

// The operators of Python. Whole numbers have 64 bits; a result that has more is refused.

namespace xlens::detail {

[[noreturn]] inline void fail_operands(std::string_view sign, const template_value& a,
                                       const template_value& b) {
    if (a.is_undefined()) { a.fail_undefined(); }
    if (b.is_undefined()) { b.fail_undefined(); }
    fail_template("'" + std::string(sign) + "' is not supported between '" + type_name(a) +
                  "' and '" + type_name(b) + "'");
}

inline std::int64_t unless_overflow(bool overflow, std::int64_t result) {
    if (overflow) { fail_template("whole numbers beyond 64 bits are not supported"); }
    return result;
}

inline template_value plus(template_run& run, const template_value& a, const template_value& b) {
    if (a.is_whole() && b.is_whole()) {
        std::int64_t out = 0;
        const bool overflow = __builtin_add_overflow(a.whole(), b.whole(), &out);
        return unless_overflow(overflow, out);
    }
    if (a.is_number() && b.is_number()) { return a.number() + b.number(); }
    if (a.is_text() && b.is_text()) {
        run.budget.bytes(a.text().size() + b.text().size());
        if (a.is_markup() == b.is_markup()) { return {a.text() + b.text(), a.is_markup()}; }
        // Markup escapes what it is added to.
        return a.is_markup() ? template_value(a.text() + html_escaped(b.text()), true)
                             : template_value(html_escaped(a.text()) + b.text(), true);
    }
    if (a.is_sequence() && b.is_sequence() &&
        a.is_row(list_form::list) == b.is_row(list_form::list)) {
        template_values out = a.row().items;
        out.insert(out.end(), b.row().items.begin(), b.row().items.end());
        return run.made(
            {std::move(out), a.is_row(list_form::list) ? list_form::list : list_form::tuple});
    }
    fail_operands("+", a, b);
}

inline template_value minus(template_run& /*run*/, const template_value& a,
                            const template_value& b) {
    if (a.is_whole() && b.is_whole()) {
        std::int64_t out = 0;
        const bool overflow = __builtin_sub_overflow(a.whole(), b.whole(), &out);
        return unless_overflow(overflow, out);
    }
    if (a.is_number() && b.is_number()) { return a.number() - b.number(); }
    fail_operands("-", a, b);
}

inline template_value repeated_row(template_run& run, const template_value& row,
                                   std::int64_t times) {
    template_values out;
    const auto& items = row.row().items;
    constexpr std::size_t each = 96;
    run.budget.bytes(times <= 0 ? 0 : static_cast<std::size_t>(times), items.size() * each);
    for (std::int64_t i = 0; i < times && !items.empty(); ++i) {
        out.insert(out.end(), items.begin(), items.end());
    }
    return {std::move(out), row.is_row(list_form::list) ? list_form::list : list_form::tuple};
}

inline template_value times(template_run& run, const template_value& a, const template_value& b) {
    if (a.is_whole() && b.is_whole()) {
        std::int64_t out = 0;
        const bool overflow = __builtin_mul_overflow(a.whole(), b.whole(), &out);
        return unless_overflow(overflow, out);
    }
    if (a.is_number() && b.is_number()) { return a.number() * b.number(); }
    if (b.is_whole() && a.is_text()) {
        return {repeated(run.budget, a.text(), b.whole()), a.is_markup()};
    }
    if (b.is_whole() && a.is_sequence()) { return repeated_row(run, a, b.whole()); }
    if (a.is_whole() && (b.is_text() || b.is_sequence())) { return times(run, b, a); }
    fail_operands("*", a, b);
}

/// Both as numbers, the second other than 0.
inline void check_division(std::string_view sign, const template_value& a,
                           const template_value& b) {
    if (!a.is_number() || !b.is_number()) { fail_operands(sign, a, b); }
    if (b.number() == 0) { fail_template("division by zero"); }
}

inline template_value divided(template_run& /*run*/, const template_value& a,
                              const template_value& b) {
    check_division("/", a, b);
    constexpr std::int64_t exact = std::int64_t{1} << 53U;
    for (const template_value* v : {&a, &b}) {
        if (v->is_whole() && (v->whole() > exact || v->whole() < -exact)) {
            fail_template("division of whole numbers beyond 2^53 is not supported");
        }
    }
    return a.number() / b.number();
}

/// The remainder of floats has the sign of the divisor.
inline double float_remainder(double x, double y) {
    const double rest = std::fmod(x, y);
    if (rest == 0) { return std::copysign(0.0, y); }
    return (rest < 0) != (y < 0) ? rest + y : rest;
}

inline template_value floor_divided(template_run& /*run*/, const template_value& a,
                                    const template_value& b) {
    check_division("//", a, b);
    if (a.is_whole() && b.is_whole()) {
        const bool overflow =
            a.whole() == std::numeric_limits<std::int64_t>::min() && b.whole() == -1;
        if (overflow) { return unless_overflow(true, 0); }
        const std::int64_t quotient = a.whole() / b.whole();
        const bool rounds = a.whole() % b.whole() != 0 && (a.whole() < 0) != (b.whole() < 0);
        return quotient - (rounds ? 1 : 0);
    }
    // As CPython: from the remainder, so that both fit together.
    const double x = a.number();
    const double y = b.number();
    const double quotient = (x - float_remainder(x, y)) / y;
    if (quotient == 0) { return std::copysign(0.0, x / y); }
    const double floor = std::floor(quotient);
    return quotient - floor > 0.5 ? floor + 1 : floor;
}

inline template_value remainder_of(template_run& run, const template_value& a,
                                   const template_value& b) {
    if (a.is_text()) {
        if (a.is_markup()) { fail_template("% of a text marked as safe is not supported"); }
        return run.made(percent_formatted(run.budget, a.text(), b));
    }
    check_division("%", a, b);
    if (a.is_whole() && b.is_whole()) {
        if (b.whole() == -1) { return 0; }
        const std::int64_t rest = a.whole() % b.whole();
        return rest != 0 && (rest < 0) != (b.whole() < 0) ? rest + b.whole() : rest;
    }
    return float_remainder(a.number(), b.number());
}

inline template_value power(template_run& /*run*/, const template_value& a,
                            const template_value& b) {
    if (!a.is_number() || !b.is_number()) { fail_operands("**", a, b); }
    if (a.is_whole() && b.is_whole() && b.whole() >= 0) {
        std::int64_t out = 1;
        if (a.whole() == 0 || a.whole() == 1) { return b.whole() == 0 ? 1 : a.whole(); }
        if (a.whole() == -1) { return b.whole() % 2 == 0 ? 1 : -1; }
        for (std::int64_t i = 0; i < b.whole(); ++i) {
            const bool overflow = __builtin_mul_overflow(out, a.whole(), &out);
            unless_overflow(overflow, 0);
        }
        return out;
    }
    if (a.number() == 0 && b.number() < 0) { fail_template("division by zero"); }
    if (a.number() < 0 && std::floor(b.number()) != b.number()) {
        fail_template("complex numbers are not supported");
    }
    const double out = std::pow(a.number(), b.number());
    if (std::isinf(out) && std::isfinite(a.number()) && std::isfinite(b.number())) {
        fail_template("numerical result out of range");
    }
    return out;
}

inline template_value negated(const template_value& v, bool minus_sign) {
    const std::string_view sign = minus_sign ? "unary -" : "unary +";
    if (!v.is_number()) { fail_operands(sign, v, nullptr); }
    if (v.is_real()) { return minus_sign ? -v.number() : v.number(); }
    std::int64_t out = v.whole();
    const bool overflow = minus_sign && __builtin_sub_overflow(0, v.whole(), &out);
    return unless_overflow(overflow, out);
}

}  // namespace xlens::detail
