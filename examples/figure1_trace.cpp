// SPDX-License-Identifier: BSD-3-Clause

// Figure 1 of Geva et al. 2022 on real weights: one feed-forward layer, the prediction that it
// finds, the sub-updates m_i·v_i that change it, and the prediction that it leaves. The layer is
// the one that raises the probability of the model's final token most, unless it is given.
//   figure1_trace [MODEL [PROMPT [LAYER]]]; without MODEL, $XLENS_MODEL
#include <fmt/format.h>
#include <xlens/core/neuron.hpp>
#include <xlens/io/load.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/text/tokenizer.hpp>
#include <xlens/trace/trace.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace {

using tensor = xt::xtensor<float, 2>;
using vector = xt::xtensor<float, 1>;

/// A token in quotes, for many are spaces or line ends.
std::string quoted(const xlens::tokenizer& text, xlens::token_id id) {
    std::string out = text.text(id);
    std::replace(out.begin(), out.end(), '\n', '$');
    return '\'' + out + '\'';
}

void print(const xlens::tokenizer& text, const char* label, const xlens::reading& r) {
    fmt::print("{:<27}", label);
    for (const xlens::scored& s : r.top) {
        fmt::print(" {} {:.3f}", quoted(text, s.id), r.probability(s));
    }
    fmt::print("\n");
}

/// The layer whose FFN update raises the probability of `token` most.
template <class Lens>
std::size_t most_helpful_layer(const Lens& lens, const xlens::observe& seen,
                               xlens::token_id token) {
    const std::vector<xlens::token_id> target{token};
    std::vector<float> gain;
    for (const xlens::observed_layer& l : seen.layers()) {
        gain.push_back(std::exp(lens.read(l.after, 0, target)[0].target) -
                       std::exp(lens.read(l.before, 0, target)[0].target));
    }
    return static_cast<std::size_t>(std::max_element(gain.begin(), gain.end()) - gain.begin());
}

/// before + scale·(Σ m_i·v_i + b): what the model adds, the scale being 1 without a norm behind the
/// sum, and b written as the value vectors are.
template <class FeedForward>
tensor updated(const FeedForward& ffn, const tensor& before, vector sum, float scale) {
    const std::span<const float> gain = ffn.values().gain();
    const auto& bias = ffn.output_bias();
    for (std::size_t d = 0; d < bias.size(); ++d) {
        sum(d) += gain.empty() ? bias(d) : gain[d] * bias(d);
    }
    return before + scale * sum;
}

/// The rows of an expression: neuron, coefficient, what it adds to the token, and its concept.
template <class Expression>
void print_rows(const xlens::transformer<>& model, const xlens::tokenizer& text, std::size_t layer,
                const Expression& e, xlens::token_id token) {
    const xlens::logit_lens lens(model);
    const vector promotions = e.promote(lens, token);  // m_i·⟨γ⊙e_w, v_i⟩
    for (std::size_t r = 0; r < e.shape()[0]; ++r) {
        const xlens::neuron n{layer, e.neuron(r)};
        tensor value = xt::empty<float>({std::size_t{1}, model.config.width});
        e.layer().value(n.index, xlens::rows<float>(value)[0]);
        const xlens::token_ends ends = lens.project(value, 5)[0];
        fmt::print("  {:<8} m = {:8.3f}  {:+9.3f}  ", xlens::to_string(n), e.coefficient(r),
                   promotions(r));
        // A negative coefficient turns the concept around: -v promotes what v suppresses.
        for (const auto& s : e.coefficient(r) < 0 ? ends.suppresses : ends.promotes) {
            fmt::print(" {}", quoted(text, s.id));
        }
        fmt::print("\n");
    }
    fmt::print("  together {:27.3f}\n", xt::sum(promotions)());
}

/// The neurons of an expression's rows.
template <class Expression>
std::vector<std::size_t> neurons(const Expression& e) {
    std::vector<std::size_t> out;
    for (std::size_t r = 0; r < e.shape()[0]; ++r) { out.push_back(e.neuron(r)); }
    return out;
}

/// To xtensor the expression is one as any other: its sum, in another order, and a row's norm.
template <class Expression>
void check_expression(const Expression& e) {
    const vector by_xtensor = xt::sum(e, {0});
    const float difference = xt::amax(xt::abs(by_xtensor - e.sum()))();
    const float norm = std::sqrt(xt::sum(xt::square(xt::view(e, 0, xt::all())))());
    if (!(difference < 1e-3F) || !(std::abs(norm - e.dominance(0)) < 1e-3F * norm)) {
        xlens::fail("xt::sum differs by {}, a row's norm is {}, its dominance {}", difference, norm,
                    e.dominance(0));
    }
}

void figure(const xlens::transformer<>& model, const xlens::tokenizer& text,
            std::span<const xlens::token_id> prompt, std::optional<std::size_t> chosen_layer) {
    xlens::observe seen(model.value_norms(), 0);
    xlens::sequence_state state = model.start();
    model.forward(state, prompt, seen);
    const xlens::logit_lens lens(model);
    const xlens::token_id token = lens.read(state.residual, 1).back().top[0].id;
    const std::size_t l = chosen_layer.value_or(most_helpful_layer(lens, seen, token));
    if (l >= model.blocks.size()) {
        xlens::fail("layer: expected 0 to {}, got {}", model.blocks.size() - 1, l);
    }
    const auto& block = model.blocks[l];
    if (block.parallel_residual) {
        xlens::fail("layer {}: attention and FFN stand side by side: `before` is not its input", l);
    }

    const tensor& before = seen.layers()[l].before;  // (1, D): the last position
    tensor normed = xt::empty_like(before);
    xlens::normalise(block.ffn_norm, before, normed);
    const vector x = xt::view(normed, 0, xt::all());

    // The layer's update as an expression of shape (F, D). Nothing is computed in this line.
    const auto e = block.ffn.sub_updates(x);
    const auto dominant = e.dominant(10);
    const auto rest = e.without(neurons(dominant));

    print(text, "before", lens.read(before, 5)[0]);
    fmt::print("layer {}: the dominant 10 of {}, and what they add to {}\n", l, e.shape()[0],
               quoted(text, token));
    print_rows(model, text, l, dominant, token);
    fmt::print("  all of them {:24.3f}\n", xt::sum(e.promote(lens, token))());
    const tensor after = updated(block.ffn, before, e.sum(), e.scale());
    const tensor without = updated(block.ffn, before, rest.sum(), e.scale());
    print(text, "after", lens.read(after, 5)[0]);
    print(text, "after, without the 10", lens.read(without, 5)[0]);

    // The expression's sum is what the model added, bit for bit.
    if (after != seen.layers()[l].after) { xlens::fail("the sum is not what the model computed"); }
    check_expression(dominant);
}

}  // namespace

int main(int argc, char** argv) try {
    const char* path = argc > 1 ? argv[1] : std::getenv("XLENS_MODEL");
    if (path == nullptr) { xlens::fail("usage: figure1_trace MODEL [PROMPT [LAYER]]"); }
    const std::string prompt = argc > 2 ? argv[2] : "The capital of France is";
    std::optional<std::size_t> layer;
    if (argc > 3) { layer = std::strtoul(argv[3], nullptr, 10); }

    const xlens::model file = xlens::load(path);
    const auto ids = file.tokenizer().encode_prompt(prompt);
    if (ids.empty()) { xlens::fail("prompt: no tokens"); }
    figure(file, file.tokenizer(), ids, layer);
} catch (const xlens::error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 2;
}
