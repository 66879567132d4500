// SPDX-License-Identifier: BSD-3-Clause
#include "output/sae.hpp"

#include <xlens/sae/sae_site.hpp>
#include <xlens/sae/sparse_autoencoder.hpp>

#include <fmt/format.h>

namespace xlens::program {

void write_sae(json_writer& out, const sparse_autoencoder& sae) {
    out.field("architecture", sae.facts().architecture);
    out.field("layer", sae.facts().place.layer);
    out.field("site", name_of(sae.facts().place.site));
    out.field("features", sae.features());
}

std::string sae_text(const sparse_autoencoder& sae) {
    return fmt::format("{}: {}, {} features of layer {}, {}", sae.facts().name,
                       sae.facts().architecture, sae.features(), sae.facts().place.layer,
                       name_of(sae.facts().place.site));
}

}  // namespace xlens::program
