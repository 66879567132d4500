// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/early_exit/calibrate.hpp>
#include <xlens/early_exit/exit_inputs.hpp>
#include <xlens/early_exit/exit_rule.hpp>
#include <xlens/early_exit/lens_reader.hpp>
#include <xlens/early_exit/model_reader.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/nn/norm.hpp>
#endif

namespace xlens::early_exit {

namespace detail {

/// Rules that know the answers: oracle, and any_rule if it is one.
template <class Rule>
concept told_rule = requires(Rule& r) { r.tell(std::vector<token_id>()); };
template <exit_rule Rule>
bool must_be_told(const Rule& rule) {
    if constexpr (requires { rule.must_be_told(); }) {
        return rule.must_be_told();
    } else {
        return told_rule<Rule>;
    }
}
template <exit_rule Rule>
void tell(Rule& rule, const std::vector<token_id>& answers) {
    if constexpr (told_rule<Rule>) { rule.tell(answers); }
}

/// Asks a rule about every position of a pass that runs in full; the token is the rule's own, or
/// else that of what it would have read.
template <exit_rule Rule>
class exit_probe {
public:
    static constexpr hook hooks = hook::embedding | hook::before | hook::coefficients | hook::after;

    struct look {
        std::size_t row = 0;
        std::size_t layer = 0;
        float score = 0.0F;
        token_id top = 0;
    };

    exit_probe(Rule& rule, const lens_read& read)
        : m_rule(&rule), m_read(&read), m_inputs(rule.needs()) {}

    [[nodiscard]] const std::vector<look>& looks() const { return m_looks; }

    void embedding(const site&, rows<float> x) {
        m_looks.clear();
        m_rule->begin(x.count());
    }
    void before(const site&, rows<float> x) { m_inputs.before(x); }
    void coefficients(const site&, rows<float> m) { m_inputs.coefficients(m); }
    void after(const site& where, rows<float> x) {
        const exit_view view = m_inputs.view(where.layer, where.first_position, x);
        std::vector<float> scores(x.count());
        m_rule->score(view, scores);
        std::vector<std::size_t> asked;
        for (std::size_t t = 0; t < scores.size(); ++t) {
            if (!(scores[t] > 0.0F)) { continue; }
            if (const auto own = answer(t)) {
                m_looks.push_back({t, where.layer, scores[t], own->id});
            } else {
                asked.push_back(t);
            }
        }
        if (asked.empty()) { return; }
        xt::xtensor<float, 2> left = xt::empty<float>({asked.size(), x.width()});
        for (std::size_t i = 0; i < asked.size(); ++i) {
            std::ranges::copy(x[asked[i]], rows<float>(left)[i].begin());
        }
        m_rule->translate(where.layer, left);
        const std::vector<reading> read = (*m_read)(left, 1);
        for (std::size_t i = 0; i < asked.size(); ++i) {
            const std::size_t t = asked[i];
            m_looks.push_back({t, where.layer, scores[t],
                               top_of(read[i], where.layer, where.first_position + t)});
        }
    }

private:
    [[nodiscard]] std::optional<named_token> answer(std::size_t t) const {
        if constexpr (answering_rule<Rule>) {
            return m_rule->answer(t);
        } else {
            return std::nullopt;
        }
    }

    Rule* m_rule;
    const lens_read* m_read;
    exit_inputs m_inputs;
    std::vector<look> m_looks;
};

/// Several rules at one pass.
template <exit_rule Rule>
class exit_probes {
public:
    static constexpr hook hooks = exit_probe<Rule>::hooks;

    exit_probes(std::span<Rule> rules, const lens_read& read) {
        for (Rule& r : rules) { m_probes.emplace_back(r, read); }
    }
    [[nodiscard]] const std::vector<exit_probe<Rule>>& each() const { return m_probes; }

    void embedding(const site& where, rows<float> x) {
        for (auto& p : m_probes) { p.embedding(where, x); }
    }
    void before(const site& where, rows<float> x) {
        for (auto& p : m_probes) { p.before(where, x); }
    }
    void coefficients(const site& where, rows<float> m) {
        for (auto& p : m_probes) { p.coefficients(where, m); }
    }
    void after(const site& where, rows<float> x) {
        for (auto& p : m_probes) { p.after(where, x); }
    }

private:
    std::vector<exit_probe<Rule>> m_probes;
};

/// The whole model's top tokens of a pass that begins at position `first`.
XLENS_API std::vector<token_id> tops_of(const transformer<>& model, const lens_read& read,
                                        const sequence_state& state, std::size_t first);

}  // namespace detail

/// What each of some rules says of every position of a text that is read in windows,
/// teacher-forced: the model runs in full, once for all rules, so that what a position reads of
/// others is the whole model's, and each position is asked on its own. Scores of 0 and below, which
/// no threshold lets pass, leave no look. A rule that must be told the answers (oracle) is. Rules
/// with one lens that is `remembering` cost one unembedding a position and layer. (R, T). Throws
/// xlens::error naming layer and position, counted from the window's start, for a residual that
/// cannot be read.
template <exit_rule Rule>
std::vector<std::vector<exit_trial>> exit_trials(const transformer<>& model,
                                                 std::span<const token_id> tokens,
                                                 std::size_t window, std::span<Rule> rules,
                                                 const lens_read& read,
                                                 const progress_function& progress) {
    constexpr std::size_t chunk = 128;
    detail::exit_probes<Rule> probes(rules, read);
    std::vector<std::vector<exit_trial>> out(rules.size(), std::vector<exit_trial>(tokens.size()));
    const bool told =
        std::ranges::any_of(rules, [](const Rule& r) { return detail::must_be_told(r); });
    const auto ask = [&](sequence_state& state, const text_pass& pass) {
        std::vector<token_id> answers;
        if (told) {
            model.forward(state, pass.tokens);
            answers = detail::tops_of(model, read, state, pass.position);
            for (Rule& r : rules) { detail::tell(r, answers); }
            state.truncate(pass.position);
        }
        model.forward(state, pass.tokens, probes);
        if (!told) { answers = detail::tops_of(model, read, state, pass.position); }
        for (std::size_t r = 0; r < rules.size(); ++r) {
            for (const auto& look : probes.each()[r].looks()) {
                out[r][pass.row + look.row].looks.push_back(
                    {look.layer, look.score, look.top == answers[look.row]});
            }
        }
    };
    each_window(model, tokens, window, chunk, ask, progress);
    return out;
}

/// Of one rule.
template <exit_rule Rule>
std::vector<exit_trial> exit_trials(const transformer<>& model, std::span<const token_id> tokens,
                                    std::size_t window, Rule& rule,
                                    const progress_function& progress) {
    return std::move(
        exit_trials(model, tokens, window, std::span<Rule>(&rule, 1), lens_read_of(model), progress)
            .front());
}

/// Agreement and savings of a rule over trials.
struct exit_summary {
    std::size_t positions = 0;
    std::size_t agreeing = 0;
    std::size_t saved = 0;           ///< layers, in all
    std::vector<std::size_t> exits;  ///< positions that left after each layer
    std::size_t layers = 0;

    [[nodiscard]] double agreement() const { return share(agreeing); }
    [[nodiscard]] double saved_layers() const { return share(saved); }
    [[nodiscard]] double saved_fraction() const;

private:
    [[nodiscard]] double share(std::size_t count) const;
};

XLENS_API exit_summary summarise(std::span<const exit_trial> trials, float threshold,
                                 std::size_t layers);

/// What one threshold gives.
struct exit_point {
    float threshold = 0.0F;
    exit_summary summary;
};

/// A rule's agreement against what it saves: thresholds at equal parts of the scores, from the
/// surest down, at most `points` and none twice.
XLENS_API std::vector<exit_point> exit_curve(std::span<const exit_trial> trials, std::size_t layers,
                                             std::size_t points);

#if XLENS_DEFINES(early_exit)

namespace detail {

XLENS_API std::vector<token_id> tops_of(const transformer<>& model, const lens_read& read,
                                        const sequence_state& state, std::size_t first) {
    const std::size_t last = model.config.layers - 1;
    check_residual(state.residual, last, first);
    std::vector<token_id> out;
    for (const reading& r : read(state.residual, 1)) {
        out.push_back(top_of(r, last, first + out.size()));
    }
    return out;
}

}  // namespace detail

XLENS_API double exit_summary::saved_fraction() const {
    return saved_layers() / static_cast<double>(layers);
}

XLENS_API double exit_summary::share(std::size_t count) const {
    return positions == 0 ? 0.0 : static_cast<double>(count) / static_cast<double>(positions);
}

XLENS_API exit_summary summarise(std::span<const exit_trial> trials, float threshold,
                                 std::size_t layers) {
    exit_summary out{trials.size(), 0, 0, std::vector<std::size_t>(layers), layers};
    for (const exit_trial& t : trials) {
        const exit_trial::look* exit = t.exit(threshold);
        const std::size_t layer = exit != nullptr ? exit->layer : layers - 1;
        out.agreeing += exit == nullptr || exit->agrees ? 1U : 0U;
        out.saved += layers - 1 - layer;
        ++out.exits[layer];
    }
    return out;
}

XLENS_API std::vector<exit_point> exit_curve(std::span<const exit_trial> trials, std::size_t layers,
                                             std::size_t points) {
    const std::vector<float> scores = falling_scores(trials);
    std::vector<exit_point> out;
    for (std::size_t i = 1; i <= points && !scores.empty(); ++i) {
        const float threshold = scores[(scores.size() * i - 1) / points];
        if (!out.empty() && threshold == out.back().threshold) { continue; }
        out.push_back({threshold, summarise(trials, threshold, layers)});
    }
    return out;
}

#endif

}  // namespace xlens::early_exit
