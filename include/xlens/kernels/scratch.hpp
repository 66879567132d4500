// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>

#include <cstddef>

namespace xlens::kernels {

/// Memory of at least `count` floats that belongs to the calling thread, begins at a cache line and
/// is reused from call to call. `Purpose` is a tag type: two buffers in use at the same time need
/// two tags.
template <class Purpose>
float* scratch(std::size_t count) {
    thread_local aligned_vector<float> buffer;
    if (buffer.size() < count) { buffer.resize(count); }
    return buffer.data();
}

}  // namespace xlens::kernels
