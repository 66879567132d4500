// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "output/json_writer.hpp"

#include <string>

namespace xlens {
class sparse_autoencoder;
}

namespace xlens::program {

/// "architecture", "layer", "site", "features" of an autoencoder, in an open object.
void write_sae(json_writer& out, const sparse_autoencoder& sae);
/// "average_l0_82: jumprelu, 16384 features of layer 12, entering".
[[nodiscard]] std::string sae_text(const sparse_autoencoder& sae);

}  // namespace xlens::program
