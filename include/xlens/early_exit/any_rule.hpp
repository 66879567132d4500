// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/early_exit/classifier.hpp>
#include <xlens/early_exit/cluster.hpp>
#include <xlens/early_exit/confidence.hpp>
#include <xlens/early_exit/exit_file.hpp>
#include <xlens/early_exit/exit_rule.hpp>
#include <xlens/early_exit/gate.hpp>
#include <xlens/early_exit/lens_reader.hpp>
#include <xlens/early_exit/margin.hpp>
#include <xlens/early_exit/oracle.hpp>
#include <xlens/early_exit/similarity.hpp>
#include <xlens/early_exit/stable.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace xlens {

/// Any of the rules, chosen at run time; a rule itself (concept exit_rule).
class any_rule {
public:
    static constexpr std::string_view name = "any";
    using variant = std::variant<gate, confidence, margin, stable, similarity, oracle, classifier,
                                 cluster_match>;

    // NOLINTNEXTLINE(google-explicit-constructor): a rule is an any_rule.
    any_rule(variant rule) : m_rule(std::move(rule)) {}

    template <class Visit>
    decltype(auto) visit(Visit v) const {
        return std::visit(v, m_rule);
    }
    [[nodiscard]] std::string_view word() const {
        return visit([](const auto& r) { return std::string_view(r.name); });
    }
    [[nodiscard]] exit_needs needs() const {
        return visit([](const auto& r) { return r.needs(); });
    }
    void begin(std::size_t count) {
        std::visit([&](auto& r) { r.begin(count); }, m_rule);
    }
    void score(const exit_view& view, std::span<float> scores) {
        std::visit([&](auto& r) { r.score(view, scores); }, m_rule);
    }
    void translate(std::size_t layer, rows<float> x) const {
        visit([&](const auto& r) { r.translate(layer, x); });
    }
    [[nodiscard]] std::optional<named_token> answer(std::size_t t) const {
        return visit([&]<class Rule>(const Rule& r) -> std::optional<named_token> {
            if constexpr (answering_rule<Rule>) {
                return r.answer(t);
            } else {
                return std::nullopt;
            }
        });
    }
    /// Whether `tell` must come before each pass: for oracle, that of the whole model's top tokens.
    [[nodiscard]] bool must_be_told() const { return std::holds_alternative<oracle>(m_rule); }
    void tell(const std::vector<token_id>& answers) {
        if (auto* knows = std::get_if<oracle>(&m_rule)) { knows->tell(answers); }
    }
    void save(exit_writer& to) const {
        to.string(word());
        visit([&](const auto& r) { r.save(to); });
    }
    [[nodiscard]] variant& get() { return m_rule; }

private:
    variant m_rule;
};
static_assert(answering_rule<any_rule>);

/// A rule with the threshold that calibration found.
struct fitted_exit {
    any_rule rule;
    float threshold = 0.0F;
    double agreement = 0.0;       ///< that was wanted
    std::uint64_t fitted_on = 0;  ///< hash of the text: what is measured must be another
};

/// Into a file that was opened before the fit, so that one that cannot be written costs no work.
inline void save_exit(const fitted_exit& e, exit_writer& to) {
    to.value(e.threshold);
    to.value(e.agreement);
    to.value(e.fitted_on);
    e.rule.save(to);
    to.commit();
}
inline void save_exit(const fitted_exit& e, const std::filesystem::path& path,
                      std::uint64_t fingerprint) {
    exit_writer to(path, fingerprint);
    save_exit(e, to);
}

namespace detail {

template <class Rule>
Rule load_lens_rule(exit_reader& from, const exit_sizes& config, lens_read read) {
    const auto stored = from.list<std::uint64_t>("layers");
    for (const std::uint64_t l : stored) {
        if (l >= config.layers) {
            fail("{}: exit rule: layer: expected 0 to {}, got {}", from.name(), config.layers - 1,
                 l);
        }
    }
    linear_lens lens = from.lens(config.layers, config.width);
    return Rule(lens_reader(std::move(read), std::move(lens)),
                std::vector<std::size_t>(stored.begin(), stored.end()));
}

inline any_rule load_rule(exit_reader& from, const exit_sizes& config, lens_read read) {
    const std::string word = from.string("rule");
    if (word == gate::name) {
        return {gate::load(from, config.layers, config.width, config.vocabulary)};
    }
    if (word == classifier::name) { return {classifier::load(from, config.layers, config.width)}; }
    if (word == cluster_match::name) {
        return {cluster_match::load(from, config.layers, config.inner_width)};
    }
    if (word == confidence::name) { return {load_lens_rule<confidence>(from, config, read)}; }
    if (word == margin::name) { return {load_lens_rule<margin>(from, config, read)}; }
    if (word == stable::name) { return {load_lens_rule<stable>(from, config, read)}; }
    if (word == similarity::name) { return {load_lens_rule<similarity>(from, config, read)}; }
    fail("{}: exit rule: unknown rule '{}'", from.name(), printable(word));
}

}  // namespace detail

/// Reads what save_exit wrote. `read` is the model's logit lens, for rules that need one. Throws
/// xlens::error for anything but a whole file of this version and this model.
inline fitted_exit load_exit(const std::filesystem::path& path, std::uint64_t fingerprint,
                             const exit_sizes& config, lens_read read) {
    exit_reader from(path, fingerprint);
    const auto threshold = from.value<float>("threshold");
    const auto agreement = from.value<double>("agreement");
    const auto fitted_on = from.value<std::uint64_t>("text");
    any_rule rule = detail::load_rule(from, config, std::move(read));
    from.finish();
    return {std::move(rule), threshold, agreement, fitted_on};
}

}  // namespace xlens
