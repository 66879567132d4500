// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_case.hpp>
#include <xlens/text/templates/template_compare.hpp>
#include <xlens/text/templates/template_items.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_run.hpp>
#include <xlens/text/templates/template_str_format.hpp>
#include <xlens/text/templates/template_strings.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::detail {

/// A method of Python's str, called: all arguments are bound, checked and then used.
class string_call {
public:
    string_call(template_run& run, const template_value& self, std::string_view name,
                const template_arguments& arguments)
        : m_run(run), m_self(self.text()), m_name(name), m_arguments(arguments) {
        if (self.is_markup()) {
            fail_template("'." + std::string(name) +
                          "()' of a text marked as safe is not supported");
        }
    }

    template_value result() {
        if (const auto out = cutting()) { return *out; }
        if (const auto out = searching()) { return *out; }
        if (const auto out = asking()) { return *out; }
        return changing();
    }

private:
    using given = std::vector<const template_value*>;

    given bind(std::initializer_list<std::string_view> names, std::size_t needed = 0,
               bool by_name = false) const {
        if (!by_name && !m_arguments.named.empty()) {
            fail_template("." + m_name + "() takes no keyword arguments");
        }
        given out = bind_arguments("." + m_name + "()", m_arguments, names);
        for (std::size_t i = 0; i < needed; ++i) { (void)required(out[i]); }
        return out;
    }
    const template_value& required(const template_value* v) const {
        if (v == nullptr) { fail_template("." + m_name + "() needs another argument"); }
        return *v;
    }
    const std::string& text(const template_value* v) const {
        if (required(v).is_text()) { return v->text(); }
        if (v->is_undefined()) { v->fail_undefined(); }
        fail_template("." + m_name + "(): expected a str, got '" + type_name(*v) + "'");
    }
    std::int64_t whole(const template_value* v, std::int64_t otherwise) const {
        if (v == nullptr) { return otherwise; }
        if (v->is_whole()) { return v->whole(); }
        if (v->is_undefined()) { v->fail_undefined(); }
        fail_template("." + m_name + "(): expected an int, got '" + type_name(*v) + "'");
    }
    std::size_t limit(const template_value* v) const {
        const std::int64_t out = whole(v, -1);
        return out < 0 ? no_limit : static_cast<std::size_t>(out);
    }
    static template_value row(const std::vector<std::string_view>& parts,
                              list_form form = list_form::list) {
        template_values out(parts.begin(), parts.end());
        return {std::move(out), form};
    }
    const std::string& separator(const template_value* v) const {
        if (text(v).empty()) { fail_template("." + m_name + "(): empty separator"); }
        return v->text();
    }

    std::optional<template_value> cutting() const {
        const std::string_view s = m_self;
        const bool right = m_name.starts_with('r');
        if (m_name == "split" || m_name == "rsplit") {
            const given a = bind({"sep", "maxsplit"}, 0, true);
            const bool words = a[0] == nullptr || a[0]->is_none();
            return row(words ? split_words(s, limit(a[1]), right)
                             : split_at(s, separator(a[0]), limit(a[1]), right));
        }
        if (m_name == "splitlines") {
            const given a = bind({"keepends"}, 0, true);
            return row(split_lines(s, a[0] != nullptr && whole(a[0], 0) != 0));
        }
        if (m_name == "partition" || m_name == "rpartition") {
            const std::string& by = separator(bind({"sep"}, 1)[0]);
            auto parts = split_at(s, by, 1, right);
            if (parts.size() == 2) {
                parts.insert(parts.begin() + 1, by);
            } else {
                parts = right ? std::vector<std::string_view>{"", "", s}
                              : std::vector<std::string_view>{s, "", ""};
            }
            return row(parts, list_form::tuple);
        }
        if (m_name == "strip" || m_name == "lstrip" || m_name == "rstrip") {
            const given a = bind({"chars"});
            const bool at_left = m_name != "rstrip";
            const bool at_right = m_name != "lstrip";
            if (a[0] == nullptr || a[0]->is_none()) { return strip(s, at_left, at_right); }
            return strip(s, at_left, at_right, text(a[0]));
        }
        if (m_name == "removeprefix" || m_name == "removesuffix") {
            const std::string& what = text(bind({"what"}, 1)[0]);
            const bool front = m_name == "removeprefix";
            const bool found = front ? s.starts_with(what) : s.ends_with(what);
            if (!found) { return s; }
            return front ? s.substr(what.size()) : s.substr(0, s.size() - what.size());
        }
        return std::nullopt;
    }

    /// The part that start and end, counted in characters, cut out; and where it begins, in
    /// characters. Nothing where start lies behind the text.
    struct stretch {
        std::string_view text;
        std::int64_t begin;
    };
    std::optional<stretch> between(const template_value* start, const template_value* end) const {
        const auto size = static_cast<std::int64_t>(count_characters(m_self));
        const auto bound = [&](const template_value* v, std::int64_t otherwise) {
            if (v == nullptr || v->is_none()) { return otherwise; }
            const std::int64_t at = whole(v, 0);
            return std::max<std::int64_t>(at < 0 ? at + size : at, 0);
        };
        const std::int64_t first = bound(start, 0);
        const std::int64_t last = std::min(bound(end, size), size);
        if (first > last) { return std::nullopt; }
        const std::size_t from = character_offset(m_self, static_cast<std::size_t>(first));
        const std::size_t to = character_offset(m_self, static_cast<std::size_t>(last));
        return stretch{std::string_view(m_self).substr(from, to - from), first};
    }
    std::optional<template_value> searching() const {
        if (m_name == "startswith" || m_name == "endswith") {
            const given a = bind({"what", "start", "end"}, 1);
            const auto in = between(a[1], a[2]);
            const bool tuple = a[0]->is_row(list_form::tuple);
            const template_values any = tuple ? a[0]->row().items : template_values{*a[0]};
            return std::ranges::any_of(any, [&](const template_value& what) {
                const std::string& t = text(&what);
                return in &&
                       (m_name == "endswith" ? in->text.ends_with(t) : in->text.starts_with(t));
            });
        }
        const bool fails = m_name == "index" || m_name == "rindex";
        if (m_name != "find" && m_name != "rfind" && m_name != "count" && !fails) {
            return std::nullopt;
        }
        const given a = bind({"what", "start", "end"}, 1);
        const std::string& what = text(a[0]);
        const auto in = between(a[1], a[2]);
        if (m_name == "count") { return in ? count_of(in->text, what) : 0; }
        const std::size_t at = !in                       ? std::string_view::npos
                               : m_name.starts_with('r') ? in->text.rfind(what)
                                                         : in->text.find(what);
        if (at != std::string_view::npos) {
            return in->begin + static_cast<std::int64_t>(count_characters(in->text.substr(0, at)));
        }
        if (fails) { fail_template("." + m_name + "(): substring not found"); }
        return -1;
    }

    std::optional<template_value> asking() const {
        if (!m_name.starts_with("is")) { return std::nullopt; }
        bind({});
        const std::string_view s = m_self;
        if (m_name == "isupper") { return has_case(s, letter_case::upper); }
        if (m_name == "islower") { return has_case(s, letter_case::lower); }
        if (m_name == "isspace") { return all_characters(s, is_python_space); }
        if (m_name == "isalpha") { return all_characters(s, is_letter); }
        if (m_name == "isdecimal") { return all_characters(s, is_decimal_digit); }
        if (m_name == "isalnum") {
            return all_characters(
                s, [](char32_t c) { return is_letter(c) || is_digit_or_refused(c); });
        }
        return all_characters(s, is_digit_or_refused);  // isdigit, isnumeric
    }

    template_value changing() const {
        template_budget& budget = m_run.budget;
        if (m_name == "format") { return format_text(m_run, m_self, m_arguments); }
        if (m_name == "replace") {
            const given a = bind({"old", "new", "count"}, 2);
            return replaced(budget, m_self, text(a[0]), text(a[1]), limit(a[2]));
        }
        if (m_name == "join") { return joined_texts(*bind({"iterable"}, 1)[0]); }
        if (m_name == "center" || m_name == "ljust" || m_name == "rjust") {
            const given a = bind({"width", "fillchar"}, 1);
            const std::string fill = a[1] == nullptr ? " " : text(a[1]);
            if (count_characters(fill) != 1) { fail_template("the fill must be one character"); }
            const padding where = m_name == "center"  ? padding::both
                                  : m_name == "ljust" ? padding::right
                                                      : padding::left;
            return padded(budget, m_self, whole(a[0], 0), where, fill);
        }
        if (m_name == "zfill") {
            const std::int64_t width = whole(bind({"width"}, 1)[0], 0);
            const bool has_sign = m_self.starts_with('-') || m_self.starts_with('+');
            const std::size_t sign = has_sign ? 1 : 0;
            return m_self.substr(0, sign) + padded(budget, std::string_view(m_self).substr(sign),
                                                   width - static_cast<std::int64_t>(sign),
                                                   padding::left, "0");
        }
        bind({});
        if (m_name == "upper") { return cased(m_self, letter_case::upper); }
        if (m_name == "lower") { return cased(m_self, letter_case::lower); }
        if (m_name == "title") { return titled(m_self); }
        if (m_name == "capitalize") { return capitalized(m_self); }
        if (m_name == "swapcase") { return swapped_case(m_self); }
        fail_template("'." + m_name + "()' is not supported");
    }
    /// self.join(list), of texts alone.
    [[nodiscard]] template_value joined_texts(const template_value& items) const {
        std::string out;
        std::string_view between;
        for (const template_value& item : items_of(m_run, items)) {
            m_run.budget.bytes(between.size() + text(&item).size());
            out.append(between).append(item.text());
            between = m_self;
        }
        return out;
    }

    template_run& m_run;
    const std::string& m_self;
    std::string m_name;
    const template_arguments& m_arguments;
};

inline template_value string_method(template_run& run, const template_value& self,
                                    std::string_view name, const template_arguments& arguments) {
    return string_call(run, self, name, arguments).result();
}

}  // namespace xlens::detail
