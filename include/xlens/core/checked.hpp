// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>

namespace xlens {

/// a + b, or nothing where the sum does not fit.
template <std::unsigned_integral T>
constexpr std::optional<T> checked_add(T a, T b) {
    T out{};
    if (__builtin_add_overflow(a, b, &out)) { return std::nullopt; }
    return out;
}

/// a * b, or nothing where the product does not fit.
template <std::unsigned_integral T>
constexpr std::optional<T> checked_multiply(T a, T b) {
    T out{};
    if (__builtin_mul_overflow(a, b, &out)) { return std::nullopt; }
    return out;
}

}  // namespace xlens
