// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/kernels/softmax.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/model/state.hpp>
#include <xlens/policy/policy.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace xlens {

struct beam_options {
    std::size_t beams = 4;
    std::size_t count = 20;              ///< tokens to generate at most
    std::size_t least = 0;               ///< before so many the `stop` token is not chosen
    float length_penalty = 1.0F;         ///< p below; above 0 favours long texts
    std::optional<token_id> stop = {};   ///< ends a text, and is its last token
};

/// A text that beam search found: score = Σ_t log p(w_t | w_<t) / n^p over its n new tokens.
struct hypothesis {
    std::vector<generated> tokens;
    float score = 0.0F;
};

namespace detail {

/// One beam: a sequence being read, what it has generated and the log-probability of that.
struct beam {
    sequence_state state;
    std::vector<generated> tokens;
    float log_probability = 0.0F;
};

/// A beam with one token more.
struct candidate {
    std::size_t beam = 0;
    token_id id = 0;
    float log_probability = 0.0F;  ///< of the whole text
    float probability = 0.0F;      ///< of the token
};

/// The best 2·B continuations of all beams: enough for B that go on, whatever ends. In the order of
/// their scores, of equals the earlier beam and the lower token.
inline std::vector<candidate> best_candidates(const std::vector<beam>& beams, std::size_t wanted,
                                              std::optional<token_id> forbidden) {
    std::vector<candidate> out;
    for (std::size_t b = 0; b < beams.size(); ++b) {
        const auto& logits = beams[b].state.logits;
        const std::span<const float> z(logits.data(), logits.size());
        const float normaliser = kernels::log_sum_exp(z);
        for (const scored& s : best_of(z, wanted + 1)) {
            if (forbidden && s.id == *forbidden) { continue; }
            const float log_p = s.score - normaliser;
            out.push_back({b, s.id, beams[b].log_probability + log_p, std::exp(log_p)});
        }
    }
    const auto better = [](const candidate& a, const candidate& b) {
        return a.log_probability > b.log_probability;
    };
    std::stable_sort(out.begin(), out.end(), better);
    out.resize(std::min(out.size(), wanted));
    return out;
}

/// The beams after these continuations. A beam's first continuation takes over its state, every
/// further one copies what follows the prompt, so that a step copies no prompt. `spare` holds states
/// that have read the prompt, and those that are left over go back to it.
inline std::vector<beam> continue_beams(std::vector<beam>& beams,
                                        std::span<const candidate> chosen, std::size_t prompt,
                                        std::vector<sequence_state>& spare) {
    std::vector<std::size_t> uses(beams.size(), 0);
    for (const candidate& c : chosen) { ++uses[c.beam]; }
    for (std::size_t b = 0; b < beams.size(); ++b) {
        if (uses[b] == 0) { spare.push_back(std::move(beams[b].state)); }
    }
    std::vector<beam> out;
    for (const candidate& c : chosen) {
        beam& parent = beams[c.beam];
        beam& next = out.emplace_back();
        next.tokens = parent.tokens;
        next.tokens.push_back({c.id, c.probability, parent.state.exit_layer});
        next.log_probability = c.log_probability;
        if (--uses[c.beam] == 0) {
            next.state = std::move(parent.state);
        } else {
            next.state = std::move(spare.back());
            spare.pop_back();
            next.state.fork_from(parent.state, prompt);
        }
    }
    return out;
}

/// Texts that are complete, at most B, best first.
class finished_beams {
public:
    explicit finished_beams(const beam_options& o) : m_options(&o) {}

    void add(const beam& parent, const candidate& last) {
        hypothesis text{parent.tokens, 0.0F};
        text.tokens.push_back({last.id, last.probability, parent.state.exit_layer});
        text.score = score(last.log_probability, text.tokens.size());
        const auto place = std::find_if(m_texts.begin(), m_texts.end(),
                                        [&](const hypothesis& h) { return h.score < text.score; });
        m_texts.insert(place, std::move(text));
        if (m_texts.size() > m_options->beams) { m_texts.pop_back(); }
    }
    /// Whether a text whose best beginning of n tokens has this log-probability may still enter, if
    /// it ended now: transformers' rule for early_stopping = False.
    [[nodiscard]] bool may_improve(float log_probability, std::size_t n) const {
        return m_texts.size() < m_options->beams ||
               score(log_probability, n) > m_texts.back().score;
    }
    std::vector<hypothesis> take() { return std::move(m_texts); }

private:
    [[nodiscard]] float score(float log_probability, std::size_t n) const {
        return log_probability / std::pow(static_cast<float>(n), m_options->length_penalty);
    }
    const beam_options* m_options;
    std::vector<hypothesis> m_texts;
};

/// Reads each beam's last token: all beams in one pass, or one by one where a policy looks at more
/// than a row (an early exit).
template <class Model, class... P>
void read_last(const Model& model, std::vector<beam>& beams, P&... policies) {
    if ((... && is_rowwise(policies))) {
        std::vector<sequence_state*> states;
        std::vector<token_id> tokens;
        for (beam& b : beams) {
            states.push_back(&b.state);
            tokens.push_back(b.tokens.back().id);
        }
        model.forward_each(states, tokens, policies...);
        return;
    }
    for (beam& b : beams) {
        b.state.wanted = logit_rows::last;
        model.forward(b.state, std::span<const token_id>(&b.tokens.back().id, 1), policies...);
    }
}

}  // namespace detail

/// Beam search: the B most probable beginnings are kept, token after token. Returns up to B texts,
/// best first; those that ended with the `stop` token end with it. Equal to transformers' beam
/// search with early_stopping = False. `complete(tokens)` may end a text for another reason (a stop
/// sequence). The prompt is read once; its keys and values are copied once a beam, and a beam that
/// forks copies only what follows the prompt.
/// Throws xlens::error for no beams, or a length penalty that is not finite.
template <class Model, class Complete, class... P>
std::vector<hypothesis> beam_search(const Model& model, std::span<const token_id> prompt,
                                    const beam_options& o, Complete complete, P&... policies) {
    if (o.beams == 0) { fail("beams: expected at least 1, got 0"); }
    if (!std::isfinite(o.length_penalty)) {
        fail("length penalty: expected a finite number, got {}", o.length_penalty);
    }
    if (o.count == 0) { return {}; }
    std::vector<detail::beam> beams(1);
    beams[0].state = model.start();
    prefill(model, beams[0].state, prompt, policies...);
    std::vector<sequence_state> spare(o.beams - 1, beams[0].state);
    detail::finished_beams done(o);
    for (std::size_t n = 1;; ++n) {
        const bool last = n == o.count || prompt.size() + n > model.config.context;
        const auto forbidden = n <= o.least ? o.stop : std::nullopt;
        const auto candidates = detail::best_candidates(beams, 2 * o.beams, forbidden);
        std::vector<detail::candidate> going;
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            const detail::candidate& c = candidates[i];
            const detail::beam& parent = beams[c.beam];
            const bool ends = last || (o.stop && c.id == *o.stop) || complete(parent.tokens, c.id);
            if (!ends) {
                if (going.size() < o.beams) { going.push_back(c); }
            } else if (i < o.beams) {
                done.add(parent, c);
            }
        }
        if (going.empty() || !done.may_improve(going.front().log_probability, n)) { break; }
        beams = detail::continue_beams(beams, going, prompt.size(), spare);
        detail::read_last(model, beams, policies...);
    }
    return done.take();
}

template <class Model>
std::vector<hypothesis> beam_search(const Model& model, std::span<const token_id> prompt,
                                    const beam_options& o) {
    return beam_search(model, prompt, o, [](std::span<const generated>, token_id) { return false; });
}

}  // namespace xlens
