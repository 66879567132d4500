// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/generate/choice.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(generate)
#include <xlens/core/error.hpp>

#include <algorithm>
#endif

namespace xlens {

/// Draws a token from softmax(z / temperature). What the options leave out, step by step:
///   repetition_penalty r   z_w of each token that the text has: z_w / r if it is above 0, else
///                          z_w·r (Keskar et al. 2019, 1909.05858)
///   top_k                  all but the k most probable
///   top_p                  of those, all but the smallest set whose probabilities sum to top_p
///                          (Holtzman et al. 2020, 1904.09751)
///   min_p                  what is less probable than min_p times the most probable
///                          (Nguyen et al. 2024, 2407.01082)
/// The order is that of transformers. The same seed gives the same tokens on every machine and for
/// any number of threads. O(V) a token, and O(k log k) for the k tokens that top_k or top_p leave.
class sampler {
public:
    struct options {
        float temperature = 1.0F;  ///< 0: the most probable token, of those the penalty left
        std::size_t top_k = 0;     ///< 0: all
        float top_p = 1.0F;        ///< 1: all
        std::uint64_t seed = 0;
        float min_p = 0.0F;               ///< 0: all
        float repetition_penalty = 1.0F;  ///< 1: none
    };

    /// Throws xlens::error for a number outside its range.
    explicit sampler(const options& o);

    [[nodiscard]] bool takes_best() const;

    /// `text`: the tokens so far, for the repetition penalty.
    token_choice operator()(std::span<const float> logits, std::span<const token_id> text = {});

private:
    static void check(std::string_view name, float value, bool good, std::string_view expected);

    std::span<const float> penalised(std::span<const float> logits, std::span<const token_id> text);

    /// e^((z - highest) / temperature). In double, and sums of it in one order, as the draw must
    /// not depend on the machine.
    [[nodiscard]] double weight(float z, float highest) const;
    /// Uniform in [0, 1): 53 random bits. std::discrete_distribution differs between libraries.
    double uniform() { return static_cast<double>(m_random() >> 11U) * 0x1p-53; }

    /// From tokens best first: those of the nucleus that min_p leaves. `total` is the weight that
    /// top_p is a share of; without it that of the tokens.
    token_id draw(const std::vector<scored>& ranked, std::optional<double> total);

    /// The nucleus is looked for among the best few, then among more: sorting the whole vocabulary
    /// would take longer than the model.
    token_id draw_from_nucleus(std::span<const float> z);

    /// By order of ids, without ranking.
    token_id draw_from_all(std::span<const float> z);

    options m_options;
    std::mt19937_64 m_random;
    std::vector<double> m_weights;  // reused from token to token
    std::vector<float> m_penalised;
};

#if XLENS_DEFINES(generate)
XLENS_API sampler::sampler(const options& o) : m_options(o), m_random(o.seed) {
    check("temperature", o.temperature, o.temperature >= 0.0F, "at least 0");
    check("top_p", o.top_p, o.top_p > 0.0F && o.top_p <= 1.0F, "above 0 and up to 1");
    check("min_p", o.min_p, o.min_p >= 0.0F && o.min_p <= 1.0F, "0 to 1");
    check("repetition_penalty", o.repetition_penalty, o.repetition_penalty > 0.0F, "above 0");
}

XLENS_API token_choice sampler::operator()(std::span<const float> logits,
                                           std::span<const token_id> text) {
    const std::span<const float> z = penalised(logits, text);
    if (m_options.temperature == 0.0F) {
        return detail::chosen(detail::best_of(z, 1).front().id, logits);
    }
    const bool cut = m_options.top_k > 0 && m_options.top_k < z.size();
    if (cut) { return detail::chosen(draw(detail::best_of(z, m_options.top_k), {}), logits); }
    return detail::chosen(m_options.top_p < 1.0F ? draw_from_nucleus(z) : draw_from_all(z), logits);
}

XLENS_API std::span<const float> sampler::penalised(std::span<const float> logits,
                                                    std::span<const token_id> text) {
    if (m_options.repetition_penalty == 1.0F || text.empty()) { return logits; }
    m_penalised.assign(logits.begin(), logits.end());
    std::vector<token_id> seen(text.begin(), text.end());
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const token_id id : seen) {
        float& z = m_penalised[static_cast<std::size_t>(id)];
        z = z > 0.0F ? z / m_options.repetition_penalty : z * m_options.repetition_penalty;
    }
    return m_penalised;
}

XLENS_API token_id sampler::draw(const std::vector<scored>& ranked, std::optional<double> total) {
    const double bar = m_options.min_p;  // the best has weight 1
    m_weights.clear();
    double whole = 0.0;
    for (const scored& s : ranked) {
        m_weights.push_back(weight(s.score, ranked.front().score));
        whole += m_weights.back();
    }
    const double wanted = double{m_options.top_p} * total.value_or(whole);
    std::size_t count = 0;
    double kept = 0.0;
    for (double sum = 0.0; count < m_weights.size(); ++count) {
        if (count > 0 && (sum >= wanted || m_weights[count] < bar)) { break; }
        sum += m_weights[count];
        kept = sum;
    }
    double left = uniform() * kept;
    for (std::size_t i = 0; i < count; ++i) {
        left -= m_weights[i];
        if (left < 0.0) { return ranked[i].id; }
    }
    return ranked[count - 1].id;
}

XLENS_API token_id sampler::draw_from_nucleus(std::span<const float> z) {
    const float highest = detail::best_of(z, 1).front().score;
    double total = 0.0;
    for (const float x : z) { total += std::isnan(x) ? 0.0 : weight(x, highest); }
    for (std::size_t k = 256;; k *= 8) {
        const std::vector<scored> ranked = detail::best_of(z, std::min(k, z.size()));
        double sum = 0.0;
        for (const scored& s : ranked) { sum += weight(s.score, highest); }
        if (k >= z.size() || sum >= double{m_options.top_p} * total) { return draw(ranked, total); }
    }
}

XLENS_API token_id sampler::draw_from_all(std::span<const float> z) {
    const float highest = detail::best_of(z, 1).front().score;
    const double bar = m_options.min_p;
    m_weights.resize(z.size());
    double total = 0.0;
    for (std::size_t i = 0; i < z.size(); ++i) {
        const double w = std::isnan(z[i]) ? 0.0 : weight(z[i], highest);
        m_weights[i] = w < bar ? 0.0 : w;
        total += m_weights[i];
    }
    double left = uniform() * total;
    std::size_t last = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
        if (m_weights[i] == 0.0) { continue; }
        last = i;
        left -= m_weights[i];
        if (left < 0.0) { break; }
    }
    return static_cast<token_id>(last);
}

XLENS_API bool sampler::takes_best() const {
    return m_options.temperature == 0.0F && m_options.repetition_penalty == 1.0F;
}

XLENS_API void sampler::check(std::string_view name, float value, bool good,
                              std::string_view expected) {
    if (!good || std::isinf(value)) { fail("{}: expected {}, got {}", name, expected, value); }
}

XLENS_API double sampler::weight(float z, float highest) const {
    return std::exp((double{z} - double{highest}) / double{m_options.temperature});
}
#endif

}  // namespace xlens
