// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/early_exit/verified.hpp>
#include <xlens/generate/choice.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/state.hpp>
#include <xlens/model/transformer.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

namespace xlens::early_exit {

/// Decoding with a policy beside decoding without, on the same tokens.
struct timed_exit {
    std::size_t tokens = 0;    ///< decoded by each
    std::size_t agreeing = 0;  ///< same top token
    std::size_t saved = 0;     ///< layers, in all
    double seconds_full = 0.0;
    double seconds_exit = 0.0;
    std::vector<double> ratios;  ///< exit / full of each turn
    draft_counts drafts;         ///< where exits were verified

    [[nodiscard]] double agreement() const { return share(agreeing); }
    [[nodiscard]] double saved_layers() const { return share(saved); }
    /// Share of the decoding time that exits save, decisions included; below 0 where they cost
    /// more.
    [[nodiscard]] double saved_time() const;

private:
    [[nodiscard]] double share(std::size_t count) const;
};

namespace detail {

template <class Each, class... P>
double timed_pass(const transformer<>& model, sequence_state& state,
                  std::span<const token_id> tokens, Each each, P&... policies) {
    double seconds = 0.0;
    greedy best;
    state.wanted = logit_rows::best;
    for (std::size_t t = 0; t < tokens.size(); ++t) {
        const auto begin = std::chrono::steady_clock::now();
        model.forward(state, tokens.subspan(t, 1), policies...);
        const token_id top = xlens::detail::choose_from(state, best).id;
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        each(t, top);
    }
    return seconds;
}

/// The seconds of both for the same `count` tokens, added to `out`. Who is first changes from turn
/// to turn.
template <class Full, class Exit>
void time_turn(timed_exit& out, std::size_t count, Full run_full, Exit run_exit) {
    const bool full_first = out.ratios.size() % 2 == 0;
    double full = full_first ? run_full() : 0.0;
    const double exit = run_exit();
    if (!full_first) { full = run_full(); }
    out.tokens += count;
    out.seconds_full += full;
    out.seconds_exit += exit;
    out.ratios.push_back(exit / full);
}

}  // namespace detail

/// Decodes a text token by token, teacher-forced and live: each of the two keeps its own keys and
/// values, so that what earlier exits left in the cache counts. They work by turns of `turn` tokens
/// and change who is first, for a machine's speed drifts. The first `prompt` tokens of each window
/// are read in one pass, which is not timed; each time holds what generate does for a greedy token:
/// the unembedding and the choice of the best, or the answer of an exit.
template <class Policy>
timed_exit time_exit(const transformer<>& model, std::span<const token_id> tokens,
                     std::size_t window, Policy& policy, const progress_function& progress,
                     std::size_t prompt = 32, std::size_t turn = 16) {
    timed_exit out;
    for (std::size_t start = 0; start + prompt < tokens.size(); start += window) {
        const auto text = tokens.subspan(start, std::min(window, tokens.size() - start));
        if (text.size() <= prompt) { break; }
        sequence_state full = model.start();
        model.forward(full, text.first(prompt));
        sequence_state cut = full;
        for (std::size_t first = prompt; first < text.size(); first += turn) {
            const auto part = text.subspan(first, std::min(turn, text.size() - first));
            std::vector<token_id> tops(part.size());
            std::vector<token_id> others(part.size());
            const auto run_full = [&] {
                return detail::timed_pass(model, full, part,
                                          [&](std::size_t t, token_id top) { tops[t] = top; });
            };
            const auto run_exit = [&] {
                return detail::timed_pass(
                    model, cut, part,
                    [&](std::size_t t, token_id top) {
                        others[t] = top;
                        out.saved += model.config.layers - 1 - cut.exit_layer;
                    },
                    policy);
            };
            detail::time_turn(out, part.size(), run_full, run_exit);
            for (std::size_t t = 0; t < part.size(); ++t) {
                out.agreeing += tops[t] == others[t] ? 1U : 0U;
            }
            progress(start + first + part.size(), tokens.size());
        }
    }
    return out;
}

/// The same of exits that are verified (verified.hpp), beside decoding without exits: `agreeing`
/// must be all tokens. What is read is the text, right or wrong; a draft is judged by the model's
/// token, and what stood behind a wrong one is read again. Each turn ends with no draft open.
XLENS_API timed_exit time_verified(const transformer<>& model, std::span<const token_id> tokens,
                                   std::size_t window, const fitted_exit& exit,
                                   const progress_function& progress = {}, std::size_t prompt = 32,
                                   std::size_t turn = 64);

#if XLENS_DEFINES(early_exit)

XLENS_API timed_exit time_verified(const transformer<>& model, std::span<const token_id> tokens,
                                   std::size_t window, const fitted_exit& exit,
                                   const progress_function& progress, std::size_t prompt,
                                   std::size_t turn) {
    timed_exit out;
    for (std::size_t start = 0; start + prompt < tokens.size(); start += window) {
        const auto text = tokens.subspan(start, std::min(window, tokens.size() - start));
        if (text.size() <= prompt) { break; }
        sequence_state full = model.start();
        model.forward(full, text.first(prompt));
        sequence_state cut = full;
        dynamic_policies none;
        detail::verifier writer(model, cut, {}, exit, drafting::where_it_pays, none);
        writer.read_instead(text);
        writer.begin();
        for (std::size_t first = prompt; first < text.size(); first += turn) {
            const auto part = text.subspan(first, std::min(turn, text.size() - first));
            std::vector<token_id> tops(part.size());
            const auto run_full = [&] {
                return detail::timed_pass(model, full, part,
                                          [&](std::size_t t, token_id top) { tops[t] = top; });
            };
            const auto run_exit = [&] {
                const auto begin = std::chrono::steady_clock::now();
                writer.go_on(1 + first - prompt + part.size());
                const auto spent = std::chrono::steady_clock::now() - begin;
                return std::chrono::duration<double>(spent).count();
            };
            detail::time_turn(out, part.size(), run_full, run_exit);
            const std::vector<generated>& found = writer.out().tokens;
            for (std::size_t t = 0; t < part.size(); ++t) {
                out.agreeing += tops[t] == found[1 + first - prompt + t].id ? 1U : 0U;
            }
            progress(start + first + part.size(), tokens.size());
        }
        out.drafts += writer.out().counts;
    }
    out.saved = model.config.layers * out.tokens - out.drafts.layer_passes;
    return out;
}

XLENS_API double timed_exit::saved_time() const {
    return seconds_full > 0.0 ? 1.0 - seconds_exit / seconds_full : 0.0;
}

XLENS_API double timed_exit::share(std::size_t count) const {
    return tokens == 0 ? 0.0 : static_cast<double>(count) / static_cast<double>(tokens);
}

#endif

}  // namespace xlens::early_exit
