// SPDX-License-Identifier: BSD-3-Clause
#include "engine_parts.hpp"

#include <xlens/concepts/cluster_values.hpp>
#include <xlens/storage/fingerprint.hpp>

namespace xlens::program {

cluster_report engine::cluster(const cluster_options& options, const progress& report) const {
    return m_parts->model.model().visit([&](const auto& model) {
        return cluster_values(model, fingerprint(m_parts->model.file().tensors()), options, report);
    });
}

}  // namespace xlens::program
