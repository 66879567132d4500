// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/xtensor.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace xlens {

inline constexpr std::size_t cache_line = 64;  // bytes

/// Memory that begins at a cache line. A batch that crosses two lines takes twice as long to load:
/// with AVX-512 that is every batch of memory that does not begin at one, an eighth of a product's
/// time.
template <class T>
using aligned_allocator = xsimd::aligned_allocator<T, cache_line>;
template <class T>
using aligned_vector = std::vector<T, aligned_allocator<T>>;
/// An xt::xtensor<float, 2> of such memory, for what products read.
using aligned_tensor = xt::xtensor<float, 2, XTENSOR_DEFAULT_LAYOUT, aligned_allocator<float>>;

[[nodiscard]] inline bool begins_cache_line(const void* at) {
    return reinterpret_cast<std::uintptr_t>(at) % cache_line == 0;
}

}  // namespace xlens
