// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/storage/rows.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

namespace xlens {

/// What a hook answers: go on, or leave the remaining layers out (early exit).
enum class flow { proceed, stop };

/// Where in a pass a hook is called. Row t of the rows it gets belongs to position
/// first_position + t.
struct site {
    std::size_t layer = 0;           ///< 0 at `embedding`, the last layer that ran at `logits`
    std::size_t first_position = 0;  ///< counted from the start of the sequence
    /// What the sequence has read, this pass included; the next token after row t is predicted from
    /// tokens 0 .. first_position + t. Empty where a hook is called by hand without them.
    std::span<const token_id> tokens = {};
};

/// The places where a forward pass calls its policies. The rows of each, one a position:
///   embedding        (T, D)  the residual that enters layer 0
///   attention_out    (T, D)  what a layer's attention is about to add to the residual
///   before           (T, D)  the residual before a layer's FFN update
///   pre_activations  (T, F)  what the activation is about to be applied to: U·x + b_u, and in a
///                            gated layer the gate's G·x + b_g. Policies that take it cost a pass
///                            over m a layer
///   coefficients     (T, F)  m, before the sum Σ_i m_i·v_i
///   after            (T, D)  the residual after the FFN update
///   read_out         (T, D)  the residual that is about to be read, skipped layers filled in
///   logits           (N, V)  of the positions whose logits are computed
enum class hook : unsigned {
    none = 0,
    embedding = 1U << 0U,
    attention_out = 1U << 1U,
    before = 1U << 2U,
    coefficients = 1U << 3U,
    after = 1U << 4U,
    logits = 1U << 5U,
    pre_activations = 1U << 6U,
    read_out = 1U << 7U,
};

constexpr hook operator|(hook a, hook b) {
    return static_cast<hook>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool contains(hook set, hook h) {
    return (static_cast<unsigned>(set) & static_cast<unsigned>(h)) != 0;
}

template <class Result>
concept hook_result = std::same_as<Result, void> || std::same_as<Result, flow>;

// The hooks once, for what is said of each.
#define XLENS_FOR_EACH_HOOK(apply)                                                                 \
    apply(embedding) apply(attention_out) apply(before) apply(pre_activations) apply(coefficients) \
        apply(after) apply(read_out) apply(logits)

namespace detail {

// One row a hook: `fits` is a call with the right types, `named` is any member of that name. The
// two differ for an ill-typed hook, and `named` without a declaration is a hook never called.
#define XLENS_HOOK(name)                                                     \
    template <class P>                                                       \
    concept fits_##name = requires(P& p, const site& where, rows<float> x) { \
        { p.name(where, x) } -> hook_result;                                 \
    };                                                                       \
    template <class P>                                                       \
    concept named_##name = fits_##name<P> || requires { &P::name; };         \
    template <class P>                                                       \
    inline constexpr bool declared_##name =                                  \
        contains(P::hooks, hook::name) ? fits_##name<P> : !named_##name<P>;

XLENS_FOR_EACH_HOOK(XLENS_HOOK)
#undef XLENS_HOOK

template <class P>
concept has_hooks = requires {
    { P::hooks } -> std::convertible_to<hook>;
};

}  // namespace detail

/// A policy: any class with `static constexpr xlens::hook hooks = ...` that has exactly the
/// declared hooks as members `void|flow name(const site&, rows<float>)`. hooks/skeleton.hpp is the
/// one to copy.
template <class P>
concept policy =
    detail::has_hooks<P> && detail::declared_embedding<P> && detail::declared_attention_out<P> &&
    detail::declared_before<P> && detail::declared_pre_activations<P> &&
    detail::declared_coefficients<P> && detail::declared_after<P> && detail::declared_read_out<P> &&
    detail::declared_logits<P>;

/// Does nothing for a policy; for anything else the compiler says which hook is wrong. A forward
/// takes any pack and checks it here, since a failed constraint on a pack would not say why.
template <class P>
constexpr void check_policy() {
#define XLENS_HOOK(name)                                                    \
    static_assert(detail::declared_##name<P>,                               \
                  "policy: hook '" #name                                    \
                  "' must be declared in `hooks` and be a member function " \
                  "`void|xlens::flow " #name                                \
                  "(const xlens::site&, xlens::rows<float>)`, or neither");
    static_assert(detail::has_hooks<P>, "policy: expected `static constexpr xlens::hook hooks`");
    if constexpr (detail::has_hooks<P>) { XLENS_FOR_EACH_HOOK(XLENS_HOOK) }
#undef XLENS_HOOK
}

namespace detail {

template <hook H, class P>
flow call_one(P& p, const site& where, rows<float> x) {
    const auto run = [&](auto&& member) {
        if constexpr (std::same_as<decltype(member()), flow>) {
            return member();
        } else {
            member();
            return flow::proceed;
        }
    };
#define XLENS_HOOK(name)                              \
    if constexpr (H == hook::name) {                  \
        return run([&] { return p.name(where, x); }); \
    }
    XLENS_FOR_EACH_HOOK(XLENS_HOOK)
#undef XLENS_HOOK
}

}  // namespace detail

/// Calls hook H of every policy that declares it, in argument order, also after one said stop.
/// An empty pack compiles to nothing.
template <hook H, policy... P>
flow call_hooks([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> x,
                P&... policies) {
    flow result = flow::proceed;
    [[maybe_unused]] const auto call = [&]<class One>([[maybe_unused]] One& one) {
        if constexpr (contains(One::hooks, H)) {
            if (detail::call_one<H>(one, where, x) == flow::stop) { result = flow::stop; }
        }
    };
    (call(policies), ...);
    return result;
}

/// Whether any policy of the pack takes hook H now: it declares it and, if it has a member
/// `bool wants(hook) const`, that says so. Asked for what costs something: `pre_activations`, and
/// what is read at an exit.
template <hook H, policy... P>
[[nodiscard]] bool wants(const P&... policies) {
    [[maybe_unused]] const auto one = []<class One>([[maybe_unused]] const One& p) {
        if constexpr (!contains(One::hooks, H)) {
            return false;
        } else if constexpr (requires { p.wants(H); }) {
            return p.wants(H);
        } else {
            return true;
        }
    };
    return (one(policies) || ...);
}

/// Whether a policy looks at each row for itself: it keeps nothing from one call to the next and
/// never says stop, so that rows of several sequences may pass through it layer by layer
/// (transformer::forward_each). It says so by `static constexpr bool rowwise = true`, or by a
/// member `bool is_rowwise() const`; else it is not.
template <policy P>
[[nodiscard]] bool is_rowwise([[maybe_unused]] const P& p) {
    if constexpr (requires { p.is_rowwise(); }) {
        return p.is_rowwise();
    } else if constexpr (requires { P::rowwise; }) {
        return P::rowwise;
    } else {
        return false;
    }
}

}  // namespace xlens

#undef XLENS_FOR_EACH_HOOK
