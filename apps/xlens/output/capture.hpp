// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace xlens {
class json_writer;
struct capture_result;
}  // namespace xlens

namespace xlens::program {

/// {"folder", "sequences", "rows", "bytes", "arrays": [{"name", "dtype", "shape"}], "files": [..]}:
/// members of the object that is open.
void write_capture(xlens::json_writer& out, const std::string& folder,
                   const capture_result& result);
void print_capture(const std::string& folder, const capture_result& result);

}  // namespace xlens::program
