// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/lazy.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/reading.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#if XLENS_DEFINES(lens)
#include <xlens/core/parallel.hpp>
#include <xlens/core/token.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/log_sum.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/lens/coded_ends.hpp>
#include <xlens/lens/coded_vocabulary.hpp>
#include <xlens/lens/reading_screen.hpp>
#include <xlens/lens/scan.hpp>
#include <xlens/lens/screen.hpp>
#include <xlens/numerics/power_sums.hpp>
#include <xlens/storage/rows_at.hpp>

#include <numeric>
#include <utility>
#endif

namespace xlens {

class coded_vocabulary;   // lens/coded_vocabulary.hpp
class vocabulary_screen;  // lens/screen.hpp

namespace detail {

/// Vectors that are scored against the vocabulary together: each weight tile is decoded once for
/// all of them.
inline constexpr std::size_t scan_batch = 128;

class bad_scores;

}  // namespace detail

/// Reads vectors in the vocabulary through an unembedding, streaming: no V-sized row exists for any
/// of them. Always in f32, also where a model computes in `precision::native`. Borrows the
/// unembedding.
class vocabulary {
public:
    explicit vocabulary(const unembedding<any_matrix>& e) : m_unembedding(&e) {}

    [[nodiscard]] std::size_t size() const { return m_unembedding->vocabulary(); }

    /// The k best tokens of softmax(E·x_n) for each row of x (N, D), with exact normalisers and the
    /// unembedding's bias and cap; for an adaptive softmax the logits are log-probabilities. With
    /// `targets` (N), also the log-probability of targets[n] under row n. Cost 2·N·V·D, memory
    /// O(N·k). Of many rows the vocabulary is screened in integers first (lens/reading_screen.hpp):
    /// the same tokens and logits, and a normaliser that is off by 10⁻⁶ at most; the first time,
    /// that takes two passes over E and 2·V·D bytes. Throws xlens::error for what is not finite,
    /// and for vectors of another width.
    [[nodiscard]] std::vector<reading> read(rows<const float> x, std::size_t k,
                                            std::span<const token_id> targets = {}) const;

    /// The k tokens that score highest and lowest by E·x_n, for each row of x (N, D). For many rows
    /// the vocabulary is screened in integers first (lens/screen.hpp, lens/coded_ends.hpp), with
    /// the same result; the first time, that takes a pass or two over E, and V·D bytes or, where
    /// codes have 16 bits, twice as many. Throws xlens::error where a number of x or a score is not
    /// finite. With `kurtosis` (N), also the excess kurtosis m_4/m_2² - 3 of each row's scores over
    /// the vocabulary, with the same bits for any N; all scores are then computed in f32.
    [[nodiscard]] std::vector<token_ends> ends(rows<const float> x, std::size_t k,
                                               std::span<float> kurtosis = {}) const;

    /// Makes ready to screen, so that ends() of a few vectors, and of one, are screened too: pays
    /// for who asks for many, one after the other.
    void screen_ends() const;

private:
    /// Rows from which on making a screen pays.
    static constexpr std::size_t screened_rows = 1024;

    /// The screen of a dense unembedding, made if it is not there; null where there is none.
    [[nodiscard]] const vocabulary_screen* screen() const;

    /// ends() by a screen, if there is one for such rows and they are worth it.
    [[nodiscard]] std::optional<std::vector<token_ends>> screened_ends(rows<const float> x,
                                                                       std::size_t k) const;

    /// Rows from which on making a screen of readings pays.
    static constexpr std::size_t screened_readings = 512;

    /// The codes for such readings; null where they are scanned.
    [[nodiscard]] const coded_vocabulary* codes_of_readings(std::size_t count, std::size_t k) const;

    /// A dense unembedding as 16-bit codes, made if they are not there; null where there are none.
    [[nodiscard]] const coded_vocabulary* codes() const;

    /// read() by scores of the whole vocabulary in f32.
    [[nodiscard]] std::vector<reading> scan_readings(rows<const float> x, std::size_t k,
                                                     std::span<const token_id> targets) const;

    using section = unembedding<any_matrix>::section;

    /// One vector's result over one section, by one group of tiles or, merged, by all.
    struct partial;

    std::vector<partial> read_section(const section& s, rows<const float> x, std::size_t k,
                                      std::span<const token_id> targets,
                                      detail::bad_scores& bad) const;

    void read_batch(rows<const float> x, std::size_t k, std::span<const token_id> targets,
                    detail::bad_scores& bad, std::vector<reading>& out) const;

    /// Joins the sections of vector i. Section c is shifted by what its class leaves to it (head:
    /// nothing), so that all scores are logits of one softmax.
    [[nodiscard]] reading join(const std::vector<std::vector<partial>>& sections, std::size_t i,
                               std::size_t k, const xt::xtensor<float, 2>& classes) const;

    [[nodiscard]] xt::xtensor<float, 2> class_scores(rows<const float> x) const;

    void ends_batch(rows<const float> x, std::size_t k, std::size_t groups, detail::bad_scores& bad,
                    std::span<token_ends> out, std::span<float> kurtosis) const;

    const unembedding<any_matrix>* m_unembedding;
    lazy<std::shared_ptr<const vocabulary_screen>> m_screen;
    lazy<std::shared_ptr<const coded_vocabulary>> m_codes;
};

#if XLENS_DEFINES(lens)
namespace detail {

/// log(exp a + exp b).
inline double log_add(double a, double b) {
    const double high = std::max(a, b);
    if (std::isinf(high)) { return high; }
    return high + std::log1p(std::exp(std::min(a, b) - high));
}

}  // namespace detail

struct vocabulary::partial {
    explicit partial(std::size_t k) : best(k) {}
    top_k best;
    kernels::log_sum log_sum;
    float target = std::numeric_limits<float>::quiet_NaN();  // NaN: not in this part
};

XLENS_API std::vector<reading> vocabulary::read(rows<const float> x, std::size_t k,
                                                std::span<const token_id> targets) const {
    detail::check_scored(x, m_unembedding->width());
    if (!targets.empty() && targets.size() != x.count()) {
        fail("lens: expected a target for each of {} rows, or none, got {}", x.count(),
             targets.size());
    }
    for (const token_id token : targets) { check_token(token, size(), "lens"); }
    const coded_vocabulary* coded = codes_of_readings(x.count(), k);
    if (coded == nullptr) { return scan_readings(x, k, targets); }
    std::vector<reading> out(x.count());
    reading_screen(*coded).read(x, k, targets, out);
    std::vector<std::size_t> left(x.count());
    std::iota(left.begin(), left.end(), std::size_t{0});
    std::erase_if(left, [&](std::size_t n) { return !out[n].top.empty(); });
    std::vector<token_id> wanted;
    for (const std::size_t n : targets.empty() ? std::vector<std::size_t>() : left) {
        wanted.push_back(targets[n]);
    }
    const xt::xtensor<float, 2> rest = rows_at(x, left);
    std::vector<reading> scanned = scan_readings(rest, k, wanted);
    for (std::size_t i = 0; i < left.size(); ++i) { out[left[i]] = std::move(scanned[i]); }
    return out;
}

XLENS_API const coded_vocabulary* vocabulary::codes_of_readings(std::size_t count,
                                                                std::size_t k) const {
    constexpr std::size_t fewest_tokens_each = 64;  // of the k: below, nearly all would be scored
    const bool plain = m_unembedding->bias.size() == 0 && !(m_unembedding->cap > 0.0F);
    if (!plain || count < screened_readings || k == 0 || size() / k < fewest_tokens_each) {
        return nullptr;
    }
    return codes();
}

XLENS_API const coded_vocabulary* vocabulary::codes() const {
    const auto& sections = m_unembedding->sections;
    if (!coded_vocabulary::wins || sections.size() != 1 || sections.front().projection ||
        !coded_vocabulary::fits(sections.front().out)) {
        return nullptr;
    }
    const coded_vocabulary& out = *m_codes.get(
        [&] { return std::make_shared<const coded_vocabulary>(sections.front().out); });
    return out.bounded() ? &out : nullptr;
}

XLENS_API std::vector<reading> vocabulary::scan_readings(rows<const float> x, std::size_t k,
                                                         std::span<const token_id> targets) const {
    detail::bad_scores bad;
    std::vector<reading> out;
    for (std::size_t n = 0; n < x.count(); n += detail::scan_batch) {
        const std::size_t count = std::min(detail::scan_batch, x.count() - n);
        const auto wanted = targets.empty() ? targets : targets.subspan(n, count);
        read_batch(x.subrows(n, count), k, wanted, bad, out);
        bad.check();
    }
    return out;
}

XLENS_API std::vector<token_ends> vocabulary::ends(rows<const float> x, std::size_t k,
                                                   std::span<float> kurtosis) const {
    detail::check_scored(x, m_unembedding->width());
    detail::bad_scores bad;
    if (kurtosis.empty()) {
        if (auto screened = screened_ends(x, k)) { return std::move(*screened); }
    }
    std::vector<token_ends> out(x.count());
    const std::size_t batches = (x.count() + detail::scan_batch - 1) / detail::scan_batch;
    // Many vectors: a thread takes a batch of them over the whole vocabulary. Few: they share
    // it.
    const bool many = batches >= 2 * max_threads();
    const auto read = [&](std::size_t b) {
        const std::size_t first = b * detail::scan_batch;
        const std::size_t count = std::min(detail::scan_batch, x.count() - first);
        ends_batch(x.subrows(first, count), k, many ? 1 : detail::scan_groups, bad,
                   std::span(out).subspan(first, count),
                   kurtosis.empty() ? kurtosis : kurtosis.subspan(first, count));
    };
    if (many) {
        parallel_for(batches, 2 * detail::scan_batch * size() * x.width(), read);
    } else {
        for (std::size_t b = 0; b < batches; ++b) { read(b); }
    }
    bad.check();
    return out;
}

XLENS_API const vocabulary_screen* vocabulary::screen() const {
    const auto& sections = m_unembedding->sections;
    if (!vocabulary_screen::wins || sections.size() != 1 || sections.front().projection) {
        return nullptr;
    }
    const vocabulary_screen& out = *m_screen.get(
        [&] { return std::make_shared<const vocabulary_screen>(sections.front().out); });
    return out.bounded() ? &out : nullptr;
}

XLENS_API void vocabulary::screen_ends() const { (void)screen(); }

XLENS_API std::optional<std::vector<token_ends>> vocabulary::screened_ends(rows<const float> x,
                                                                           std::size_t k) const {
    const bool many = x.count() >= screened_rows;
    if (!many && !m_screen.ready()) { return std::nullopt; }
    float longest = 0.0F;
    for (std::size_t n = 0; n < x.count(); ++n) {
        longest = std::max(longest, kernels::norm2(x[n]));
    }
    if (coded_ends_win && many && longest < coded_vocabulary::largest_norm) {
        if (const coded_vocabulary* coded = codes()) { return coded_ends(*coded, x, k); }
    }
    if (!std::isfinite(longest)) { return std::nullopt; }  // no bound holds for such a length
    if (const vocabulary_screen* screened = screen()) { return screened->ends(x, k); }
    return std::nullopt;
}

XLENS_API std::vector<vocabulary::partial> vocabulary::read_section(
    const section& s, rows<const float> x, std::size_t k, std::span<const token_id> targets,
    detail::bad_scores& bad) const {
    xt::xtensor<float, 2> narrow;
    const rows<const float> in = unembedding<any_matrix>::narrowed(s, x, narrow);
    const std::size_t n = x.count();
    std::vector<partial> parts(detail::scan_groups * n, partial(k));
    detail::scan(s.out, s.first, in, detail::scan_groups, bad,
                 [&](std::size_t group, std::size_t first, rows<float> scores) {
                     const std::size_t id = s.first + first;
                     for (std::size_t i = 0; i < n; ++i) {
                         m_unembedding->finish(id, scores[i]);
                         partial& p = parts[group * n + i];
                         p.best.offer_range(static_cast<token_id>(id), scores[i]);
                         p.log_sum.add(scores[i]);
                         if (targets.empty()) { continue; }
                         const auto target = static_cast<std::size_t>(targets[i]);
                         if (target >= id && target - id < scores.width()) {
                             p.target = scores[i][target - id];
                         }
                     }
                 });
    for (std::size_t group = 1; group < detail::scan_groups; ++group) {
        for (std::size_t i = 0; i < n; ++i) {
            const partial& from = parts[group * n + i];
            parts[i].best.merge(from.best);
            parts[i].log_sum.add(from.log_sum);
            if (!std::isnan(from.target)) { parts[i].target = from.target; }
        }
    }
    parts.resize(n, partial(0));
    return parts;
}

XLENS_API void vocabulary::read_batch(rows<const float> x, std::size_t k,
                                      std::span<const token_id> targets, detail::bad_scores& bad,
                                      std::vector<reading>& out) const {
    std::vector<std::vector<partial>> sections;
    for (const section& s : m_unembedding->sections) {
        sections.push_back(read_section(s, x, k, targets, bad));
    }
    const xt::xtensor<float, 2> classes = class_scores(x);
    for (std::size_t i = 0; i < x.count(); ++i) { out.push_back(join(sections, i, k, classes)); }
}

XLENS_API reading vocabulary::join(const std::vector<std::vector<partial>>& sections, std::size_t i,
                                   std::size_t k, const xt::xtensor<float, 2>& classes) const {
    double total = sections[0][i].log_sum.value();
    for (std::size_t c = 1; c < sections.size(); ++c) {
        total = detail::log_add(total, classes(i, c - 1));
    }
    const bool adaptive = sections.size() > 1;
    reading out;
    out.log_normaliser = adaptive ? 0.0F : static_cast<float>(total);
    top_k best(k);
    for (std::size_t c = 0; c < sections.size(); ++c) {
        const partial& part = sections[c][i];
        const double head_shift = adaptive ? -total : 0.0;
        const double shift =
            c == 0 ? head_shift : head_shift + classes(i, c - 1) - part.log_sum.value();
        for (const scored& s : part.best.sorted()) {
            best.offer(s.id, static_cast<float>(s.score + shift));
        }
        if (!std::isnan(part.target)) {
            out.target = static_cast<float>(part.target + shift) - out.log_normaliser;
        }
    }
    out.top = best.sorted();
    return out;
}

XLENS_API xt::xtensor<float, 2> vocabulary::class_scores(rows<const float> x) const {
    if (!m_unembedding->classes) { return xt::empty<float>({x.count(), std::size_t{0}}); }
    xt::xtensor<float, 2> out = xt::empty<float>({x.count(), m_unembedding->classes->rows()});
    kernels::matmul(*m_unembedding->classes, x, out);
    return out;
}

XLENS_API void vocabulary::ends_batch(rows<const float> x, std::size_t k, std::size_t groups,
                                      detail::bad_scores& bad, std::span<token_ends> out,
                                      std::span<float> kurtosis) const {
    const std::size_t n = x.count();
    const std::size_t parts = m_unembedding->sections.size() * detail::scan_groups;
    std::vector<power_sums> sums(kurtosis.empty() ? 0 : parts * n);
    std::size_t section_parts = 0;
    std::vector<top_k> high(groups * n, top_k(k));
    std::vector<top_k> low(groups * n, top_k(k));
    for (const section& s : m_unembedding->sections) {
        xt::xtensor<float, 2> narrow;
        const rows<const float> in = unembedding<any_matrix>::narrowed(s, x, narrow);
        detail::scan(s.out, s.first, in, groups, bad,
                     [&](std::size_t group, std::size_t first, rows<float> scores) {
                         const auto id = static_cast<token_id>(s.first + first);
                         for (std::size_t i = 0; i < n && k > 0; ++i) {
                             offer_ends(high[group * n + i], low[group * n + i], id, scores[i]);
                         }
                         const std::size_t part =
                             section_parts + detail::part_of(first, s.out.rows());
                         for (std::size_t i = 0; i < kurtosis.size(); ++i) {
                             sums[part * n + i].add(scores[i]);
                         }
                     });
        section_parts += detail::scan_groups;
    }
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t group = 1; group < groups; ++group) {
            high[i].merge(high[group * n + i]);
            low[i].merge(low[group * n + i]);
        }
        out[i] = {high[i].sorted(), low[i].sorted()};
        for (scored& s : out[i].suppresses) { s.score = -s.score; }
    }
    for (std::size_t i = 0; i < kurtosis.size(); ++i) {
        for (std::size_t part = 1; part < parts; ++part) { sums[i].merge(sums[part * n + i]); }
        kurtosis[i] = static_cast<float>(sums[i].excess_kurtosis());
    }
}
#endif

}  // namespace xlens
