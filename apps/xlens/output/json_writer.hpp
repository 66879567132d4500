// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/json/writer.hpp>

#include <cstdio>
#include <string>
#include <string_view>

namespace xlens::program {

/// A JSON document on standard output, or in a text: a line, whole when the writer goes.
class json_writer : public xlens::json_writer {
public:
    json_writer()
        : xlens::json_writer(
              [](std::string_view part) { std::fwrite(part.data(), 1, part.size(), stdout); }) {}
    explicit json_writer(std::string& to) : xlens::json_writer(to) {}
    ~json_writer() { finish(); }
    json_writer(const json_writer&) = delete;
    json_writer& operator=(const json_writer&) = delete;
};

}  // namespace xlens::program
