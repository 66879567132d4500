// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/lazy.hpp>
#include <xlens/core/token.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/best_row.hpp>
#include <xlens/kernels/finite.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/softmax.hpp>
#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

namespace xlens {

namespace detail {

/// Throws xlens::error unless vectors have the width D of the model that is to read them.
inline void check_width(rows<const float> x, std::size_t width) {
    if (x.width() != width) {
        fail("vectors of {} numbers, the model's width is {}", x.width(), width);
    }
}
/// Throws xlens::error naming the place of a number in the vectors x (N, D), which are about to be
/// scored against the vocabulary, that is not finite: all their scores would be none. Also for
/// vectors of another width.
inline void check_scored(rows<const float> x, std::size_t width) {
    check_width(x, width);
    for (std::size_t n = 0; n < x.count(); ++n) {
        const std::size_t d = kernels::first_not_finite(x[n]);
        if (d < x.width()) {
            fail("unembedding: number {} of vector {} is {}, expected a finite number", d, n,
                 x[n][d]);
        }
    }
}
[[noreturn]] inline void refuse_score(std::size_t token) {
    fail("unembedding: the score of token {} is no finite number; look at its row", token);
}

}  // namespace detail

/// The unembedding E (V, D): row e_w scores token w, by ⟨e_w, x⟩. It is kept in sections of
/// consecutive tokens. A dense unembedding is one section. The adaptive softmax has a head section
/// and narrower tails: e_w = P_cᵀ·out_c[w - first_c], and a tail's probabilities are shared out of
/// the head's row for that tail (`classes`). Source: Grave et al. 2017 (1609.04309).
template <weight_matrix Weights>
struct unembedding {
    struct section {
        std::size_t first = 0;                   ///< tokens first .. first + out.rows() - 1
        Weights out;                             ///< (tokens, d), d = D without projection
        std::optional<Weights> projection = {};  ///< P (d, D)
    };
    std::vector<section> sections;        ///< in the order of their tokens
    std::optional<Weights> classes = {};  ///< (sections - 1, D): one row a tail
    xt::xtensor<float, 1> bias =
        {};            ///< b (V): logit_w = ⟨e_w, x⟩ + b_w (Phi, GPT-J); may be empty
    float cap = 0.0F;  ///< c: a logit z becomes c·tanh(z/c) (Gemma 2); 0: it stays
    lazy_in_time<std::shared_ptr<const kernels::best_row>> screen = {};  ///< of best_token

    [[nodiscard]] std::size_t vocabulary() const {
        return sections.back().first + sections.back().out.rows();
    }
    [[nodiscard]] std::size_t width() const {
        const section& head = sections.front();
        return head.projection ? head.projection->cols() : head.out.cols();
    }
    [[nodiscard]] const section& section_of(token_id token) const {
        const auto w = static_cast<std::size_t>(token);
        const auto after = std::find_if(sections.begin() + 1, sections.end(),
                                        [&](const section& s) { return s.first > w; });
        return *(after - 1);
    }

    /// out = e_w (D): the direction that a residual must have to score token w. Throws xlens::error
    /// for a token that is not there, and for an out of another width.
    void direction(token_id token, std::span<float> out) const {
        check_token(token, vocabulary(), "unembedding");
        if (out.size() != width()) {
            fail("unembedding: a direction of {} numbers, the model's width is {}", out.size(),
                 width());
        }
        const section& s = section_of(token);
        const std::size_t row = static_cast<std::size_t>(token) - s.first;
        if (!s.projection) { return s.out.row(row, out); }
        xt::xtensor<float, 1> narrow = xt::empty<float>({s.out.cols()});
        s.out.row(row, {narrow.data(), narrow.size()});
        kernels::matvec_transposed(*s.projection, {narrow.data(), narrow.size()}, out);
    }

    /// out (D): what multiplies x in token w's logit, logit_w = ⟨out, x⟩ - normaliser(w, x). It is
    /// e_w, and for a token of a tail the row of its class is added.
    void logit_direction(token_id token, std::span<float> out) const {
        direction(token, out);
        const std::size_t tail = tail_of(token);
        if (!classes || tail == 0) { return; }
        xt::xtensor<float, 1> row = xt::empty<float>({out.size()});
        classes->row(tail - 1, {row.data(), row.size()});
        for (std::size_t d = 0; d < out.size(); ++d) { out[d] += row(d); }
    }
    /// What the softmaxes of an adaptive softmax take off token w's score: the log of the head's
    /// denominator, and for a token of a tail that of the tail's. 0 for a dense unembedding. x (D),
    /// after the final norm. Cost 2·D·(tokens of the sections in question).
    [[nodiscard]] float normaliser(token_id token, std::span<const float> x) const {
        if (!classes) { return 0.0F; }
        const auto log_sum = [&](const section& s) {
            xt::xtensor<float, 2> out = xt::empty<float>({std::size_t{1}, s.out.rows()});
            scores(s, as_rows(x), out);
            return kernels::log_sum_exp({out.data(), out.size()});
        };
        xt::xtensor<float, 1> of_class = xt::empty<float>({classes->rows()});
        kernels::matvec(*classes, x, {of_class.data(), of_class.size()});
        const float head[] = {log_sum(sections.front()),
                              kernels::log_sum_exp({of_class.data(), of_class.size()})};
        const std::size_t tail = tail_of(token);
        return kernels::log_sum_exp(head) + (tail > 0 ? log_sum(sections[tail]) : 0.0F);
    }

    /// b_w; 0 where there is no bias.
    [[nodiscard]] float bias_of(token_id token) const {
        return bias.size() == 0 ? 0.0F : bias(static_cast<std::size_t>(token));
    }
    /// Logits of scores ⟨e_w, x⟩ of the tokens first, first + 1, ..., in place: the bias, then the
    /// cap. A score that is not finite stays so.
    void finish(std::size_t first, std::span<float> scores) const {
        for (std::size_t i = 0; i < scores.size() && bias.size() > 0; ++i) {
            scores[i] += bias(first + i);
        }
        if (!(cap > 0.0F)) { return; }
        for (float& z : scores) {
            if (std::isfinite(z)) { z = cap * std::tanh(z / cap); }
        }
    }

    /// x (N, D), after the final norm -> out (N, V): logits ⟨e_w, x⟩ with bias and cap; for an
    /// adaptive softmax log-probabilities, which are logits as well (their softmax is themselves).
    /// Throws xlens::error where a number of x or a logit is not finite: an infinite row of E
    /// would leave its token out, or put it first.
    void logits(rows<const float> x, rows<float> out) const {
        detail::check_scored(x, width());
        for (const section& s : sections) { scores(s, x, out.columns(s.first, s.out.rows())); }
        if (classes) { share_out(x, out); }
        for (std::size_t n = 0; n < out.count(); ++n) {
            const std::size_t token = kernels::first_not_finite(out[n]);
            if (token < out.width()) { detail::refuse_score(token); }
            finish(0, out[n]);
        }
    }

    /// The token with the highest of logits(x), of equals the lowest, for x (D) after the final
    /// norm, found by fewer f32 products than E has rows (kernels/best_row.hpp); none where all of
    /// them are no slower, or have to tell, and for the first who ask: what it takes pays after
    /// some sixteen tokens. Throws xlens::error where a number of x is not finite.
    [[nodiscard]] std::optional<token_id> best_token(std::span<const float> x) const {
        if constexpr (std::is_same_v<Weights, any_matrix>) {
            constexpr std::size_t in_time = 16;
            const section& s = sections.front();
            const bool plain = sections.size() == 1 && !s.projection && !classes &&
                               bias.size() == 0 && !(cap > 0.0F);
            if (!plain || !kernels::best_row::pays(s.out)) { return std::nullopt; }
            detail::check_scored(as_rows(x), width());
            const auto* search = screen.get(
                in_time, [&] { return std::make_shared<const kernels::best_row>(s.out); });
            const auto best = search == nullptr ? std::nullopt : (**search)(s.out, x);
            if (best) { return static_cast<token_id>(s.first + *best); }
        }
        return std::nullopt;
    }

    /// The inputs of a section's rows: x itself, or P·x in `narrow`. x (N, D) -> (N, d).
    static rows<const float> narrowed(const section& s, rows<const float> x,
                                      xt::xtensor<float, 2>& narrow) {
        if (!s.projection) { return x; }
        narrow.resize({x.count(), s.out.cols()});
        kernels::matmul(*s.projection, x, narrow);
        return rows<const float>(narrow);
    }

private:
    /// Number of the section that a token is in; 0 is the head.
    [[nodiscard]] std::size_t tail_of(token_id token) const {
        return static_cast<std::size_t>(&section_of(token) - sections.data());
    }
    static void scores(const section& s, rows<const float> x, rows<float> out) {
        xt::xtensor<float, 2> narrow;
        kernels::matmul(s.out, narrowed(s, x, narrow), out);
    }
    // log p(w) = log p(class of w) + log p(w | class), the head's softmax running over its own
    // tokens and the classes.
    void share_out(rows<const float> x, rows<float> out) const {
        xt::xtensor<float, 2> class_scores = xt::empty<float>({x.count(), classes->rows()});
        kernels::matmul(*classes, x, class_scores);
        for (std::size_t n = 0; n < x.count(); ++n) {
            const std::span<float> of_class = rows<float>(class_scores)[n];
            const std::span<float> head = out[n].first(sections.front().out.rows());
            const float parts[] = {kernels::log_sum_exp(head), kernels::log_sum_exp(of_class)};
            const float total = kernels::log_sum_exp(parts);
            for (float& z : head) { z -= total; }
            for (std::size_t c = 0; c < of_class.size(); ++c) {
                const section& tail = sections[c + 1];
                const std::span<float> part = out[n].subspan(tail.first, tail.out.rows());
                const float shift = of_class[c] - total - kernels::log_sum_exp(part);
                for (float& z : part) { z += shift; }
            }
        }
    }
};

}  // namespace xlens
