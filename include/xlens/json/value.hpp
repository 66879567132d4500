// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The one place that includes nlohmann's JSON: it costs a second and a half of compiling, which a
// program that reads no JSON does not pay.

#include <nlohmann/json.hpp>

namespace xlens {

/// A JSON value: null, a truth value, a number, a string, a list or an object.
using json_value = nlohmann::json;

}  // namespace xlens
