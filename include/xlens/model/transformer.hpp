// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/answer.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/architecture.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/model/pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/block.hpp>
#include <xlens/nn/embedding.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/cache_rows.hpp>
#include <xlens/storage/format_id.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

namespace xlens {

/// A decoder-only transformer: `Preset` fixes the architecture (model/presets.hpp), `Weights` how
/// its matrices are stored. By default both are data: what xlens::load returns is one, and whatever
/// the architecture, the formats and the policies, it is compiled once. A preset and matrix<q4_1>,
/// say, fix them by the type: same equations, same bits.
/// Computes in f32 whatever the storage. Weights are borrowed: the file must stay open
/// (xlens::model keeps it). A const transformer may be used by several threads, each with its own
/// state.
template <class Preset = presets::any, weight_matrix Weights = any_matrix>
class transformer {
public:
    using preset = Preset;
    using weights = Weights;
    using block_type = block<Preset, Weights>;
    using norm_type = typename Preset::norm;
    using position_type = typename Preset::template position<Weights>;

    hyperparameters config;
    xlens::embedding<Weights> embedding;
    std::optional<norm_type> embedding_norm;  ///< of what the embedding gives (BLOOM)
    position_type position;
    std::vector<block_type> blocks;
    std::optional<norm_type> final_norm;
    xlens::unembedding<Weights> unembedding;
    /// In which numbers sequences that begin keep their keys and values: f32, f16 or q8_0
    /// (storage/cache_rows.hpp). With each of them a pass has the same bits however it is cut up.
    format_id cache = format_id::f32;

    /// An empty sequence. Throws xlens::error for a cache that cannot be.
    [[nodiscard]] sequence_state start() const {
        check_cache_format(cache, config.head_size);
        sequence_state state;
        state.caches.assign(blocks.size(), kv_cache(config.kv_heads * config.head_size, cache));
        return state;
    }

    /// Reads T tokens more: leaves their final residuals (T, D), and the logits of the positions
    /// that state.wanted names (or, for `best` and `token`, an answer), in the state. Policies are
    /// called at the sites of hooks/policy.hpp; when one says flow::stop at `after`, the remaining
    /// layers are left out for all T positions, whose keys and values there follow as state.fill
    /// says. In a layer that earlier exits left out, the rows that policies see begin with the
    /// positions that are made up for.
    /// Throws xlens::error, before anything is read, if the tokens do not fit the context or the
    /// vocabulary, the state was not started by a model like this one, or a policy does not fit the
    /// model; and where the residual that is read is no number. Whatever is thrown, by a policy
    /// too, the state has read what it had before; what the pass before left there is gone.
    template <class... P>
    void forward(sequence_state& state, std::span<const token_id> tokens, P&... policies) const {
        if constexpr ((check_policy<P>() && ...)) {
            check(state, tokens);
            with_pack([&](auto&... p) { read_one(state, tokens, p...); }, policies...);
        }
    }
    template <class... P>
    void forward(sequence_state& state, std::initializer_list<token_id> tokens,
                 P&... policies) const {
        forward(state, std::span<const token_id>(tokens.begin(), tokens.size()), policies...);
    }

    /// Takes the positions that earlier exits left through the layers that they owe, without
    /// reading a token more: a pass of those positions, whose residuals and logits (state.wanted)
    /// it leaves. Does nothing where nothing is owed. Policies must look at rows for themselves
    /// (is_rowwise). Throws xlens::error as forward does.
    template <class... P>
    void complete(sequence_state& state, P&... policies) const {
        if constexpr ((check_policy<P>() && ...)) {
            check_state(state);
            if ((... || !is_rowwise(policies))) {
                fail("complete: a policy looks at more than a row, or may stop");
            }
            if (state.owed.shape(0) == 0) { return; }
            with_pack([&](auto&... p) { read_one(state, {}, p...); }, policies...);
        }
    }

    /// Reads one token more into each of N sequences, with the bits that forward gives each alone:
    /// a matrix is read once for all of them. Leaves residual, exit layer and logits of each in its
    /// state, whatever it wants. Policies must look at rows for themselves (is_rowwise) and are
    /// called row by row. Throws xlens::error as forward does, and unless there is a token for each
    /// of the states, which differ.
    template <class... P>
    void forward_each(std::span<sequence_state* const> states, std::span<const token_id> tokens,
                      P&... policies) const {
        if constexpr ((check_policy<P>() && ...)) {
            with_pack([&](auto&... p) { read_each(states, tokens, p...); }, policies...);
        }
    }

    /// Throws what forward would, for these tokens in one pass or in several, before anything is
    /// read.
    void check(const sequence_state& state, std::span<const token_id> tokens) const;

    /// Logits (N, V) of residuals (N, D): final norm, then unembedding.
    void read_out(rows<const float> residuals, rows<float> logits) const {
        auto normed = aligned_tensor::from_shape({residuals.count(), config.width});
        normalise(final_norm, residuals, normed);
        unembedding.logits(normed, logits);
    }
    /// ‖v_i‖ of every value vector, a span of F a layer. The first call reads all value matrices
    /// once, and the layers keep them.
    [[nodiscard]] std::vector<std::span<const float>> value_norms() const {
        std::vector<std::span<const float>> out;
        for (const block_type& b : blocks) {
            const auto& norms = b.ffn.value_norms();
            out.emplace_back(norms.data(), norms.size());
        }
        return out;
    }

    /// The value vectors of every layer; borrows the model.
    [[nodiscard]] std::vector<value_matrix<Weights>> value_matrices() const {
        std::vector<value_matrix<Weights>> out;
        for (const block_type& b : blocks) { out.push_back(b.ffn.values()); }
        return out;
    }
    [[nodiscard]] model_sizes sizes() const {
        return {blocks.size(), config.width, config.inner_width, config.vocabulary, config.context};
    }

private:
    [[nodiscard]] layer_shape layer_sizes() const {
        return {config.width, config.inner_width, config.heads, config.kv_heads, config.head_size};
    }
    /// Calls read with the policies as they are, whose hooks are then compiled into the pass; of a
    /// model whose parts are data, as one pack.
    template <class Read, class... P>
    static void with_pack(Read read, P&... policies) {
        if constexpr (!std::is_same_v<Preset, presets::any> ||
                      (std::is_same_v<P, dynamic_policies> && ... && (sizeof...(P) == 1))) {
            read(policies...);
        } else {
            dynamic_policies pack = dynamic_policies::of(policies...);
            read(pack);
        }
    }

    // Defined in model/transformer_pass.hpp.
    void check_state(const sequence_state& state) const;
    template <policy... P>
    void read_one(sequence_state& state, std::span<const token_id> tokens, P&... policies) const;
    template <policy... P>
    void read_each(std::span<sequence_state* const> states, std::span<const token_id> tokens,
                   P&... policies) const;
    template <class Pass, policy... P>
    void run(Pass& pass, P&... policies) const;
    void leave(detail::single_pass& pass, sequence_state& state) const;
    [[nodiscard]] bool all_ran(const sequence_state& state) const {
        return state.exit_layer + 1 >= blocks.size();
    }
    template <policy... P>
    bool answered(sequence_state& state, const P&... policies) const;
    [[nodiscard]] bool name_best(sequence_state& state, rows<const float> read) const;
    template <policy... P>
    void compute_logits(site where, sequence_state& state, P&... policies) const;
};

}  // namespace xlens

#include <xlens/model/transformer_pass.hpp>

#if !XLENS_DEFINES(model)
namespace xlens {

// From the compiled library.
extern template void transformer<>::check(const sequence_state&, std::span<const token_id>) const;
extern template void transformer<>::check_state(const sequence_state&) const;
extern template void transformer<>::read_one<dynamic_policies>(sequence_state&,
                                                               std::span<const token_id>,
                                                               dynamic_policies&) const;
extern template void transformer<>::read_each<dynamic_policies>(std::span<sequence_state* const>,
                                                                std::span<const token_id>,
                                                                dynamic_policies&) const;

}  // namespace xlens
#endif
