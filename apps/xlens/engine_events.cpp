// SPDX-License-Identifier: BSD-3-Clause
#include "engine_parts.hpp"

#include <xlens/events/events.hpp>
#include <xlens/storage/fingerprint.hpp>

#include <utility>

namespace xlens::program {

event_statistics engine::events(event_run run, const progress& report) const {
    run.model = fingerprint(m_parts->model.file().tensors());
    run.precision = m_parts->precision;
    return m_parts->model.model().visit(
        [&](const auto& model) { return xlens::events(model, text(), run, report); });
}

}  // namespace xlens::program
