// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for sae/ (core/compiled.hpp).
#define XLENS_BUILDING_sae 1
#include <xlens/sae/feature_array.hpp>
#include <xlens/sae/feature_concepts.hpp>
#include <xlens/sae/feature_trace.hpp>
#include <xlens/sae/read_sae.hpp>
#include <xlens/sae/sae_site.hpp>
#include <xlens/sae/search_features.hpp>
#include <xlens/sae/sparse_autoencoder.hpp>
