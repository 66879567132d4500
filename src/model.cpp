// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for model/ (core/compiled.hpp).
#define XLENS_BUILDING_model 1
#include <xlens/model/architecture.hpp>
#include <xlens/model/branches.hpp>
#include <xlens/model/check_parts.hpp>
#include <xlens/model/model.hpp>
#include <xlens/model/presets.hpp>
#include <xlens/model/resume.hpp>
#include <xlens/model/transformer.hpp>

namespace xlens {

template void transformer<>::check(const sequence_state&, std::span<const token_id>) const;
template void transformer<>::check_state(const sequence_state&) const;
template void transformer<>::read_one<dynamic_policies>(sequence_state&, std::span<const token_id>,
                                                        dynamic_policies&) const;
template void transformer<>::read_each<dynamic_policies>(std::span<sequence_state* const>,
                                                         std::span<const token_id>,
                                                         dynamic_policies&) const;

}  // namespace xlens
