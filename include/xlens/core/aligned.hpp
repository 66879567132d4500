// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

namespace xlens {

inline constexpr std::size_t cache_line = 64;  // bytes

/// Memory that begins at a cache line. A batch that crosses two lines takes twice as long to load:
/// with AVX-512 that is every batch of memory that does not begin at one, an eighth of a product's
/// time. (xsimd's allocator would do; its headers take a second to compile where nothing else of it
/// is needed.)
template <class T>
struct aligned_allocator {
    using value_type = T;

    aligned_allocator() = default;
    template <class U>
    aligned_allocator(const aligned_allocator<U>&) {}  // NOLINT(google-explicit-constructor)

    [[nodiscard]] T* allocate(std::size_t count) {
        if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) {
            throw std::bad_array_new_length();
        }
        return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(cache_line)));
    }
    void deallocate(T* at, std::size_t) { ::operator delete(at, std::align_val_t(cache_line)); }
    template <class U>
    bool operator==(const aligned_allocator<U>&) const {
        return true;
    }
};
template <class T>
using aligned_vector = std::vector<T, aligned_allocator<T>>;
/// An xt::xtensor<float, 2> of such memory, for what products read.
using aligned_tensor = xt::xtensor<float, 2, XTENSOR_DEFAULT_LAYOUT, aligned_allocator<float>>;

template <class T>
struct aligned_deleter {
    void operator()(T* at) const { aligned_allocator<T>().deallocate(at, 0); }
};
/// An array of such memory.
template <class T>
using aligned_array = std::unique_ptr<T[], aligned_deleter<T>>;
/// One that is not written to at first.
template <class T>
[[nodiscard]] aligned_array<T> make_aligned_for_overwrite(std::size_t count) {
    static_assert(std::is_trivially_default_constructible_v<T>);
    return aligned_array<T>(aligned_allocator<T>().allocate(count));
}

[[nodiscard]] inline bool begins_cache_line(const void* at) {
    return reinterpret_cast<std::uintptr_t>(at) % cache_line == 0;
}

}  // namespace xlens
