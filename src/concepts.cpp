// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for concepts/ (core/compiled.hpp).
#define XLENS_BUILDING_concepts 1
#include <xlens/concepts/search_neurons.hpp>
#include <xlens/concepts/value_concepts.hpp>
