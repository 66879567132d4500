// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <ostream>
#include <string>

namespace xlens::test {

/// One bad file of a table: what is wrong with it, its bytes, and what the reader must say after
/// the file's name.
struct malformed_file {
    std::string name;
    std::string bytes;
    std::string message;

    friend std::ostream& operator<<(std::ostream& out, const malformed_file& file) {
        return out << file.name;
    }
};

}  // namespace xlens::test
