// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/model/state.hpp>

#include <cmath>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#if XLENS_DEFINES(generate)
#include <xlens/core/error.hpp>
#include <xlens/kernels/softmax.hpp>
#include <xlens/kernels/top_k.hpp>
#endif

namespace xlens {

/// A token chosen from logits, with its probability under the model (not under the sampler).
struct token_choice {
    token_id id = 0;
    float probability = 0.0F;
};

/// Whether a chooser, as it is set up, always takes the most probable token of the logits as they
/// are: it says so by a member `bool takes_best() const`.
template <class Choose>
[[nodiscard]] bool takes_best([[maybe_unused]] const Choose& choose) {
    if constexpr (requires { choose.takes_best(); }) {
        return choose.takes_best();
    } else {
        return false;
    }
}

/// The k best tokens of the logits (N, V) that a pass left in a state, of the last row unless told
/// otherwise: best first, score = logit, of equals the lower id. Throws xlens::error where the pass
/// left no such row (state.wanted). Probabilities: reading, by lens/logit_lens.hpp.
[[nodiscard]] std::vector<scored> best_tokens(const sequence_state& state, std::size_t k,
                                              std::optional<std::size_t> row = {});

/// Chooses the most probable token; of equals the lower id.
struct greedy {
    static constexpr bool takes_best() { return true; }
    token_choice operator()(std::span<const float> logits) const;
};

/// Any way to choose, as a value: called as `choose(logits, text so far)` or `choose(logits)`.
/// Greedy unless told otherwise. It keeps a copy of what it is made of; std::ref borrows, for a
/// sampler whose random numbers are to go on.
class chooser {
public:
    chooser() : chooser(greedy()) {}
    template <class Choose>
        requires(!std::is_same_v<std::remove_cvref_t<Choose>, chooser>)
    chooser(Choose choose)  // NOLINT(google-explicit-constructor): it is one
        : m_takes_best(xlens::takes_best(static_cast<std::unwrap_reference_t<Choose>&>(choose))),
          m_choose([choose = std::move(choose)](std::span<const float> logits,
                                                std::span<const token_id> text) mutable {
              auto& call = static_cast<std::unwrap_reference_t<Choose>&>(choose);
              if constexpr (requires { call(logits, text); }) {
                  return token_choice(call(logits, text));
              } else {
                  return token_choice(call(logits));
              }
          }) {}

    [[nodiscard]] bool takes_best() const { return m_takes_best; }
    token_choice operator()(std::span<const float> logits, std::span<const token_id> text);

private:
    bool m_takes_best;
    std::function<token_choice(std::span<const float>, std::span<const token_id>)> m_choose;
};

#if XLENS_DEFINES(generate)
namespace detail {
inline token_choice chosen(token_id id, std::span<const float> logits) {
    return {id, std::exp(logits[static_cast<std::size_t>(id)] - kernels::log_sum_exp(logits))};
}
/// The k best of these scores, best first; at least one, or xlens::error.
inline std::vector<scored> best_of(std::span<const float> logits, std::size_t k) {
    top_k best(k);
    best.offer_range(0, logits);
    std::vector<scored> found = best.sorted();
    if (found.empty()) { fail("logits: none is a number"); }
    return found;
}
}  // namespace detail

XLENS_API std::vector<scored> best_tokens(const sequence_state& state, std::size_t k,
                                          std::optional<std::size_t> row) {
    if (k == 0) { fail("best_tokens: expected k of 1 or more, got 0"); }
    const rows<const float> logits = state.logits;
    const std::size_t which = row.value_or(logits.count() - 1);
    if (which >= logits.count()) {
        fail("best_tokens: no row {} in the logits of {} positions; see sequence_state::wanted",
             row.value_or(0), logits.count());
    }
    return detail::best_of(logits[which], k);
}

XLENS_API token_choice greedy::operator()(std::span<const float> logits) const {
    return detail::chosen(detail::best_of(logits, 1).front().id, logits);
}

XLENS_API token_choice chooser::operator()(std::span<const float> logits,
                                           std::span<const token_id> text) {
    return m_choose(logits, text);
}
#endif

}  // namespace xlens
