// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for concepts/ (core/compiled.hpp).
#define XLENS_BUILDING_concepts 1
#include <xlens/concepts/cluster_values.hpp>
#include <xlens/concepts/clusters.hpp>
#include <xlens/concepts/clusters_json.hpp>
#include <xlens/concepts/concept_control.hpp>
#include <xlens/concepts/concept_index.hpp>
#include <xlens/concepts/gram.hpp>
#include <xlens/concepts/layer_vectors.hpp>
#include <xlens/concepts/random_scores.hpp>
#include <xlens/concepts/random_vectors.hpp>
#include <xlens/concepts/score_kurtosis.hpp>
#include <xlens/concepts/search.hpp>
#include <xlens/concepts/search_control.hpp>
#include <xlens/concepts/search_neurons.hpp>
#include <xlens/concepts/second_moments.hpp>
#include <xlens/concepts/standard_scores.hpp>
#include <xlens/concepts/token_moments.hpp>
#include <xlens/concepts/value_concepts.hpp>
#include <xlens/concepts/value_directions.hpp>
#include <xlens/concepts/value_moments.hpp>
