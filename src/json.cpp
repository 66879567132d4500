// SPDX-License-Identifier: BSD-3-Clause
// The compiled library's part for json/ (core/compiled.hpp).
#define XLENS_BUILDING_json 1
#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/json/value.hpp>
#include <xlens/json/write_value.hpp>
#include <xlens/json/writer.hpp>
