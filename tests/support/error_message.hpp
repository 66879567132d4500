// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <string>

namespace xlens::test {

/// What the xlens::error says that run() throws; "(no error)" where it throws none. Any other
/// exception passes through and fails the test.
template <class Run>
std::string error_message(Run&& run) {
    try {
        run();
    } catch (const error& e) { return e.what(); }
    return "(no error)";
}

}  // namespace xlens::test
