// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "output/run_record.hpp"

#include <xlens/json/writer.hpp>

#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace xlens::program {

/// A JSON document on standard output, or in a text: a line, whole when the writer goes. With the
/// record of a run every outermost object says it in its last member.
class json_writer : public xlens::json_writer {
public:
    explicit json_writer(run_record run)
        : xlens::json_writer(
              [](std::string_view part) { std::fwrite(part.data(), 1, part.size(), stdout); }),
          m_run(std::move(run)) {}
    explicit json_writer(std::string& to) : xlens::json_writer(to) {}
    json_writer(std::string& to, run_record run) : xlens::json_writer(to), m_run(std::move(run)) {}
    ~json_writer() { finish(); }
    json_writer(const json_writer&) = delete;
    json_writer& operator=(const json_writer&) = delete;

    void begin_object() {
        ++m_open;
        xlens::json_writer::begin_object();
    }
    void end_object() {
        if (--m_open == 0 && m_run) { write_run(*this, *m_run); }
        xlens::json_writer::end_object();
    }

private:
    std::optional<run_record> m_run;
    std::size_t m_open = 0;  // objects
};

}  // namespace xlens::program
