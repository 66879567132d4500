// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
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

/// A value that spares those who ask for it some time, computed for the n-th of them: by then they
/// have lost about as much without it as it costs.
template <class T>
class lazy_in_time {
public:
    lazy_in_time() = default;
    lazy_in_time(const lazy_in_time& other)
        : m_value(other.m_value), m_asked(other.m_asked.load(std::memory_order_relaxed)) {}
    lazy_in_time& operator=(const lazy_in_time& other) {
        if (this != &other) {
            m_value = other.m_value;
            m_asked.store(other.m_asked.load(std::memory_order_relaxed), std::memory_order_relaxed);
        }
        return *this;
    }
    ~lazy_in_time() = default;

    /// The value, or null for the first n - 1 who ask.
    template <class Compute>
    const T* get(std::size_t n, Compute&& compute) const {
        if (!m_value.ready() && m_asked.fetch_add(1, std::memory_order_relaxed) + 1 < n) {
            return nullptr;
        }
        return &m_value.get(std::forward<Compute>(compute));
    }

private:
    lazy<T> m_value;
    mutable std::atomic<std::size_t> m_asked = 0;
};

}  // namespace xlens
