// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/atomic_file.hpp>

#include <future>
#include <memory>
#include <system_error>
#include <utility>

namespace xlens {

/// Commits atomic files, one at a time, beside what the caller does next: a disk takes seconds for
/// what a program has handed over in a tenth of one. Destroyed, it waits.
class later_commit {
public:
    /// Begins to commit `file`, once the one before is done. Throws xlens::error if either cannot
    /// be written.
    void begin(std::unique_ptr<atomic_file> file) {
        wait();
        file->give_rights();
        // Shared, for where there is no thread to be had.
        const std::shared_ptr<atomic_file> kept = std::move(file);
        try {
            m_running = std::async(std::launch::async, [kept] { kept->put_in_place(); });
        } catch (const std::system_error&) { kept->put_in_place(); }
    }
    /// Until everything begun is on the disk, under its name. Throws xlens::error if it cannot be.
    void wait() {
        if (m_running.valid()) { m_running.get(); }
    }

private:
    std::future<void> m_running;
};

}  // namespace xlens
