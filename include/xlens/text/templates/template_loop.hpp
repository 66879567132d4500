// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_compare.hpp>
#include <xlens/text/templates/template_items.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_run.hpp>
#include <xlens/text/templates/template_statement.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace xlens::detail {

/// Its `loop` variable: what a for statement goes through, and where it is. As in Jinja items are
/// chosen by the statement's `if` one by one, no earlier than they are asked for.
class template_loop : public template_object, public std::enable_shared_from_this<template_loop> {
public:
    using choice = std::function<bool(const template_value&)>;
    using recursion = std::function<template_value(const template_value&, std::int64_t depth)>;

    template_loop(template_run& run, const template_value& source, choice chooses,
                  recursion recurses, std::int64_t depth)
        : m_source(source),
          m_begin(source.is_row(list_form::generator) ? source.row().read : 0),
          m_items(items_of(run, source)),
          m_chooses(std::move(chooses)),
          m_recurses(std::move(recurses)),
          m_depth(depth) {}
    ~template_loop() override {
        // What a break left of a generator is still in it.
        if (m_source.is_row(list_form::generator)) { m_source.row().read = m_begin + m_next; }
    }
    template_loop(const template_loop&) = delete;
    template_loop& operator=(const template_loop&) = delete;

    /// Goes to the next item, or says that there is none.
    bool advance() {
        std::optional<template_value> item = std::exchange(m_after, std::nullopt);
        if (!item) { item = fetch(); }
        if (!item) { return false; }
        ++m_index;
        m_before = std::exchange(m_current, *std::move(item));
        return true;
    }
    [[nodiscard]] const template_value& current() const { return m_current; }

    [[nodiscard]] std::string what() const override { return "a loop"; }
    // inline here too: else the class would be compiled into whatever includes this.
    [[nodiscard]] inline std::optional<template_value> attribute(template_run& run,
                                                                 std::string_view name) override;
    template_value call(template_run& /*run*/, const template_arguments& given) override {
        if (m_recurses == nullptr) {
            fail_template("the loop must be marked recursive to be called");
        }
        const auto a = bind_arguments("loop", given, {"iterable"});
        if (a[0] == nullptr) { fail_template("loop: expected a list"); }
        return m_recurses(*a[0], m_depth + 1);
    }

    template_value cycle(const template_arguments& given) const {
        const auto& items = given.positional;
        if (items.empty()) { fail_template("loop.cycle: expected items"); }
        return items[static_cast<std::size_t>(m_index) % items.size()];
    }
    template_value changed(template_run& run, const template_arguments& given) {
        template_value now(given.positional, list_form::tuple);
        if (m_changed && equal(run.budget, *m_changed, now)) { return false; }
        m_changed = std::move(now);
        return true;
    }

private:
    std::optional<template_value> fetch() {
        if (!m_fetched.empty()) {
            template_value out = std::move(m_fetched.front());
            m_fetched.pop_front();
            return out;
        }
        while (m_next < m_items.size()) {
            const template_value& item = m_items[m_next++];
            if (m_chooses == nullptr || m_chooses(item)) { return item; }
        }
        return std::nullopt;
    }
    const std::optional<template_value>& peek() {
        if (!m_after) { m_after = fetch(); }
        return m_after;
    }
    std::int64_t length() {
        if (m_length) { return *m_length; }
        if (m_chooses == nullptr && !m_source.is_row(list_form::generator)) {
            m_length = static_cast<std::int64_t>(m_items.size());
            return *m_length;
        }
        std::deque<template_value> all;
        while (auto item = fetch()) { all.push_back(*std::move(item)); }
        m_fetched = std::move(all);
        m_length = static_cast<std::int64_t>(m_fetched.size()) + m_index + 1 + (m_after ? 1 : 0);
        return *m_length;
    }

    template_value m_source;
    std::size_t m_begin;
    template_values m_items;
    std::size_t m_next = 0;
    choice m_chooses;
    recursion m_recurses;
    std::int64_t m_depth;
    std::int64_t m_index = -1;
    std::deque<template_value> m_fetched;  // chosen, not asked for yet
    std::optional<template_value> m_after;
    template_value m_current;
    template_value m_before;
    std::optional<std::int64_t> m_length;
    std::optional<template_value> m_changed;
};

/// loop.cycle and loop.changed.
class loop_method : public template_object {
public:
    loop_method(std::shared_ptr<template_loop> loop, bool cycles)
        : m_loop(std::move(loop)), m_cycles(cycles) {}
    [[nodiscard]] std::string what() const override { return "a method of loop"; }
    template_value call(template_run& run, const template_arguments& given) override {
        if (!given.named.empty()) { fail_template("a method of loop takes no names"); }
        return m_cycles ? m_loop->cycle(given) : m_loop->changed(run, given);
    }

private:
    std::shared_ptr<template_loop> m_loop;
    bool m_cycles;
};

inline std::optional<template_value> template_loop::attribute(template_run& /*run*/,
                                                              std::string_view name) {
    if (name == "index0") { return m_index; }
    if (name == "index") { return m_index + 1; }
    if (name == "first") { return m_index == 0; }
    if (name == "last") { return !peek().has_value(); }
    if (name == "length") { return length(); }
    if (name == "revindex") { return length() - m_index; }
    if (name == "revindex0") { return length() - m_index - 1; }
    if (name == "depth0") { return m_depth; }
    if (name == "depth") { return m_depth + 1; }
    if (name == "previtem") {
        return m_index > 0 ? m_before : template_value::undefined("there is no previous item");
    }
    if (name == "nextitem") {
        const auto& next = peek();
        return next ? *next : template_value::undefined("there is no next item");
    }
    if (name == "cycle" || name == "changed") {
        return template_value(std::shared_ptr<template_object>(
            std::make_shared<loop_method>(shared_from_this(), name == "cycle")));
    }
    return std::nullopt;
}

/// {% for target in source if choice recursive %}...{% else %}...{% endfor %}
class for_statement : public template_statement {
public:
    struct parts {
        template_target target;
        template_part source;
        template_part choice;  // or nothing
        bool is_recursive = false;
        template_block body;
        template_block otherwise;
        template_name loop = 0;
    };
    explicit for_statement(parts of) : m(std::move(of)) {}

    [[nodiscard]] template_flow execute(template_run& run) const override {
        repeat(run, value_of(run, m.source), 0, &run.frame());
        return template_flow::next;
    }

private:
    /// In variables that stand in `outer`, where the statement is.
    void repeat(template_run& run, const template_value& source, std::int64_t depth,
                const template_frame* outer) const {
        template_loop::choice chooses;
        if (m.choice != nullptr) {
            chooses = [&, outer](const template_value& item) {
                const template_run::scope scope(run, outer);
                m.target.assign(run, item);
                return truth(value_of(run, m.choice));
            };
        }
        template_loop::recursion recurses;
        if (m.is_recursive) {
            recurses = [&run, this, outer](const template_value& children, std::int64_t level) {
                return run.made(run.captured([&] { repeat(run, children, level, outer); }));
            };
        }
        const auto loop = std::make_shared<template_loop>(run, source, std::move(chooses),
                                                          std::move(recurses), depth);
        bool ran = false;  // a body to its end: a continue does not count
        while (loop->advance()) {
            run.budget.step();
            const template_run::scope scope(run, outer);
            m.target.assign(run, loop->current());
            run.frame().set(m.loop, std::shared_ptr<template_object>(loop));
            const template_flow flow = detail::execute(run, m.body);
            if (flow == template_flow::stop) { break; }
            ran = ran || flow == template_flow::next;
        }
        if (ran || m.otherwise.empty()) { return; }
        const template_run::scope scope(run, outer);
        (void)detail::execute(run, m.otherwise);
    }

    parts m;
};

}  // namespace xlens::detail
