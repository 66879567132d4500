// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/hooks/answer.hpp>
#include <xlens/storage/rows.hpp>

#include <concepts>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

namespace xlens::early_exit {

class exit_writer;  // exit_file.hpp

/// What a rule reads of a layer beside the residual: a policy keeps only what is asked for.
struct exit_needs {
    bool coefficients = false;
    bool update = false;  ///< what the FFN added
};

/// What a rule's file must fit.
struct exit_sizes {
    std::size_t layers = 0;
    std::size_t width = 0;
    std::size_t inner_width = 0;
    std::size_t vocabulary = 0;
};

/// A layer as a rule sees it after the FFN update, one row a position.
struct exit_view {
    std::size_t layer = 0;
    rows<const float> residual;      ///< (T, D), `after`
    rows<const float> coefficients;  ///< (T, F), if needed
    rows<const float> update;        ///< (T, D), if needed
};

/// A score that no threshold lets pass: the rule does not decide at this layer.
inline constexpr float never_exits = -std::numeric_limits<float>::infinity();

/// A rule of early exit: after a layer it says how sure it is that the residual, as the rule reads
/// it, already names the token that the whole model will name. A position leaves the model at the
/// first layer whose score reaches the rule's threshold.
///   R::name          its word in flags and files
///   r.needs()        what else it reads
///   r.begin(count)   a new pass over `count` positions
///   r.score(v, out)  one score a position; called for every layer in order
///   r.translate(l, x)  the exit residual (N, D) -> what the unembedding should read in its place
///   r.save(f)        writes what was fitted
/// The rules of any_rule also have `facts` (rule_facts.hpp); R::load(f, sizes) reads what was
/// written.
template <class R>
concept exit_rule = requires(R& r, const R& c, const exit_view& view, std::span<float> scores,
                             std::size_t n, rows<float> x, exit_writer& to) {
    { R::name } -> std::convertible_to<std::string_view>;
    { c.needs() } -> std::same_as<exit_needs>;
    { r.begin(n) } -> std::same_as<void>;
    { r.score(view, scores) } -> std::same_as<void>;
    { c.translate(n, x) } -> std::same_as<void>;
    { c.save(to) } -> std::same_as<void>;
};

/// A rule that knows the token when it decides, so that a greedy token costs no unembedding:
///   r.answer(t)      the token of row t of the last call of `score`, if it was looked for
template <class R>
concept answering_rule = exit_rule<R> && requires(const R& c, std::size_t t) {
    { c.answer(t) } -> std::same_as<std::optional<named_token>>;
};

}  // namespace xlens::early_exit
