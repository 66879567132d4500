// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/compare/compare_options.hpp>
#include <xlens/compare/comparison.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/transformer.hpp>

#include <span>
#include <string>

#if XLENS_DEFINES(compare)
#include <xlens/compare/compare_values.hpp>
#include <xlens/compare/layer_collector.hpp>
#include <xlens/compare/output_collector.hpp>
#include <xlens/core/error.hpp>
#include <xlens/generate/perplexity_windows.hpp>
#include <xlens/kernels/finite.hpp>
#include <xlens/model/state.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/trace/observe.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#endif

namespace xlens {

namespace detail {

/// compare() with any policies as one pack.
XLENS_API comparison compare_with(const transformer<>& a, const transformer<>& b,
                                  std::span<const token_id> tokens, const compare_options& options,
                                  dynamic_policies& policies);

}  // namespace detail

/// Why two models cannot be compared layer by layer: the first size that differs, with both values
/// ("layers: 30 and 18"). Empty where they can be.
XLENS_API std::string shapes_differ(const transformer<>& a, const transformer<>& b);

/// Compares what two models make of one text: A, and B with the policies. One model may be both: it
/// is then compared with itself under the policies. Positions are those that `perplexity` reads,
/// each given what stands before it in its window. The logits are the models' own, as `generate`
/// has them: after the policies, and computed in the precision that each was loaded with; the
/// lens's readings of the layers are in f32, as everywhere. In f32 the perplexities are those of
/// `perplexity`.
/// Which tokens the ids stand for is not looked at: check_same_tokens (same_tokens.hpp) does.
/// Logits exist of a pass at a time, 2·64·V floats at most, and less for a large vocabulary. Cost:
/// a pass of each model, and with the layers an unembedding a layer and model, 4·L·V·D operations a
/// position. Same bits for any number of threads.
/// Throws xlens::error for vocabularies of different sizes, windows that do not fit both models,
/// fewer than 2 tokens, and where a residual or a logit is no finite number.
template <class... P>
comparison compare(const transformer<>& a, const transformer<>& b, std::span<const token_id> tokens,
                   const compare_options& options, P&... policies) {
    dynamic_policies pack = dynamic_policies::of(policies...);
    return detail::compare_with(a, b, tokens, options, pack);
}

#if XLENS_DEFINES(compare)

namespace detail {

inline void check_comparable(const transformer<>& a, const transformer<>& b,
                             const perplexity_windows& cut) {
    if (a.config.vocabulary != b.config.vocabulary) {
        fail("compare: vocabulary: {} tokens in A and {} in B, expected the same",
             a.config.vocabulary, b.config.vocabulary);
    }
    // A's is checked with the windows.
    if (cut.window > b.config.context && cut.window <= a.config.context) {
        fail("compare: window: {} tokens, B reads at most {}", cut.window, b.config.context);
    }
}

/// Tokens of a pass whose logits do not take more than 32 MB a model, 8 at least.
inline std::size_t pass_size(std::size_t asked, std::size_t vocabulary) {
    constexpr std::size_t most = std::size_t{1} << 23U;
    return std::min(asked, std::max<std::size_t>(8, most / vocabulary));
}

/// A model, as it reads one text after the other pass by pass.
class compared_model {
public:
    compared_model(const transformer<>& model, dynamic_policies& policies, std::size_t dominant,
                   bool layers, const char* name)
        : m_model(&model), m_policies(&policies), m_name(name) {
        if (layers) { m_seen.emplace(model, dominant, observe::positions::all); }
    }
    /// The logits of the pass's rows from `skip` on.
    rows<float> read(sequence_state& state, const predicting_pass& pass) {
        const std::size_t count = pass.tokens.size() - pass.skip;
        state.prompt = 1;  // every position is asked for the next token
        state.wanted = count > 0 ? logit_rows::all : logit_rows::none;
        m_seen ? m_model->forward(state, pass.tokens, *m_policies, *m_seen)
               : m_model->forward(state, pass.tokens, *m_policies);
        if (count == 0) { return {}; }
        const rows<float> out = rows<float>(state.logits).subrows(pass.skip, count);
        for (std::size_t t = 0; t < count; ++t) {
            const std::size_t w = kernels::first_not_finite(out[t]);
            if (w < out.width()) {
                fail(
                    "compare: {}: position {}: the logit of token {} is {}, expected a finite "
                    "number",
                    m_name, pass.position + pass.skip + t, w, out[t][w]);
            }
        }
        return out;
    }
    [[nodiscard]] const observe& seen() const { return *m_seen; }

private:
    const transformer<>* m_model;
    dynamic_policies* m_policies;
    const char* m_name;
    std::optional<observe> m_seen;
};

XLENS_API comparison compare_with(const transformer<>& a, const transformer<>& b,
                                  std::span<const token_id> tokens, const compare_options& options,
                                  dynamic_policies& policies) {
    check_comparable(a, b, options.windows);
    comparison out;
    out.left_out = options.layers ? shapes_differ(a, b) : "not asked for";
    const bool layers = out.left_out.empty();
    perplexity_windows windows = options.windows;
    windows.pass = pass_size(windows.pass, a.config.vocabulary);
    dynamic_policies nothing;
    compared_model model_a(a, nothing, options.dominant, layers, "A");
    compared_model model_b(b, policies, options.dominant, layers, "B");
    output_collector outputs(options);
    std::optional<layer_collector> by_layer;
    if (layers) { by_layer.emplace(a, b); }
    sequence_state state_b;
    const auto read = [&](sequence_state& state_a, const predicting_pass& pass) {
        if (pass.position == 0) { state_b = b.start(); }
        const rows<float> logits_a = model_a.read(state_a, pass);
        const rows<float> logits_b = model_b.read(state_b, pass);
        if (logits_a.count() == 0) { return; }
        outputs.add(logits_a, logits_b, pass);
        if (!layers || pass.targets.empty()) { return; }
        const std::size_t count = pass.targets.size();
        by_layer->add(model_a.seen(), model_b.seen(), pass.skip, pass.position,
                      logits_a.subrows(0, count), logits_b.subrows(0, count));
    };
    each_prediction(a, tokens, windows, options.to_end, "compare", read);
    out.output = outputs.result();
    if (!layers) {
        out.values_left_out = out.left_out;
        return out;
    }
    out.layers = by_layer->layers();
    out.saturation = by_layer->saturation();
    if (&a == &b || !options.value_vectors) {
        out.values_left_out = &a == &b ? "one model: they are the same" : "not asked for";
        return out;
    }
    compared_values values = compare_values(a, b, options, options.windows.progress);
    for (std::size_t l = 0; l < out.layers.size(); ++l) { out.layers[l].values = values.layers[l]; }
    out.values = std::move(values.least);
    return out;
}

}  // namespace detail

XLENS_API std::string shapes_differ(const transformer<>& a, const transformer<>& b) {
    const auto differ = [](const char* name, std::size_t of_a, std::size_t of_b) {
        return of_a == of_b ? std::string() : fmt::format("{}: {} and {}", name, of_a, of_b);
    };
    std::string out = differ("layers", a.config.layers, b.config.layers);
    if (out.empty()) { out = differ("width", a.config.width, b.config.width); }
    if (out.empty()) { out = differ("inner width", a.config.inner_width, b.config.inner_width); }
    return out;
}

#endif

}  // namespace xlens
