// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for interventions/ (core/compiled.hpp).
#define XLENS_BUILDING_interventions 1
#include <xlens/interventions/ban.hpp>
#include <xlens/interventions/ban_words.hpp>
#include <xlens/interventions/direction.hpp>
#include <xlens/interventions/direction_file.hpp>
#include <xlens/interventions/direction_set.hpp>
#include <xlens/interventions/edit.hpp>
#include <xlens/interventions/fit_directions.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/interventions/make_policies.hpp>
#include <xlens/interventions/neuron_list.hpp>
#include <xlens/interventions/pair_file.hpp>
#include <xlens/interventions/pair_geometry.hpp>
#include <xlens/interventions/patch.hpp>
#include <xlens/interventions/patch_grid.hpp>
#include <xlens/interventions/patch_metric.hpp>
#include <xlens/interventions/patch_values.hpp>
#include <xlens/interventions/positions.hpp>
#include <xlens/interventions/recipe.hpp>
#include <xlens/interventions/recipe_fields.hpp>
#include <xlens/interventions/recipe_file.hpp>
#include <xlens/interventions/steer.hpp>
#include <xlens/interventions/steer_directions.hpp>
#include <xlens/interventions/steer_feature.hpp>
