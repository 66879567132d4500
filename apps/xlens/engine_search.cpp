// SPDX-License-Identifier: BSD-3-Clause
#include "engine_parts.hpp"
#include "search.hpp"
#include "value_concept.hpp"

#include <xlens/concepts/concept_control.hpp>
#include <xlens/concepts/concept_index.hpp>
#include <xlens/concepts/search_control.hpp>
#include <xlens/storage/fingerprint.hpp>

#include <algorithm>

namespace xlens::program {

namespace {

search_end parse_end(std::string_view name) {
    if (name == "either") { return search_end::either; }
    return name == "suppresses" ? search_end::suppresses : search_end::promotes;
}

search_options options_of(const search_request& request) {
    return {parse_side(request.side), parse_scale(request.scale), parse_projection(request.form),
            parse_end(request.end), request.limit};
}

/// An index of this model, in this projection, with at least `top` tokens an end.
concept_index open_index(const std::string& path, const xlens::model& model, projection form,
                         std::size_t top) {
    concept_index index(path, model.fingerprint());
    index.check(model.config, form);
    static_cast<void>(index.ends({0, 0}, top));
    return index;
}

search_answer run_search(const xlens::model& model, const search_request& request,
                         const std::optional<concept_index>& index,
                         const engine::progress& report) {
    const concept_search search(model);
    const search_options options = options_of(request);
    const std::vector<search_hit> hits =
        request.like ? search.find(*request.like, options) : search.find(request.tokens, options);

    std::vector<token_ends> concepts;
    if (index) {
        for (const search_hit& hit : hits) {
            concepts.push_back(index->ends(hit.where, request.top));
        }
    } else {
        concepts = search.concepts(hits, request.top, options);
    }
    search_answer out;
    std::vector<float> vector(model.config.width);
    for (std::size_t i = 0; i < hits.size(); ++i) {
        search.layer(hits[i].where.layer, options).decode(hits[i].where.index, vector);
        out.hits.push_back({hits[i].where, hits[i].score, kernels::norm2(vector), std::nullopt,
                            std::move(concepts[i])});
    }
    const std::size_t per_layer = request.control.value_or(model.config.inner_width);
    if (per_layer == 0) { return out; }
    const std::vector<float> direction = request.like ? search.direction(*request.like, options)
                                                      : search.direction(request.tokens, options);
    const random_scores random =
        score_random_vectors(search, direction, options, per_layer, request.seed, report);
    out.random_vectors = random.count();
    out.random_best = random.best();
    for (search_answer::hit& hit : out.hits) {
        hit.random_share = random.share(search.rank(hit.score, options.end));
    }
    return out;
}

}  // namespace

search_answer engine::search(const search_request& request, const progress& report) const {
    const std::size_t top = std::min(request.top, config().vocabulary);
    std::optional<concept_index> index;
    if (request.index) {
        if (request.side != "value") {
            fail("--index: holds value vectors, expected --side value, got {}", request.side);
        }
        index = open_index(*request.index, m_parts->model, parse_projection(request.form), top);
    }
    search_request checked = request;
    checked.top = top;
    return run_search(m_parts->model, checked, index, report);
}

value_concept engine::indexed_concept(const neuron& where, std::size_t top, std::string_view form,
                                      const std::string& path) const {
    check_neuron(where, config().layers, config().inner_width);
    top = std::min(top, config().vocabulary);
    const concept_index index = open_index(path, m_parts->model, parse_projection(form), top);
    std::vector<float> value(config().width);
    m_parts->model.blocks[where.layer].ffn.value(where.index, value);
    return {kernels::norm2(value), index.ends(where, top)};
}

controlled_concept engine::control_concept(const neuron& where, std::size_t top,
                                           std::string_view form, std::size_t count,
                                           std::uint64_t seed) const {
    const auto& model = m_parts->model;
    return concept_control(model, parse_projection(form)).compare(where, top, count, seed);
}

}  // namespace xlens::program
