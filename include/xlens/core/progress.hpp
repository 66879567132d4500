// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <utility>

namespace xlens {

/// Told how far long work is: called with what is done and the total, in units that the work names.
/// An empty one is told nothing.
class progress_function {
public:
    progress_function() = default;
    template <std::invocable<std::size_t, std::size_t> Function>
    progress_function(Function f)  // NOLINT(google-explicit-constructor): it is one
        : m_function(std::move(f)) {}

    void operator()(std::size_t done, std::size_t total) const {
        if (m_function) { m_function(done, total); }
    }

private:
    std::function<void(std::size_t, std::size_t)> m_function;
};

}  // namespace xlens
