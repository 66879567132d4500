// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <future>
#include <system_error>

namespace xlens {

/// Work on a thread of its own, one piece at a time, beside what the caller does next: a disk takes
/// seconds for what a program has handed over in a tenth of one. Destroyed, it waits.
class later_work {
public:
    /// Begins `work`, once the one before is done; does it at once where there is no thread to be
    /// had. Throws what the one before threw.
    void begin(const std::function<void()>& work) {
        wait();
        try {
            m_running = std::async(std::launch::async, work);
        } catch (const std::system_error&) { work(); }
    }
    /// Until everything begun is done. Throws what it threw.
    void wait() {
        if (m_running.valid()) { m_running.get(); }
    }

private:
    std::future<void> m_running;
};

}  // namespace xlens
