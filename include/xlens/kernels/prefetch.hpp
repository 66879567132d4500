// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/kernels/blocking.hpp>

#include <cstddef>

namespace xlens::kernels {

/// Asks for `bytes` of memory into level 2; what is not there does no harm.
/// Inline always: a call of a function that only prefetches would be removed as one without effects.
[[gnu::always_inline]] inline void prefetch(const void* from, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += blocking::cache_line) {
        __builtin_prefetch(static_cast<const std::byte*>(from) + i, 0, blocking::prefetch_level_2);
    }
}

}  // namespace xlens::kernels
