// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/state.hpp>
#include <xlens/model/transformer.hpp>

#include <cstddef>
#include <span>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/error.hpp>
#include <xlens/early_exit/draft_choice.hpp>
#include <xlens/early_exit/exit_policy.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>
#endif

namespace xlens::early_exit {

/// What drafts did for a text.
struct draft_counts {
    std::size_t drafts = 0;        ///< tokens that an exit named and the whole model then judged
    std::size_t accepted = 0;      ///< of those, the whole model's own
    std::size_t tokens = 0;        ///< that passes after the prompt gave
    std::size_t passes = 0;        ///< that went through the last layer
    std::size_t layer_passes = 0;  ///< times that a layer ran, for one position or for several

    draft_counts& operator+=(const draft_counts& other);
    [[nodiscard]] double tokens_per_pass() const;
    /// Layers a token that were not run for it alone, of L.
    [[nodiscard]] double saved_layers(std::size_t layers) const;
};

/// Which exits become drafts: those that pay by the times that were measured (draft_choice), or all
/// that the rule wants.
enum class drafting { where_it_pays, always };

/// A text, bit for bit that of generate() without exits, and what it took.
struct verified_continuation : continuation {
    draft_counts counts;
};

namespace detail {

/// generate_verified() in a state that model.start() made. Leaves in it what generate() would: the
/// positions of all tokens but the last one.
XLENS_API verified_continuation verify_with(const transformer<>& model, sequence_state& state,
                                            std::span<const token_id> prompt,
                                            generate_options options, const fitted_exit& exit,
                                            drafting which, dynamic_policies& policies);

}  // namespace detail

/// Early exit without loss. The token that an exit names is a draft: the next position is read
/// behind it, and the layers that were left out run later, for several positions in one pass
/// (transformer::complete, kv_fill::complete), which costs less than one pass each. The whole
/// model's token then takes the place of a draft that differs, and what was read behind it is
/// forgotten. So tokens, probabilities, keys and values are bit for bit those of generate() with
/// the same options and policies, whatever the rule says (cf. speculative decoding, Leviathan et
/// al. 2023, 2211.17192, and self-speculation, LayerSkip, 2404.16710, where a fixed exit drafts).
///
/// options.choose is called once for each token of the text, in order, with the whole model's
/// logits: a sampler draws what it would have drawn, and a draft, which is always the exit's best
/// token, is accepted where it was drawn. Where an exit pays is decided by measured times
/// (draft_choice), which change no token. generated::exit_layer is the layer that named an accepted
/// draft.
/// Throws xlens::error as generate does, and for a policy that does not look at rows for themselves
/// (is_rowwise), for it would see what is then forgotten.
template <class... P>
verified_continuation generate_verified(const transformer<>& model,
                                        std::span<const token_id> prompt,
                                        const generate_options& options, const fitted_exit& exit,
                                        P&... policies) {
    dynamic_policies pack = dynamic_policies::of(policies...);
    sequence_state state = model.start();
    return detail::verify_with(model, state, prompt, options, exit, drafting::where_it_pays, pack);
}

#if XLENS_DEFINES(early_exit)

XLENS_API draft_counts& draft_counts::operator+=(const draft_counts& other) {
    drafts += other.drafts;
    accepted += other.accepted;
    tokens += other.tokens;
    passes += other.passes;
    layer_passes += other.layer_passes;
    return *this;
}

XLENS_API double draft_counts::tokens_per_pass() const {
    return passes == 0 ? 0.0 : static_cast<double>(tokens) / static_cast<double>(passes);
}

XLENS_API double draft_counts::saved_layers(std::size_t layers) const {
    if (tokens == 0) { return 0.0; }
    return static_cast<double>(layers) -
           static_cast<double>(layer_passes) / static_cast<double>(tokens);
}

namespace detail {

/// A text that is being written.
class verifier {
public:
    verifier(const transformer<>& model, sequence_state& state, generate_options options,
             const fitted_exit& exit, drafting which, dynamic_policies& policies)
        : m_model(&model),
          m_state(&state),
          m_options(std::move(options)),
          m_policies(&policies),
          m_which(which),
          m_threshold(exit.threshold),
          m_choice(model),
          m_exit(exit.rule,
                 [this](std::size_t layer, float score) { return stops(layer, score); }) {
        m_with_exit.borrow(policies);
        m_with_exit.borrow(m_exit);
    }
    verifier(const verifier&) = delete;
    verifier& operator=(const verifier&) = delete;

    /// From the logits of a prompt that has been read: whether the text goes on.
    bool begin() {
        m_state->fill = kv_fill::complete;
        m_goes_on = judge();
        m_state->wanted = logit_rows::completed;
        return m_goes_on;
    }
    /// Until the text is complete.
    void go_on() {
        while (m_goes_on) { m_goes_on = pass(); }
    }
    /// Until there are so many tokens, for a text whose end is no end yet.
    void go_on(std::size_t count) {
        m_options.count = count;
        m_goes_on = m_out.tokens.size() < count;
        go_on();
    }
    /// What is read in place of the tokens that are chosen, from position 0 on (time_exit).
    void read_instead(std::span<const token_id> text) { m_text = text; }

    [[nodiscard]] const verified_continuation& out() {
        m_out.counts.tokens = m_out.tokens.empty() ? 0 : m_out.tokens.size() - 1;
        return m_out;
    }

private:
    bool stops(std::size_t layer, float score) {
        const std::optional<named_token> named = m_exit.rule().answer(0);
        if (score < m_threshold) { return false; }
        const bool pays = m_choice.pays(layer, named ? std::optional(named->id) : std::nullopt);
        return pays || m_which == drafting::always;
    }
    /// Whether nothing is to be read behind the last draft: the text may end there.
    [[nodiscard]] bool must_complete() const {
        return !m_drafts.empty() &&
               (m_out.tokens.size() + m_drafts.size() == m_options.count ||
                m_state->position == m_model->config.context ||
                std::ranges::find(m_options.ends, m_drafts.back().id) != m_options.ends.end());
    }
    /// Reads the newest token, or finishes the drafts. False where the text is complete.
    bool pass() {
        const std::vector<std::size_t> before = cached();
        const auto begin = std::chrono::steady_clock::now();
        if (must_complete()) {
            m_model->complete(*m_state, *m_policies);
        } else {
            const token_id next = newest();
            const bool asks = m_choice.begin() || m_which == drafting::always;
            m_model->forward(*m_state, std::span<const token_id>(&next, 1),
                             asks ? m_with_exit : *m_policies);
        }
        const std::size_t read = m_state->logits.shape(0);
        if (read == 0) { add_draft(); }
        count(before, read, std::chrono::steady_clock::now() - begin);
        return read == 0 || judge();
    }
    [[nodiscard]] token_id newest() const {
        if (!m_text.empty()) { return m_text[m_state->position]; }
        return m_drafts.empty() ? m_out.tokens.back().id : m_drafts.back().id;
    }
    /// Positions of each layer.
    [[nodiscard]] std::vector<std::size_t> cached() const {
        std::vector<std::size_t> out;
        for (const kv_cache& c : m_state->caches) { out.push_back(c.positions()); }
        return out;
    }
    void count(std::span<const std::size_t> before, std::size_t read,
               std::chrono::duration<double> time) {
        std::vector<std::size_t> rows;
        for (std::size_t l = 0; l < before.size(); ++l) {
            const std::size_t more = m_state->caches[l].positions() - before[l];
            if (more > 0) { rows.push_back(more); }
        }
        m_choice.took(rows, read, time.count());
        m_out.counts.layer_passes += rows.size();
        m_out.counts.passes += read > 0 ? 1U : 0U;
    }
    /// The pass left early: what the exit says is a draft. A rule that has not read the vocabulary
    /// has it read now, through its lens.
    void add_draft() {
        draft next{0, m_state->exit_layer};
        if (const auto named = m_exit.answer(rows<const float>(m_state->residual)[0])) {
            next.id = named->id;
        } else {
            xt::xtensor<float, 2> y = m_state->residual;
            xt::xtensor<float, 2> logits =
                xt::empty<float>({std::size_t{1}, m_model->config.vocabulary});
            m_exit.rule().translate(next.layer, y);
            m_model->read_out(y, logits);
            next.id = greedy()(std::span<const float>(logits.data(), logits.size())).id;
        }
        m_drafts.push_back(next);
        m_choice.drafted(next.layer, next.id);
        ++m_out.counts.drafts;
    }
    /// The whole model's tokens of the positions that the last pass has finished. False where the
    /// text is complete.
    bool judge() {
        const rows<const float> logits = m_state->logits;
        const std::vector<draft> drafts = std::exchange(m_drafts, {});
        const std::size_t first = m_state->position - logits.count();
        for (std::size_t i = 0; i < logits.count(); ++i) {
            const std::size_t read = first + i + 1;
            const token_choice next =
                m_options.choose(logits[i], std::span(m_state->tokens).first(read));
            m_choice.judge(next.id);
            const bool drafted = i < drafts.size();
            const bool accepted = drafted && drafts[i].id == next.id;
            m_out.counts.accepted += accepted ? 1U : 0U;
            const std::size_t layer = accepted ? drafts[i].layer : m_model->blocks.size() - 1;
            if (!add(next, layer, read)) {
                m_state->truncate(read);
                return false;
            }
            if (drafted && !accepted) {
                m_state->truncate(read);
                m_choice.forget();
                break;
            }
        }
        return true;
    }
    /// As generate() takes a token after `read` positions.
    bool add(const token_choice& next, std::size_t layer, std::size_t read) {
        m_out.why = finish::end;
        if (std::ranges::find(m_options.ends, next.id) != m_options.ends.end()) { return false; }
        m_out.tokens.push_back({next.id, next.probability, layer});
        m_out.why = finish::stop;
        if (m_options.seen(m_out.tokens.back()) == flow::stop) { return false; }
        m_out.why = finish::length;
        if (m_out.tokens.size() == m_options.count) { return false; }
        m_out.why = finish::context;
        return read != m_model->config.context;
    }

    struct draft {
        token_id id = 0;
        std::size_t layer = 0;
    };

    const transformer<>* m_model;
    sequence_state* m_state;
    generate_options m_options;
    dynamic_policies* m_policies;
    drafting m_which;
    float m_threshold;
    draft_choice m_choice;
    exit_policy<any_rule> m_exit;
    dynamic_policies m_with_exit;
    std::vector<draft> m_drafts;  // not judged yet
    std::span<const token_id> m_text;
    bool m_goes_on = false;
    verified_continuation m_out;
};

XLENS_API verified_continuation verify_with(const transformer<>& model, sequence_state& state,
                                            std::span<const token_id> prompt,
                                            generate_options options, const fitted_exit& exit,
                                            drafting which, dynamic_policies& policies) {
    if (!policies.is_rowwise()) {
        fail("verify: a policy looks at more than a row, or may stop: it would see drafts");
    }
    if (options.count == 0) { return {}; }
    prefill(model, state, prompt, policies);
    verifier writer(model, state, std::move(options), exit, which, policies);
    writer.begin();
    writer.go_on();
    return writer.out();
}

}  // namespace detail
#endif

}  // namespace xlens::early_exit
