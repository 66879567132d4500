// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_arithmetic.hpp>
#include <xlens/text/templates/template_case.hpp>
#include <xlens/text/templates/template_items.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace xlens::detail {

/// v is name(arguments), for a test that Jinja has.
using template_test = bool (*)(template_run&, const template_value&, const template_arguments&);

/// The only argument of a test.
inline const template_value& operand(const template_arguments& given) {
    if (given.positional.size() != 1 || !given.named.empty()) {
        fail_template("a test needs one argument");
    }
    return given.positional.front();
}

struct named_test {
    std::string_view name;
    template_test holds;
};

inline bool test_equal(template_run& run, const template_value& v, const template_arguments& a) {
    return equal(run.budget, v, operand(a));
}
inline bool test_unequal(template_run& run, const template_value& v, const template_arguments& a) {
    return !equal(run.budget, v, operand(a));
}
inline bool test_less(template_run& run, const template_value& v, const template_arguments& a) {
    return less(run.budget, v, operand(a), "<");
}
inline bool test_greater(template_run& run, const template_value& v, const template_arguments& a) {
    return less(run.budget, operand(a), v, ">");
}
inline bool at_most(template_run& run, const template_value& a, const template_value& b,
                    std::string_view sign) {
    return less(run.budget, a, b, sign) || equal(run.budget, a, b);
}
inline bool test_at_most(template_run& run, const template_value& v, const template_arguments& a) {
    return at_most(run, v, operand(a), "<=");
}
inline bool test_at_least(template_run& run, const template_value& v, const template_arguments& a) {
    return at_most(run, operand(a), v, ">=");
}

inline template_test find_operator_test(std::string_view name) {
    static constexpr std::array<named_test, 17> tests{{
        {"==", test_equal},
        {"eq", test_equal},
        {"equalto", test_equal},
        {"!=", test_unequal},
        {"ne", test_unequal},
        {"<", test_less},
        {"lt", test_less},
        {"lessthan", test_less},
        {">", test_greater},
        {"gt", test_greater},
        {"greaterthan", test_greater},
        {"<=", test_at_most},
        {"le", test_at_most},
        {">=", test_at_least},
        {"ge", test_at_least},
        {"in", [](auto& run, const auto& v,
                  const auto& a) { return contains_value(run.budget, operand(a), v); }},
        {"divisibleby",
         [](auto& run, const auto& v, const auto& a) {
             return equal(run.budget, remainder_of(run, v, operand(a)), 0);
         }},
    }};
    for (const named_test& test : tests) {
        if (test.name == name) { return test.holds; }
    }
    return nullptr;
}

/// str(v) has letters with a case, and none of the other.
template <letter_case Case>
bool test_case(template_run& run, const template_value& v, const template_arguments& /*given*/) {
    return has_case(text_of(run.budget, v), Case);
}

/// len(v) and v[...] are there.
inline bool is_sized_and_indexed(const template_value& v) {
    return v.is_undefined() || v.is_text() || v.is_mapping() || v.is_sequence() ||
           v.is_row(list_form::range);
}

inline bool is_same(const template_value& a, const template_value& b) {
    if (a.is_integer() || a.is_real() || a.is_text()) {
        fail_template("test 'sameas' of a '" + type_name(a) + "' is not supported: use ==");
    }
    return a.same_as(b);
}

inline void no_arguments(const template_arguments& given) {
    if (!given.positional.empty() || !given.named.empty()) {
        fail_template("a test takes no argument");
    }
}

/// Tests of the type of a value.
inline template_test find_type_test(std::string_view name) {
    using value = const template_value&;
// A function of a value as one that takes no arguments.
#define XLENS_TEST(condition)                       \
    [](template_run&, value v, const auto& given) { \
        no_arguments(given);                        \
        return condition;                           \
    }
    static constexpr std::array<named_test, 15> tests{{
        {"defined", XLENS_TEST(!v.is_undefined())},
        {"undefined", XLENS_TEST(v.is_undefined())},
        {"none", XLENS_TEST(v.is_none())},
        {"boolean", XLENS_TEST(v.is_boolean())},
        {"true", XLENS_TEST(v.is_boolean() && v.boolean())},
        {"false", XLENS_TEST(v.is_boolean() && !v.boolean())},
        {"integer", XLENS_TEST(v.is_integer())},
        {"float", XLENS_TEST(v.is_real())},
        {"number", XLENS_TEST(v.is_number())},
        {"string", XLENS_TEST(v.is_text())},
        {"mapping", XLENS_TEST(v.is_mapping())},
        {"sequence", XLENS_TEST(is_sized_and_indexed(v))},
        {"iterable", XLENS_TEST(is_iterable(v))},
        {"escaped", XLENS_TEST(v.is_markup())},
        {"callable", XLENS_TEST(v.is_undefined() || (v.is_object() && v.object()->is_callable()))},
    }};
#undef XLENS_TEST
    for (const named_test& test : tests) {
        if (test.name == name) { return test.holds; }
    }
    return nullptr;
}

/// The test of this name, or null.
inline template_test find_test(std::string_view name) {
    using value = const template_value&;
    static constexpr std::array<named_test, 5> tests{{
        {"lower", test_case<letter_case::lower>},
        {"upper", test_case<letter_case::upper>},
        {"even",
         [](auto& run, value v, const auto& /*given*/) {
             return equal(run.budget, remainder_of(run, v, 2), 0);
         }},
        {"odd",
         [](auto& run, value v, const auto& /*given*/) {
             return equal(run.budget, remainder_of(run, v, 2), 1);
         }},
        {"sameas",
         [](auto& /*run*/, value v, const auto& given) { return is_same(v, operand(given)); }},
    }};
    for (const named_test& test : tests) {
        if (test.name == name) { return test.holds; }
    }
    const template_test of_type = find_type_test(name);
    return of_type != nullptr ? of_type : find_operator_test(name);
}

/// Tests of Jinja that are not supported; a name that is neither is unknown to Jinja too.
inline bool is_test_of_jinja(std::string_view name) {
    return name == "filter" || name == "test" || find_test(name) != nullptr;
}

}  // namespace xlens::detail
