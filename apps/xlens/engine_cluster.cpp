// SPDX-License-Identifier: BSD-3-Clause
#include "engine_parts.hpp"

#include <xlens/concepts/cluster_values.hpp>
#include <xlens/storage/fingerprint.hpp>

namespace xlens::program {

cluster_report engine::cluster(const cluster_options& options, const progress& report) const {
    const auto& model = m_parts->model;
    return cluster_values(model, m_parts->model.fingerprint(), options, report);
}

}  // namespace xlens::program
