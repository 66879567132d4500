// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/answer.hpp>
#include <xlens/model/transformer.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace xlens::early_exit {

/// What a layer takes that works on n positions, t(n), learnt while passes run. It is no line: a
/// kernel takes two to four positions in nearly the same time.
class pass_costs {
public:
    static constexpr std::size_t most = 16;  ///< positions; more take as many as this

    pass_costs();
    /// Learns from a pass in which so many layers worked on n positions: `layers[n]`, n < most + 1.
    void add(std::span<const double> layers, double seconds);
    /// What a further position adds to a layer that works on n, in t(1). What comes after that
    /// position counts too, half as much each, for drafts follow on drafts:
    ///   μ(n) = Σ_m 2^-m·(t(n + m) - t(n + m - 1)) / (t(1)·Σ_m 2^-m), m from 1 to 3
    [[nodiscard]] double further(std::size_t n) const;

private:
    [[nodiscard]] double at(std::size_t n) const { return m_seconds[std::min(n, most)]; }

    std::array<double, most + 1> m_seconds;  // t(n); in units until the first pass
    bool m_measured = false;
};

/// Where an exit pays whose token the whole model judges later (verified.hpp). At layer l, with
/// rest = L - 1 - l + U layers to come (U: the unembedding) and μ what a further position adds to
/// them (pass_costs), a draft that is accepted saves (1 - μ)·rest; one that is not has the next
/// position read for nothing, l + 1 + μ·rest. So the exit is taken where
///   q·(1 - μ)·rest > (1 - q)·(l + 1 + μ·rest),
/// q being the share of recent looks of the rule at that layer which named the model's token, times
/// that of every draft which is not judged yet.
class draft_choice {
public:
    explicit draft_choice(const transformer<>& model);

    /// A position more is read. Returns whether the rule is to be asked there: looks take time, so
    /// where no exit has paid of late, only at every fourth position.
    bool begin() {
        m_open.emplace_back();
        ++m_unpaid;
        return m_unpaid < 16 || m_unpaid % 4 == 0;
    }
    /// Whether it pays to leave after this layer, where the rule would; it names this token, if it
    /// knows one.
    bool pays(std::size_t layer, std::optional<token_id> named);
    /// It left there, and this token was named.
    void drafted(std::size_t layer, token_id named);
    /// The first position that is open has this token.
    void judge(token_id token);
    /// The positions that are open were read behind a wrong draft.
    void forget() { m_open.clear(); }
    /// A pass took so long: positions that each layer worked on, and positions that were read.
    void took(std::span<const std::size_t> rows, std::size_t read, double seconds);

private:
    /// Looks at a layer after which the rule would leave; recent ones count most.
    struct record {
        double looks = 0.0;
        double agreed = 0.0;
    };
    struct look {
        std::size_t layer = 0;
        token_id named = 0;
    };
    struct position {
        std::vector<look> looks;
        double trust = 1.0;  ///< in its draft
    };

    /// q of one draft. A layer that was looked at seldom is taken for one as all are, and all for a
    /// coin: a rule that names its token is watched until it has been right, for nothing is lost by
    /// watching. One that does not cannot be watched, and is trusted first.
    [[nodiscard]] double trust(std::size_t layer, bool names) const;

    double m_unembedding;
    pass_costs m_costs;
    std::vector<record> m_records;  // one a layer
    std::vector<position> m_open;   // read, and not judged yet
    std::size_t m_unpaid = 0;       // positions since an exit paid
};

#if XLENS_DEFINES(early_exit)

XLENS_API pass_costs::pass_costs() {
    for (std::size_t n = 0; n < m_seconds.size(); ++n) {
        m_seconds[n] = 0.6 + 0.4 * static_cast<double>(n);  // a guess: μ = 0.4
    }
}

XLENS_API void pass_costs::add(std::span<const double> layers, double seconds) {
    double expected = 0.0;
    double squares = 0.0;
    for (std::size_t n = 1; n <= most; ++n) {
        expected += layers[n] * m_seconds[n];
        squares += layers[n] * layers[n];
    }
    if (!(squares > 0.0) || !(seconds > 0.0)) { return; }
    if (!m_measured) {
        for (double& t : m_seconds) { t *= seconds / expected; }
        m_measured = true;
        return;
    }
    // One step towards the times that would have given this pass's. What an interruption adds is no
    // cost: a pass counts as twice what was expected at most.
    const double error = std::min(seconds, 2.0 * expected) - expected;
    for (std::size_t n = 1; n <= most; ++n) {
        m_seconds[n] += 0.2 * error * layers[n] / squares;
        m_seconds[n] = std::max(m_seconds[n], m_seconds[n - 1]);
    }
}

XLENS_API double pass_costs::further(std::size_t n) const {
    double sum = 0.0;
    double weights = 0.0;
    double weight = 0.5;
    for (std::size_t m = 1; m <= 3; ++m, weight /= 2.0) {
        sum += weight * (at(n + m) - at(n + m - 1));
        weights += weight;
    }
    return std::clamp(sum / (weights * m_seconds[1]), 0.0, 1.0);
}

XLENS_API draft_choice::draft_choice(const transformer<>& model) : m_records(model.config.layers) {
    const hyperparameters& c = model.config;
    const double layer = static_cast<double>(
        c.width * (2 * c.head_size * (c.heads + c.kv_heads) + 3 * c.inner_width));
    m_unembedding = static_cast<double>(c.vocabulary * c.width) / layer;
}

XLENS_API double draft_choice::trust(std::size_t layer, bool names) const {
    record all = names ? record{2.0, 1.0} : record{4.0, 3.2};
    for (const record& r : m_records) {
        all.looks += r.looks;
        all.agreed += r.agreed;
    }
    constexpr double weight = 3.0;
    const record& r = m_records[layer];
    return (r.agreed + weight * all.agreed / all.looks) / (r.looks + weight);
}

XLENS_API bool draft_choice::pays(std::size_t layer, std::optional<token_id> named) {
    if (m_open.empty()) { return false; }
    position& p = m_open.back();
    if (named) { p.looks.push_back({layer, *named}); }
    const double rest = static_cast<double>(m_records.size() - 1 - layer) + m_unembedding;
    const double mu = m_costs.further(m_open.size());
    double q = trust(layer, named.has_value());
    p.trust = 1.0;
    for (const position& before : m_open) { q *= before.trust; }
    p.trust = trust(layer, named.has_value());
    const double saved = (1.0 - mu) * rest;
    const double lost = static_cast<double>(layer + 1) + mu * rest;
    const bool yes = q * saved > (1.0 - q) * lost;
    if (yes) { m_unpaid = 0; }
    return yes;
}

XLENS_API void draft_choice::drafted(std::size_t layer, token_id named) {
    std::vector<look>& looks = m_open.back().looks;
    if (looks.empty() || looks.back().layer != layer) { looks.push_back({layer, named}); }
}

XLENS_API void draft_choice::judge(token_id token) {
    if (m_open.empty()) { return; }
    constexpr double keep = 0.97;
    for (const look& l : m_open.front().looks) {
        record& r = m_records[l.layer];
        r.looks = keep * r.looks + 1.0;
        r.agreed = keep * r.agreed + (l.named == token ? 1.0 : 0.0);
    }
    m_open.erase(m_open.begin());
}

XLENS_API void draft_choice::took(std::span<const std::size_t> rows, std::size_t read,
                                  double seconds) {
    std::array<double, pass_costs::most + 1> layers{};
    for (const std::size_t n : rows) { layers[std::min(n, pass_costs::most)] += 1.0; }
    layers[std::min(read, pass_costs::most)] += m_unembedding;
    layers[0] = 0.0;
    m_costs.add(layers, seconds);
}

#endif

}  // namespace xlens::early_exit
