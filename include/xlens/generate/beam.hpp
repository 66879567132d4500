// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/transformer.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(generate)
#include <xlens/core/error.hpp>
#include <xlens/kernels/softmax.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/model/state.hpp>
#endif

namespace xlens {

/// Each beam has keys and values of its own.
inline constexpr std::size_t most_beams = 1000;

struct beam_options {
    std::size_t beams = 4;
    std::size_t count = 20;           ///< tokens to generate at most
    std::size_t least = 0;            ///< before so many none of `ends` is chosen
    float length_penalty = 1.0F;      ///< p below; above 0 favours long texts
    std::vector<token_id> ends = {};  ///< each ends a text, and is its last token (model::ends)

    [[nodiscard]] bool is_end(token_id id) const {
        return std::ranges::find(ends, id) != ends.end();
    }
};

/// A text that beam search found: score = Σ_t log p(w_t | w_<t) / n^p over its n new tokens.
struct hypothesis {
    std::vector<generated> tokens;
    float score = 0.0F;
};

namespace detail {

/// Whether a text is complete with one token more, for a reason besides an end token.
using text_complete = std::function<bool(std::span<const generated>, token_id)>;

XLENS_API std::vector<std::vector<hypothesis>> beam_search_with(
    const transformer<>& model, std::span<const std::vector<token_id>> prompts,
    const beam_options& o, const text_complete& complete, dynamic_policies& policies);

}  // namespace detail

/// Beam search for several prompts at once: the beams of all of them are read in one pass a token.
/// For each prompt the B most probable beginnings are kept, token after token; its result is up to
/// B texts, best first, and those that ended with a token of `ends` end with it. Equal to
/// transformers' beam search with early_stopping = False, and the same for a prompt alone.
/// `complete(tokens, next)` may end a text for another reason (a stop sequence). A prompt is read
/// once; its keys and values are copied once a beam, and a beam that forks copies only what follows
/// the prompt.
/// Throws xlens::error for no beams or more than most_beams, and a length penalty that is not
/// finite.
template <class... P>
std::vector<std::vector<hypothesis>> beam_search_each(
    const transformer<>& model, std::span<const std::vector<token_id>> prompts,
    const beam_options& o, const detail::text_complete& complete, P&... policies) {
    dynamic_policies pack = dynamic_policies::of(policies...);
    return detail::beam_search_with(model, prompts, o, complete, pack);
}

/// The same for one prompt.
template <class... P>
std::vector<hypothesis> beam_search(const transformer<>& model, std::span<const token_id> prompt,
                                    const beam_options& o, const detail::text_complete& complete,
                                    P&... policies) {
    const std::vector<token_id> one(prompt.begin(), prompt.end());
    return std::move(beam_search_each(model, std::span(&one, 1), o, complete, policies...).front());
}

XLENS_API std::vector<hypothesis> beam_search(const transformer<>& model,
                                              std::span<const token_id> prompt,
                                              const beam_options& o);

#if XLENS_DEFINES(generate)
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

/// The best `wanted` continuations of all beams, without the tokens `forbidden`. In the order of
/// their scores, of equals the earlier beam and the lower token.
inline std::vector<candidate> best_candidates(const std::vector<beam>& beams, std::size_t wanted,
                                              std::span<const token_id> forbidden) {
    std::vector<candidate> out;
    for (std::size_t b = 0; b < beams.size(); ++b) {
        const auto& logits = beams[b].state.logits;
        const std::span<const float> z(logits.data(), logits.size());
        const float normaliser = kernels::log_sum_exp(z);
        for (const scored& s : best_of(z, wanted + forbidden.size())) {
            if (std::ranges::find(forbidden, s.id) != forbidden.end()) { continue; }
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
/// further one copies what follows the prompt, so that a step copies no prompt. `spare` holds
/// states that have read the prompt, and those that are left over go back to it.
inline std::vector<beam> continue_beams(std::vector<beam>& beams, std::span<const candidate> chosen,
                                        std::size_t prompt, std::vector<sequence_state>& spare) {
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
inline void read_last(const transformer<>& model, std::span<beam* const> beams,
                      dynamic_policies& policies) {
    if (beams.empty()) { return; }
    if (policies.is_rowwise()) {
        std::vector<sequence_state*> states;
        std::vector<token_id> tokens;
        for (beam* b : beams) {
            states.push_back(&b->state);
            tokens.push_back(b->tokens.back().id);
        }
        model.forward_each(states, tokens, policies);
        return;
    }
    for (beam* b : beams) {
        b->state.wanted = logit_rows::last;
        model.forward(b->state, std::span<const token_id>(&b->tokens.back().id, 1), policies);
    }
}

/// The search for one prompt, a token at a time.
class beam_run {
public:
    /// `start` has read the prompt.
    beam_run(sequence_state start, std::size_t context, const beam_options& o)
        : m_options(o),
          m_prompt(start.position),
          m_context(context),
          m_spare(o.beams - 1, start),
          m_beams(1),
          m_done(m_options) {
        m_beams[0].state = std::move(start);
    }
    beam_run(const beam_run&) = delete;
    beam_run& operator=(const beam_run&) = delete;

    /// Chooses the next token of every beam, from their logits. False once the search is over;
    /// until then the last token of each beam must be read before the next step.
    bool step(const std::function<bool(std::span<const generated>, token_id)>& complete) {
        ++m_length;
        const bool last = m_length >= m_options.count || m_prompt + m_length > m_context;
        const auto forbidden = m_length <= m_options.least
                                   ? std::span<const token_id>(m_options.ends)
                                   : std::span<const token_id>();
        // Each beam may end in every way: enough that B go on all the same.
        const std::size_t ways = std::max<std::size_t>(2, 1 + m_options.ends.size());
        const auto candidates = best_candidates(m_beams, ways * m_options.beams, forbidden);
        std::vector<candidate> going;
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            const candidate& c = candidates[i];
            const beam& parent = m_beams[c.beam];
            const bool stops = m_options.is_end(c.id);
            if (!last && !stops && !complete(std::span<const generated>(parent.tokens), c.id)) {
                if (going.size() < m_options.beams) { going.push_back(c); }
            } else if (i < m_options.beams) {
                m_done.add(parent, c);
            }
        }
        if (going.empty() || !m_done.may_improve(going.front().log_probability, m_length)) {
            return false;
        }
        m_beams = continue_beams(m_beams, going, m_prompt, m_spare);
        return true;
    }
    [[nodiscard]] std::vector<beam>& beams() { return m_beams; }
    std::vector<hypothesis> take() { return m_done.take(); }

private:
    beam_options m_options;
    std::size_t m_prompt;
    std::size_t m_context;
    std::size_t m_length = 0;
    std::vector<sequence_state> m_spare;
    std::vector<beam> m_beams;
    finished_beams m_done;
};

}  // namespace detail

namespace detail {

XLENS_API std::vector<std::vector<hypothesis>> beam_search_with(
    const transformer<>& model, std::span<const std::vector<token_id>> prompts,
    const beam_options& o, const text_complete& complete, dynamic_policies& policies) {
    if (o.beams == 0 || o.beams > most_beams) {
        fail("beams: expected 1 to {}, got {}", most_beams, o.beams);
    }
    if (!std::isfinite(o.length_penalty)) {
        fail("length penalty: expected a finite number, got {}", o.length_penalty);
    }
    std::vector<std::vector<hypothesis>> out(prompts.size());
    if (o.count == 0) { return out; }
    std::vector<std::unique_ptr<beam_run>> runs;
    for (const std::vector<token_id>& prompt : prompts) {
        sequence_state state = model.start();
        prefill(model, state, std::span<const token_id>(prompt), policies);
        runs.push_back(std::make_unique<beam_run>(std::move(state), model.config.context, o));
    }
    while (true) {
        std::vector<beam*> going;
        for (std::size_t i = 0; i < runs.size(); ++i) {
            if (!runs[i]) { continue; }
            if (runs[i]->step(complete)) {
                for (beam& b : runs[i]->beams()) { going.push_back(&b); }
            } else {
                out[i] = runs[i]->take();
                runs[i].reset();
            }
        }
        if (going.empty()) { return out; }
        read_last(model, std::span<beam* const>(going), policies);
    }
}

}  // namespace detail

XLENS_API std::vector<hypothesis> beam_search(const transformer<>& model,
                                              std::span<const token_id> prompt,
                                              const beam_options& o) {
    return beam_search(model, prompt, o,
                       [](std::span<const generated>, token_id) { return false; });
}
#endif

}  // namespace xlens
