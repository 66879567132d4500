// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/json/value.hpp>
#include <xlens/json/writer.hpp>

namespace xlens {

/// Writes a value that was read: members in the order of their keys, numbers with the shortest
/// decimals of the same bits, so that what is read and written twice is written the same. Of values
/// that a reader's limits on depth let through.
XLENS_API void write_value(json_writer& out, const json_value& value);

#if XLENS_DEFINES(json)

XLENS_API void write_value(json_writer& out, const json_value& value) {
    if (value.is_object()) {
        out.begin_object();
        for (const auto& [key, member] : value.object()) {
            out.key(key);
            write_value(out, member);
        }
        out.end_object();
    } else if (value.is_list()) {
        out.begin_array();
        for (const json_value& item : value.list()) { write_value(out, item); }
        out.end_array();
    } else if (value.is_string()) {
        out.value(value.string());
    } else {
        out.literal(value.text());
    }
}

#endif

}  // namespace xlens
