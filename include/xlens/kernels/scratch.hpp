// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <vector>

namespace xlens::kernels {

/// Memory of at least `count` floats that belongs to the calling thread and is reused from call to
/// call. `Purpose` is a tag type: two buffers in use at the same time need two tags.
template <class Purpose>
float* scratch(std::size_t count) {
    thread_local std::vector<float> buffer;
    if (buffer.size() < count) { buffer.resize(count); }
    return buffer.data();
}

}  // namespace xlens::kernels
