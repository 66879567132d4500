// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/answer.hpp>
#include <xlens/model/transformer.hpp>

#include <cstddef>
#include <optional>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <algorithm>
#endif

namespace xlens::early_exit {

/// What a pass takes, learnt while passes run: A layers of which layer l works on n_l positions take
/// about a·A + b·Σ n_l. The unembedding counts as `read` layers.
class pass_costs {
public:
    /// Learns from a pass of A layers, B = Σ n_l.
    void add(double layers, double rows, double seconds);
    /// b/(a + b): what a further position adds to a layer, in layers of one position.
    [[nodiscard]] double further() const;

private:
    // Least squares over recent passes, the latest counting most.
    double m_aa = 0.0;
    double m_ab = 0.0;
    double m_bb = 0.0;
    double m_at = 0.0;
    double m_bt = 0.0;
};

/// Where an exit pays whose token the whole model judges later (verified.hpp). At layer l, with
/// rest = L - 1 - l + U layers to come (U: the unembedding) and μ what a further position adds to a
/// layer (pass_costs), a draft that is accepted saves (1 - μ)·rest; one that is not has the next
/// position read for nothing, l + 1 + μ·rest. So the exit is taken where
///   q·(1 - μ)·rest > (1 - q)·(l + 1 + μ·rest),
/// q being the share of recent looks of the rule at that layer which named the model's token, times
/// that of every draft which is not judged yet.
class draft_choice {
public:
    explicit draft_choice(const transformer<>& model);

    /// A position more is read.
    void begin() { m_open.emplace_back(); }
    /// Whether it pays to leave after this layer, where the rule would; it names this token, if it
    /// knows one.
    bool pays(std::size_t layer, std::optional<token_id> named);
    /// It left there, and this token was named.
    void drafted(std::size_t layer, token_id named);
    /// The first position that is open has this token.
    void judge(token_id token);
    /// The positions that are open were read behind a wrong draft.
    void forget() { m_open.clear(); }
    /// A pass took so long: layers that ran, positions in all of them, and positions that were read.
    void took(std::size_t layers, std::size_t rows, std::size_t read, double seconds);

    [[nodiscard]] const pass_costs& costs() const { return m_costs; }
    /// U.
    [[nodiscard]] double unembedding() const { return m_unembedding; }

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
        double trust = 1.0;  ///< that its token is the model's, where it left
    };

    [[nodiscard]] double trust(std::size_t layer) const;

    double m_unembedding;
    pass_costs m_costs;
    std::vector<record> m_records;  // one a layer
    std::vector<position> m_open;   // read, and not judged yet
};

#if XLENS_DEFINES(early_exit)

XLENS_API void pass_costs::add(double layers, double rows, double seconds) {
    if (!(seconds > 0.0)) { return; }
    constexpr double keep = 0.98;
    // Relative errors count, so a pass that was interrupted weighs no more than another.
    const double w = 1.0 / seconds;
    for (double* sum : {&m_aa, &m_ab, &m_bb, &m_at, &m_bt}) { *sum *= keep; }
    m_aa += layers * layers * w * w;
    m_ab += layers * rows * w * w;
    m_bb += rows * rows * w * w;
    m_at += layers * w;
    m_bt += rows * w;
}

XLENS_API double pass_costs::further() const {
    // Until passes of several positions say more: μ = 0.4, as a weak observation a = 1.5·b.
    constexpr double prior = 0.4;
    const double t = m_aa > 0.0 ? m_at / m_aa : 1.0;
    const double weight = 0.01 * (m_aa + 1e-30);
    const double a0 = (1.0 - prior) * t;
    const double b0 = prior * t;
    const double aa = m_aa + weight;
    const double bb = m_bb + weight;
    const double at = m_at + weight * a0;
    const double bt = m_bt + weight * b0;
    const double det = aa * bb - m_ab * m_ab;
    if (!(det > 0.0)) { return prior; }
    const double a = (at * bb - bt * m_ab) / det;
    const double b = (aa * bt - m_ab * at) / det;
    return a + b > 0.0 ? std::clamp(b / (a + b), 0.0, 1.0) : prior;
}

XLENS_API draft_choice::draft_choice(const transformer<>& model) : m_records(model.config.layers) {
    const hyperparameters& c = model.config;
    const double layer = static_cast<double>(
        c.width * (2 * c.head_size * (c.heads + c.kv_heads) + 3 * c.inner_width));
    m_unembedding = static_cast<double>(c.vocabulary * c.width) / layer;
}

XLENS_API double draft_choice::trust(std::size_t layer) const {
    const record& r = m_records[layer];
    return (r.agreed + 3.2) / (r.looks + 4.0);
}

XLENS_API bool draft_choice::pays(std::size_t layer, std::optional<token_id> named) {
    if (m_open.empty()) { return false; }
    position& p = m_open.back();
    if (named) { p.looks.push_back({layer, *named}); }
    const double rest = static_cast<double>(m_records.size() - 1 - layer) + m_unembedding;
    const double mu = m_costs.further();
    double q = trust(layer);
    for (const position& before : m_open) { q *= before.trust; }
    const double saved = (1.0 - mu) * rest;
    const double lost = static_cast<double>(layer + 1) + mu * rest;
    return q * saved > (1.0 - q) * lost;
}

XLENS_API void draft_choice::drafted(std::size_t layer, token_id named) {
    m_open.back().trust = trust(layer);
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

XLENS_API void draft_choice::took(std::size_t layers, std::size_t rows, std::size_t read,
                                  double seconds) {
    const double u = m_unembedding;
    m_costs.add(static_cast<double>(layers) + (read > 0 ? u : 0.0),
                static_cast<double>(rows) + u * static_cast<double>(read), seconds);
}

#endif

}  // namespace xlens::early_exit
