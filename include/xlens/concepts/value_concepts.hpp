// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/concept_reader.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/core/neuron.hpp>

#include <cmath>
#endif

namespace xlens {

/// A value vector read in the vocabulary.
struct value_concept {
    float norm = 0.0F;  ///< ‖v‖
    token_ends ends;
    float kurtosis = 0.0F;  ///< of its folded scores (concepts/score_kurtosis.hpp)
};

/// The concept of one neuron: ‖v‖ and the `top` tokens (no more than V) that v promotes and
/// suppresses most. Cost 2·V·D multiply-adds, with projection::standard a pass over all value
/// matrices besides (concepts/standard_scores.hpp); for many neurons concepts_of reads the
/// vocabulary once. Throws xlens::error for a neuron that the model does not have.
XLENS_API value_concept concept_of(const transformer<>& model, const neuron& where, std::size_t top,
                                   projection form = projection::folded);

/// The concepts (by the reader's projection, `top` tokens an end) of these neurons' value vectors,
/// in their order. `values[l]`: the value matrix of layer l (transformer::value_matrices). Memory
/// O(4096·D) besides the result.
XLENS_API std::vector<std::shared_ptr<const token_ends>> concepts_of(
    const concept_reader& reader, const std::vector<value_matrix<any_matrix>>& values,
    std::size_t top, std::span<const neuron> neurons);

/// Fills in the concepts of many sub-updates; each value vector that occurs is projected once.
/// `each(visit)` calls visit(neuron, std::shared_ptr<const token_ends>& to_fill_in) for all of
/// them, and is called twice.
template <class Each>
void add_concepts(const concept_reader& reader, const std::vector<value_matrix<any_matrix>>& values,
                  std::size_t top, Each each) {
    std::map<neuron, std::size_t> numbers;
    std::vector<neuron> order;
    each([&](const neuron& n, std::shared_ptr<const token_ends>&) {
        if (numbers.emplace(n, order.size()).second) { order.push_back(n); }
    });
    const auto concepts = concepts_of(reader, values, top, std::span<const neuron>(order));
    each([&](const neuron& n, std::shared_ptr<const token_ends>& to) {
        to = concepts[numbers.at(n)];
    });
}

#if XLENS_DEFINES(concepts)
XLENS_API value_concept concept_of(const transformer<>& model, const neuron& where, std::size_t top,
                                   projection form) {
    check_neuron(where, model.config.layers, model.config.inner_width);
    xt::xtensor<float, 2> value = xt::empty<float>({std::size_t{1}, model.config.width});
    model.blocks[where.layer].ffn.value(where.index, rows<float>(value)[0]);
    double squares = 0.0;
    for (const float x : value) { squares += double{x} * double{x}; }
    float kurtosis = 0.0F;
    std::vector<token_ends> ends = concept_reader(model, form).project(value, top, {&kurtosis, 1});
    return {static_cast<float>(std::sqrt(squares)), std::move(ends.front()), kurtosis};
}

XLENS_API std::vector<std::shared_ptr<const token_ends>> concepts_of(
    const concept_reader& reader, const std::vector<value_matrix<any_matrix>>& values,
    std::size_t top, std::span<const neuron> neurons) {
    std::vector<std::shared_ptr<const token_ends>> out;
    constexpr std::size_t round = 4096;  // bounds the memory of decoded value vectors
    for (std::size_t first = 0; first < neurons.size(); first += round) {
        const auto part = neurons.subspan(first, std::min(round, neurons.size() - first));
        xt::xtensor<float, 2> vectors = xt::empty<float>({part.size(), values[0].rows()});
        for (std::size_t i = 0; i < part.size(); ++i) {
            values[part[i].layer].column(part[i].index, rows<float>(vectors)[i]);
        }
        for (token_ends& ends : reader.project(vectors, top)) {
            out.push_back(std::make_shared<const token_ends>(std::move(ends)));
        }
    }
    return out;
}
#endif

}  // namespace xlens
