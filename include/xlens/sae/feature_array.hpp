// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/sae/sparse_autoencoder.hpp>
#include <xlens/trace/capture_sites.hpp>

#if XLENS_DEFINES(sae)
#include <xlens/hooks/policy.hpp>
#include <xlens/json/writer.hpp>
#include <xlens/sae/feature_trace.hpp>
#include <xlens/sae/sae_site.hpp>
#include <xlens/storage/rows.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <string>
#endif

namespace xlens {

/// The array of a capture (capture_options::computed) that holds an autoencoder's activations (N,
/// F) of what it reads, `features.SITE.LAYER` by its own words of the place; the manifest has its
/// fingerprint and shape. The array shares the autoencoder's weights. Throws xlens::error for one
/// that does not fit the model. Cost 2·F·D a position.
XLENS_API captured_array feature_array(const sparse_autoencoder& sae, const transformer<>& model);

#if XLENS_DEFINES(sae)

namespace detail {

/// The site of a capture whose rows an autoencoder reads.
inline captured_array read_by(const sae_place& place) {
    const layer_site at = layer_site_of(place);
    captured_array out;
    out.site = find_capture_site(at.site);
    out.layer = at.layer;
    return out;
}

}  // namespace detail

XLENS_API captured_array feature_array(const sparse_autoencoder& sae, const transformer<>& model) {
    sae.check(model.sizes());
    const sae_facts& facts = sae.facts();
    captured_array out = detail::read_by(facts.place);
    out.name = fmt::format("features.{}.{}", name_of(facts.place.site), facts.place.layer);
    out.columns = sae.features();
    out.shape = {out.columns};
    json_writer by(out.computed_by);
    by.begin_object();
    by.field("autoencoder", facts.architecture);
    by.field("fingerprint", fmt::format("{:016x}", facts.fingerprint));
    by.field("width", sae.width());
    by.field("features", sae.features());
    by.end_object();
    out.compute = [sae, centre = detail::has_layer_norm(model)](
                      rows<const float> x, rows<float> f) { sae.encode(x, f, centre); };
    return out;
}

#endif

}  // namespace xlens
