// SPDX-License-Identifier: BSD-3-Clause
#include "engine_parts.hpp"

#include <xlens/events/events.hpp>
#include <xlens/storage/fingerprint.hpp>

#include <utility>

namespace xlens::program {

event_statistics engine::events(event_run run, const progress& report) const {
    run.model = m_parts->model.fingerprint();
    run.precision = m_parts->precision;
    return xlens::events(m_parts->model, text(), run, report);
}

}  // namespace xlens::program
