// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

namespace xlens {

/// A value computed the first time it is asked for, once, also when several threads ask. A copy
/// takes the value along if it is there.
template <class T>
class lazy {
public:
    lazy() = default;
    lazy(const lazy& other) : m_value(other.snapshot()), m_ready(m_value.has_value()) {}
    lazy& operator=(const lazy& other) {
        if (this != &other) {
            std::optional<T> copy = other.snapshot();
            const std::scoped_lock lock(m_mutex);
            m_value = std::move(copy);
            m_ready.store(m_value.has_value(), std::memory_order_release);
        }
        return *this;
    }
    ~lazy() = default;

    /// Whether the value is there.
    [[nodiscard]] bool ready() const { return m_ready.load(std::memory_order_acquire); }
    /// The value; `compute()` makes it on the first call.
    template <class Compute>
    const T& get(Compute&& compute) const {
        if (!ready()) {
            const std::scoped_lock lock(m_mutex);
            if (!m_value) { m_value.emplace(std::forward<Compute>(compute)()); }
            m_ready.store(true, std::memory_order_release);
        }
        return *m_value;
    }

private:
    std::optional<T> snapshot() const {
        const std::scoped_lock lock(m_mutex);
        return m_value;
    }

    mutable std::mutex m_mutex;
    mutable std::optional<T> m_value;
    mutable std::atomic<bool> m_ready = false;
};

}  // namespace xlens
