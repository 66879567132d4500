// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/early_exit/classifier.hpp>
#include <xlens/early_exit/cluster.hpp>
#include <xlens/early_exit/confidence.hpp>
#include <xlens/early_exit/exit_file.hpp>
#include <xlens/early_exit/exit_gate.hpp>
#include <xlens/early_exit/exit_rule.hpp>
#include <xlens/early_exit/margin.hpp>
#include <xlens/early_exit/oracle.hpp>
#include <xlens/early_exit/rule_facts.hpp>
#include <xlens/early_exit/similarity.hpp>
#include <xlens/early_exit/stable.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <algorithm>
#endif

namespace xlens::early_exit {

/// Any of the rules, chosen at run time; a rule itself (concept exit_rule).
class any_rule {
public:
    static constexpr std::string_view name = "any";
    /// The list of rules: the one place to add one to.
    using variant = std::variant<exit_gate, confidence, margin, stable, similarity, classifier,
                                 cluster_match, oracle>;

    // NOLINTNEXTLINE(google-explicit-constructor): a rule is an any_rule.
    any_rule(variant rule);
    any_rule(const any_rule&);
    any_rule(any_rule&&) noexcept;
    any_rule& operator=(const any_rule&);
    any_rule& operator=(any_rule&&) noexcept;
    ~any_rule();

    template <class Visit>
    decltype(auto) visit(Visit v) const {
        return std::visit(v, m_rule);
    }
    [[nodiscard]] const rule_facts& facts() const;
    [[nodiscard]] std::string_view word() const { return facts().name; }
    [[nodiscard]] exit_needs needs() const;
    void begin(std::size_t count);
    void score(const exit_view& view, std::span<float> scores);
    void translate(std::size_t layer, rows<float> x) const;
    [[nodiscard]] std::optional<named_token> answer(std::size_t t) const;
    /// Whether `tell` must come before each pass: for oracle, that of the whole model's top tokens.
    [[nodiscard]] bool must_be_told() const { return facts().told; }
    void tell(const std::vector<token_id>& answers);
    void save(exit_writer& to) const;
    [[nodiscard]] variant& get() { return m_rule; }

private:
    variant m_rule;
};
static_assert(answering_rule<any_rule>);

namespace detail {

template <class Variant>
struct facts_of;
template <class... Rule>
struct facts_of<std::variant<Rule...>> {
    static constexpr std::array all{Rule::facts...};
};

/// Calls f(std::type_identity<Rule>()) for the rule of that name; false if there is none.
template <class F>
bool with_rule(std::string_view name, F f) {
    const auto one = [&]<class Rule>(std::type_identity<Rule> rule) {
        if (name != Rule::name) { return false; }
        f(rule);
        return true;
    };
    return [&]<class... Rule>(std::type_identity<std::variant<Rule...>>) {
        return (one(std::type_identity<Rule>()) || ...);
    }(std::type_identity<any_rule::variant>());
}

}  // namespace detail

/// What there is to say of every rule, in the order in which help lists them.
inline constexpr std::span<const rule_facts> all_rules = detail::facts_of<any_rule::variant>::all;

/// The rule of that name; null if there is none.
[[nodiscard]] XLENS_API const rule_facts* find_rule(std::string_view name);

/// "a, b, c": the names of all rules, or of those of which a fact holds:
/// rule_names(&rule_facts::lens, " and ") is "a, b and c".
[[nodiscard]] XLENS_API std::string rule_names(bool rule_facts::*fact = nullptr,
                                               std::string_view before_last = ", ");

#if XLENS_DEFINES(early_exit)

XLENS_API any_rule::any_rule(variant rule) : m_rule(std::move(rule)) {}
XLENS_API any_rule::any_rule(const any_rule&) = default;
XLENS_API any_rule::any_rule(any_rule&&) noexcept = default;
XLENS_API any_rule& any_rule::operator=(const any_rule&) = default;
XLENS_API any_rule& any_rule::operator=(any_rule&&) noexcept = default;
XLENS_API any_rule::~any_rule() = default;

XLENS_API const rule_facts& any_rule::facts() const {
    return visit([](const auto& r) -> const rule_facts& { return r.facts; });
}

XLENS_API exit_needs any_rule::needs() const {
    return visit([](const auto& r) { return r.needs(); });
}

XLENS_API void any_rule::begin(std::size_t count) {
    std::visit([&](auto& r) { r.begin(count); }, m_rule);
}

XLENS_API void any_rule::score(const exit_view& view, std::span<float> scores) {
    std::visit([&](auto& r) { r.score(view, scores); }, m_rule);
}

XLENS_API void any_rule::translate(std::size_t layer, rows<float> x) const {
    visit([&](const auto& r) { r.translate(layer, x); });
}

XLENS_API std::optional<named_token> any_rule::answer(std::size_t t) const {
    return visit([&]<class Rule>(const Rule& r) -> std::optional<named_token> {
        if constexpr (answering_rule<Rule>) {
            return r.answer(t);
        } else {
            return std::nullopt;
        }
    });
}

XLENS_API void any_rule::tell(const std::vector<token_id>& answers) {
    if (auto* knows = std::get_if<oracle>(&m_rule)) { knows->tell(answers); }
}

XLENS_API void any_rule::save(exit_writer& to) const {
    to.string(word());
    visit([&](const auto& r) { r.save(to); });
}

XLENS_API const rule_facts* find_rule(std::string_view name) {
    const auto found = std::ranges::find(all_rules, name, &rule_facts::name);
    return found == all_rules.end() ? nullptr : &*found;
}

XLENS_API std::string rule_names(bool rule_facts::*fact, std::string_view before_last) {
    std::vector<std::string_view> names;
    for (const rule_facts& r : all_rules) {
        if (fact == nullptr || r.*fact) { names.push_back(r.name); }
    }
    std::string out;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i > 0) { out += i + 1 == names.size() ? before_last : ", "; }
        out += names[i];
    }
    return out;
}

#endif

}  // namespace xlens::early_exit
