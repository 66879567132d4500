// SPDX-License-Identifier: BSD-3-Clause

// An experiment fixed at compile time: an architecture of one's own (llama with a ReLU gate),
// weights of one's own (random, in memory, f32 by type), and a policy of one's own: how much of the
// model is left when each feed-forward layer keeps its k dominant sub-updates only?
#include <fmt/format.h>
#include <xlens/model/presets.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/nn/sub_updates.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <deque>
#include <numeric>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace {

/// The architecture: what differs from llama, and nothing else.
struct relu_llama : xlens::presets::llama {
    using activation = xlens::relu;
};
using weights = xlens::matrix<xlens::f32>;
using model_type = xlens::transformer<relu_llama, weights>;

/// The policy: sets all but the K dominant coefficients of every layer and position to 0, and adds
/// up how much dominance |m_i|·‖v_i‖ is left. Its one hook is called in the middle of the layer.
template <std::size_t K>
class keep_dominant {
public:
    static constexpr xlens::hook hooks = xlens::hook::coefficients;

    explicit keep_dominant(std::vector<std::span<const float>> norms) : m_norms(std::move(norms)) {}

    void coefficients(const xlens::site& where, xlens::rows<float> m) {
        const std::span<const float> norms = m_norms[where.layer];
        for (std::size_t t = 0; t < m.count(); ++t) { keep(m[t], norms); }
    }
    [[nodiscard]] double kept_share() const { return m_kept / m_total; }

private:
    void keep(std::span<float> m, std::span<const float> norms) {
        std::vector<std::size_t> order(m.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        const auto dominance = [&](std::size_t i) { return std::abs(m[i]) * norms[i]; };
        const auto larger = [&](std::size_t a, std::size_t b) {
            return dominance(a) > dominance(b);
        };
        std::partial_sort(order.begin(), order.begin() + K, order.end(), larger);
        for (std::size_t r = 0; r < order.size(); ++r) {
            m_total += dominance(order[r]);
            if (r < K) { m_kept += dominance(order[r]); }
            if (r >= K) { m[order[r]] = 0.0F; }
        }
    }

    std::vector<std::span<const float>> m_norms;
    double m_kept = 0.0;
    double m_total = 0.0;
};

/// A policy without hooks: it compiles to nothing.
struct idle {
    static constexpr xlens::hook hooks = xlens::hook::none;
};
static_assert(xlens::policy<idle> && xlens::policy<keep_dominant<10>>);

/// Random matrices. The model borrows them: they stay where they are (a deque) and outlive it.
class random_weights {
public:
    /// (rows, cols), uniform, of variance 1/cols.
    weights operator()(std::size_t rows, std::size_t cols) {
        std::vector<float>& w = m_data.emplace_back(rows * cols);
        const float width = std::sqrt(12.0F / static_cast<float>(cols));
        for (float& x : w) {
            x = (static_cast<float>(m_random() >> 40U) * 0x1p-24F - 0.5F) * width;
        }
        return {std::as_bytes(std::span(w)).data(), rows, cols};
    }

private:
    std::mt19937_64 m_random{1};
    std::deque<std::vector<float>> m_data;
};

constexpr std::size_t vocabulary = 500;
constexpr std::size_t width = 64;         // D
constexpr std::size_t inner_width = 256;  // F
constexpr std::size_t heads = 4;
constexpr std::size_t head_size = width / heads;

model_type::block_type make_block(random_weights& random) {
    const xlens::rms_norm norm{xt::ones<float>({width})};
    model_type::block_type block;
    block.attention_norm = norm;
    block.attention = {{random(width, width), {}},
                       {random(width, width), {}},
                       {random(width, width), {}},
                       {random(width, width), {}},
                       {},
                       {},
                       {heads, heads, head_size, 0, 1.0F / std::sqrt(float{head_size})}};
    block.ffn_norm = norm;
    block.ffn = {{random(inner_width, width), {}},   // gate
                 {random(inner_width, width), {}},   // up
                 {random(width, inner_width), {}}};  // value vectors, one a column
    block.parallel_residual = false;                 // true: attention and FFN side by side
    return block;
}

model_type make_model(random_weights& random) {
    model_type model;
    model.config.layers = 4;
    model.config.width = width;
    model.config.inner_width = inner_width;
    model.config.heads = model.config.kv_heads = heads;
    model.config.head_size = head_size;
    model.config.vocabulary = vocabulary;
    model.config.context = 128;
    const weights embedding = random(vocabulary, width);
    model.embedding.clusters.push_back({0, embedding, {}});
    model.position.table = xlens::rope_table(head_size, 10000.0F);
    for (std::size_t l = 0; l < model.config.layers; ++l) {
        model.blocks.push_back(make_block(random));
    }
    model.final_norm = xlens::rms_norm{xt::ones<float>({width})};
    model.unembedding.sections.push_back({0, embedding, {}});
    return model;
}

/// The logits (T, V) of a text, and the seconds they took: the best of five passes.
struct result {
    xt::xtensor<float, 2> logits;
    double seconds = 1e9;
};
template <xlens::policy... P>
result read(const model_type& model, std::span<const xlens::token_id> text, P&... policies) {
    result out;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const auto start = std::chrono::steady_clock::now();
        xlens::sequence_state state = model.start();
        state.wanted = xlens::logit_rows::all;
        model.forward(state, text, policies...);
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
        out.seconds = std::min(out.seconds, taken.count());
        out.logits = std::move(state.logits);
    }
    return out;
}

/// Share of positions whose best token is the same.
double agreement(const xt::xtensor<float, 2>& a, const xt::xtensor<float, 2>& b) {
    std::size_t same = 0;
    for (std::size_t t = 0; t < a.shape(0); ++t) {
        const auto x = xlens::rows<const float>(a)[t];
        const auto y = xlens::rows<const float>(b)[t];
        same += std::max_element(x.begin(), x.end()) - x.begin() ==
                std::max_element(y.begin(), y.end()) - y.begin();
    }
    return static_cast<double>(same) / static_cast<double>(a.shape(0));
}

template <std::size_t... K>
void report(const model_type& model, std::span<const xlens::token_id> text, const result& full) {
    const auto one = [&]<std::size_t k>() {
        keep_dominant<k> policy(model.value_norms());
        const result r = read(model, text, policy);
        fmt::print("{:4} of {} sub-updates: {:5.1f} % of the dominance, {:5.1f} % same top token\n",
                   k, inner_width, 100 * policy.kept_share(),
                   100 * agreement(full.logits, r.logits));
        if (k == inner_width && r.logits != full.logits) { xlens::fail("all kept, yet not equal"); }
    };
    (one.template operator()<K>(), ...);
}

}  // namespace

int main() try {
    random_weights random;
    const model_type model = make_model(random);
    std::vector<xlens::token_id> text(64);
    std::mt19937_64 draw(2);
    for (xlens::token_id& t : text) { t = static_cast<xlens::token_id>(draw() % vocabulary); }

    const result full = read(model, text);
    idle nothing;
    const result with_idle = read(model, text, nothing, nothing);
    fmt::print("no policy {:.0f} us, two without hooks {:.0f} us\n", 1e6 * full.seconds,
               1e6 * with_idle.seconds);
    if (full.logits != with_idle.logits) { xlens::fail("a policy without hooks changed bits"); }

    report<inner_width, 64, 32, 10, 3, 1>(model, text, full);
} catch (const xlens::error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 2;
}
