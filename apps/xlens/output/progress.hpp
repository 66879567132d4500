// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace xlens::program {

/// A bar on standard error, only where that is a terminal and once work has taken a second. It is
/// wiped off when the object goes.
class progress_bar {
public:
    explicit progress_bar(std::string label);
    ~progress_bar();
    progress_bar(const progress_bar&) = delete;
    progress_bar& operator=(const progress_bar&) = delete;

    void operator()(std::size_t done, std::size_t total);

private:
    using clock = std::chrono::steady_clock;

    std::string m_label;
    bool m_terminal;
    bool m_drawn = false;
    clock::time_point m_next;
};

}  // namespace xlens::program
