// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/storage/rows.hpp>

#include <bit>
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
    /// Tokens of the prompt, which may be read in several passes (sequence_state::prompt).
    std::size_t prompt = 0;

    /// Whether the token after row t is one that is asked for: t is the last position of the
    /// prompt, or comes after it. A policy for "the last position" asks this: the last row of a
    /// pass need not be it, since a long prompt is read in chunks.
    [[nodiscard]] bool predicts(std::size_t t) const { return first_position + t + 1 >= prompt; }
};

// All hooks, once: what is said of each is made from this list. The rows of each, one a position:
//   embedding        (T, D)  the residual that enters layer 0
//   queries          (T, H·d) of a layer's heads, normed and turned: as they meet the keys
//   keys             (T, K·d) of its key-value heads alike; later positions meet these too
//   values           (T, K·d) of its key-value heads, what heads add up
//   pattern          (T, H·S) each head's weights of the S positions so far, below. Policies that
//                            take it cost T·H·S numbers of memory a pass
//   head_outputs     (T, H·d) of head h, from h·d on, Σ_s weight_s·value_s, for the output matrix
//   attention_out    (T, D)  what a layer's attention is about to add to the residual
//   before           (T, D)  the residual before a layer's FFN update
//   pre_activations  (T, F)  what the activation is about to be applied to: U·x + b_u, and in a
//                            gated layer the gate's G·x + b_g. Policies that take it cost a pass
//                            over m a layer
//   coefficients     (T, F)  m, before the sum Σ_i m_i·v_i
//   ffn_out          (T, D)  what a layer's FFN is about to add to the residual
//   after            (T, D)  the residual after the FFN update
//   read_out         (T, D)  the residual that is about to be read, skipped layers filled in
//   logits           (N, V)  of the positions whose logits are computed
//
// With H heads and K key-value heads of size d, of which head h reads number h·K/H. S counts
// positions up to the last one of the pass: weight s of head h is at h·S + s of a row, 0 where the
// position does not see s (it comes later, or before the window), and H is the row's width over S.
// Weights of a head sum to 1, or to less where a sink takes the rest (gpt-oss). Edited weights are
// those of the sum; what an edit gives to a position that is not seen stays out of it. Numbers of
// queries and keys stand in the order in which the file has their rows: of llama in GGUF, the two
// that turn together are neighbours.
#define XLENS_FOR_EACH_HOOK(apply)                                                               \
    apply(embedding) apply(queries) apply(keys) apply(values) apply(pattern) apply(head_outputs) \
        apply(attention_out) apply(before) apply(pre_activations) apply(coefficients)            \
            apply(ffn_out) apply(after) apply(read_out) apply(logits)

namespace detail {
enum class hook_number : unsigned {
#define XLENS_HOOK(name) name,
    XLENS_FOR_EACH_HOOK(XLENS_HOOK)
#undef XLENS_HOOK
};
}  // namespace detail

/// A set of the places where a forward pass calls its policies: the list above.
enum class hook : unsigned {
    none = 0,
#define XLENS_HOOK(name) name = 1U << static_cast<unsigned>(detail::hook_number::name),
    XLENS_FOR_EACH_HOOK(XLENS_HOOK)
#undef XLENS_HOOK
};

constexpr hook operator|(hook a, hook b) {
    return static_cast<hook>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool contains(hook set, hook h) {
    return (static_cast<unsigned>(set) & static_cast<unsigned>(h)) != 0;
}
/// Every hook there is.
#define XLENS_HOOK(name) | hook::name
inline constexpr hook all_hooks = hook::none XLENS_FOR_EACH_HOOK(XLENS_HOOK);
#undef XLENS_HOOK

/// What a policy may have to know of a model: its sizes, as they are written in shapes.
struct model_sizes {
    std::size_t layers = 0;       ///< L
    std::size_t width = 0;        ///< D
    std::size_t inner_width = 0;  ///< F
    std::size_t vocabulary = 0;   ///< V
    std::size_t context = 0;      ///< positions that it reads at most; 0: not said
};

template <class Result>
concept hook_result = std::same_as<Result, void> || std::same_as<Result, flow>;

namespace detail {

// One row a hook: `fits` is a call with the right types, `named` is any member of that name,
// overloaded ones and templates too: with it, the name is ambiguous in `both`. The two differ for
// an ill-typed hook, and `named` without a declaration is a hook never called.
#define XLENS_HOOK(hook_name)                                                     \
    template <class P>                                                            \
    concept fits_##hook_name = requires(P& p, const site& where, rows<float> x) { \
        { p.hook_name(where, x) } -> hook_result;                                 \
    };                                                                            \
    struct with_##hook_name {                                                     \
        void hook_name();                                                         \
    };                                                                            \
    template <class P>                                                            \
    struct both_##hook_name : P, with_##hook_name {};                             \
    template <class P>                                                            \
    constexpr bool has_member_##hook_name() {                                     \
        if constexpr (std::is_class_v<P> && !std::is_final_v<P>) {                \
            return !requires { &both_##hook_name<P>::hook_name; };                \
        } else {                                                                  \
            return fits_##hook_name<P> || requires { &P::hook_name; };            \
        }                                                                         \
    }                                                                             \
    template <class P>                                                            \
    inline constexpr bool declared_##hook_name =                                  \
        contains(P::hooks, hook::hook_name) ? fits_##hook_name<P> : !has_member_##hook_name<P>();

XLENS_FOR_EACH_HOOK(XLENS_HOOK)
#undef XLENS_HOOK

// The same of `check`, which is no hook: a member of that name that is never called, since it is
// not what check_fits calls, must not compile.
template <class P>
concept fits_check = requires(const P& p, const model_sizes& sizes) {
    { p.check(sizes) } -> std::same_as<void>;
};
struct with_check {
    void check();
};
template <class P>
struct both_check : P, with_check {};
template <class P>
constexpr bool has_member_check() {
    if constexpr (std::is_class_v<P> && !std::is_final_v<P>) {
        return !requires { &both_check<P>::check; };
    } else {
        return fits_check<P> || requires { &P::check; };
    }
}
template <class P>
inline constexpr bool declared_check = fits_check<P> || !has_member_check<P>();

template <class P>
concept has_hooks = requires {
    { P::hooks } -> std::convertible_to<hook>;
};

#define XLENS_HOOK(name) &&detail::declared_##name<P>
template <class P>
inline constexpr bool all_declared = true XLENS_FOR_EACH_HOOK(XLENS_HOOK);
#undef XLENS_HOOK

}  // namespace detail

/// A policy: any class with `static constexpr xlens::hook hooks = ...` that has exactly the
/// declared hooks as members `void|flow name(const site&, rows<float>)`. hooks/skeleton.hpp is the
/// one to copy. It may also have a member `void check(const model_sizes&) const`, which is called
/// once before each pass and throws xlens::error where the policy does not fit the model.
template <class P>
concept policy = detail::has_hooks<P> && detail::all_declared<P> && detail::declared_check<P>;

/// True for a policy; for anything else the compiler says which hook is wrong, and nothing more: a
/// failed constraint would not say why, and a body that is compiled all the same would say too
/// much. The assertions are spelt out: of one that a macro makes, compilers also show the macros.
template <class P>
consteval bool check_policy() {
#define XLENS_SENTENCE(name)                                  \
    "policy: hook '" #name                                    \
    "' must be declared in `hooks` and be a member function " \
    "`void|xlens::flow " #name "(const xlens::site&, xlens::rows<float>)`, or neither"
    static_assert(std::popcount(static_cast<unsigned>(all_hooks)) == 14, "an assertion a hook");
    constexpr bool has_hooks = detail::has_hooks<P>;
    static_assert(has_hooks, "policy: expected `static constexpr xlens::hook hooks`");
    if constexpr (has_hooks) {
        static_assert(detail::declared_embedding<P>, XLENS_SENTENCE(embedding));
        static_assert(detail::declared_queries<P>, XLENS_SENTENCE(queries));
        static_assert(detail::declared_keys<P>, XLENS_SENTENCE(keys));
        static_assert(detail::declared_values<P>, XLENS_SENTENCE(values));
        static_assert(detail::declared_pattern<P>, XLENS_SENTENCE(pattern));
        static_assert(detail::declared_head_outputs<P>, XLENS_SENTENCE(head_outputs));
        static_assert(detail::declared_attention_out<P>, XLENS_SENTENCE(attention_out));
        static_assert(detail::declared_before<P>, XLENS_SENTENCE(before));
        static_assert(detail::declared_pre_activations<P>, XLENS_SENTENCE(pre_activations));
        static_assert(detail::declared_coefficients<P>, XLENS_SENTENCE(coefficients));
        static_assert(detail::declared_ffn_out<P>, XLENS_SENTENCE(ffn_out));
        static_assert(detail::declared_after<P>, XLENS_SENTENCE(after));
        static_assert(detail::declared_read_out<P>, XLENS_SENTENCE(read_out));
        static_assert(detail::declared_logits<P>, XLENS_SENTENCE(logits));
        static_assert(detail::declared_check<P>,
                      "policy: member 'check' must be `void check(const xlens::model_sizes&) "
                      "const`, or not be there");
    }
#undef XLENS_SENTENCE
    return policy<P>;
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

/// The same for a hook that is known at run time; nothing where P does not declare it.
template <class P>
flow call_one(hook h, P& p, const site& where, rows<float> x) {
#define XLENS_HOOK(name)                                                   \
    if constexpr (contains(P::hooks, hook::name)) {                        \
        if (h == hook::name) { return call_one<hook::name>(p, where, x); } \
    }
    XLENS_FOR_EACH_HOOK(XLENS_HOOK)
#undef XLENS_HOOK
    return flow::proceed;
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

/// Whether a policy takes hook h now: it declares it and, if it has a member `bool wants(hook)
/// const`, that says so. Asked for what costs something: `pattern`, `pre_activations`, and what is
/// read at an exit.
template <policy P>
[[nodiscard]] bool wants(hook h, [[maybe_unused]] const P& p) {
    if (!contains(P::hooks, h)) { return false; }
    if constexpr (requires { p.wants(h); }) {
        return p.wants(h);
    } else {
        return true;
    }
}
/// Whether any policy of the pack does.
template <hook H, policy... P>
[[nodiscard]] bool wants(const P&... policies) {
    return (wants(H, policies) || ...);
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

/// Throws xlens::error where a policy that looks does not fit a model of these sizes.
template <policy P>
void check_fits([[maybe_unused]] const P& p, [[maybe_unused]] const model_sizes& sizes) {
    if constexpr (requires { p.check(sizes); }) { p.check(sizes); }
}

}  // namespace xlens
