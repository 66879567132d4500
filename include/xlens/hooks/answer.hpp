// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/hooks/policy.hpp>

#include <concepts>
#include <optional>
#include <span>

namespace xlens {

/// A next token that is named without reading the residual over the whole vocabulary.
struct named_token {
    token_id id = 0;
    float probability = 0.0F;  ///< among the tokens that were looked at; 0: not known
};

/// A policy that may name the next token itself, from the residual x (D) that is about to be read:
/// nothing unless x is, bit for bit, what it has judged.
template <class P>
concept names_token = requires(const P& p, std::span<const float> x) {
    { p.answer(x) } -> std::same_as<std::optional<named_token>>;
};

namespace detail {

/// What policies say to leaving the read-out away.
struct pack_answer {
    std::optional<named_token> named;
    bool reads = false;  ///< somebody wants to see what is read, or the logits

    void add(const pack_answer& other) {
        if (!named) { named = other.named; }
        reads = reads || other.reads;
    }
};

template <policy P>
pack_answer ask(std::span<const float> x, const P& p) {
    pack_answer out;
    if constexpr (names_token<P>) { out.named = p.answer(x); }
    out.reads = wants<hook::logits>(p) || (!out.named && wants<hook::read_out>(p));
    return out;
}

}  // namespace detail

/// The token that a pack names in place of reading the residual x (D): that of the first policy
/// that names one; none where another policy takes `read_out` or `logits` and so must see them.
template <policy... P>
[[nodiscard]] std::optional<named_token> answer_of([[maybe_unused]] std::span<const float> x,
                                                   const P&... policies) {
    detail::pack_answer all;
    (all.add(detail::ask(x, policies)), ...);
    return all.reads ? std::nullopt : all.named;
}

}  // namespace xlens
