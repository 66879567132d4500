// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>

#include <array>
#include <cstddef>

namespace xlens::detail {

/// How xtensor walks over a sub_updates expression `E`, in the place of its own xindexed_stepper:
/// that one stands, at the end of an expression, one past the last index of every dimension, so
/// that a step back from there reads past the last row (xtensor 0.24 and 0.25); and it steps along
/// a dimension of one element that is broadcast.
template <class E>
class row_stepper {
public:
    using value_type = float;
    using reference = float;
    using pointer = const float*;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using shape_type = std::array<std::size_t, 2>;

    row_stepper() = default;
    /// At the beginning. Dimensions before `offset` are those of a broadcast: no step of ours.
    row_stepper(const E* e, std::size_t offset) : m_e(e), m_offset(offset) {}
    /// At the end of a walk by rows or by columns.
    row_stepper(const E* e, std::size_t offset, xt::layout_type layout) : row_stepper(e, offset) {
        to_end(layout);
    }

    float operator*() const { return m_e->unchecked(m_index[0], m_index[1]); }

    void step(std::size_t dimension, std::size_t n = 1) {
        if (moves(dimension)) { m_index[dimension - m_offset] += n; }
    }
    void step_back(std::size_t dimension, std::size_t n = 1) {
        if (moves(dimension)) { m_index[dimension - m_offset] -= n; }
    }
    void reset(std::size_t dimension) {
        if (moves(dimension)) { m_index[dimension - m_offset] = 0; }
    }
    void reset_back(std::size_t dimension) {
        if (moves(dimension)) { m_index[dimension - m_offset] = last(dimension - m_offset); }
    }
    void to_begin() { m_index = {0, 0}; }
    /// One step after the last element: along its row, or its column.
    void to_end(xt::layout_type layout) {
        m_index = {last(0), last(1)};
        step(layout == xt::layout_type::column_major ? 0 : m_offset + 1);
    }

private:
    [[nodiscard]] std::size_t last(std::size_t d) const {
        const std::size_t size = m_e->shape()[d];
        return size == 0 ? 0 : size - 1;
    }
    [[nodiscard]] bool moves(std::size_t dimension) const {
        return dimension >= m_offset && m_e->shape()[dimension - m_offset] != 1;
    }

    const E* m_e = nullptr;
    std::size_t m_offset = 0;
    std::array<std::size_t, 2> m_index{};
};

}  // namespace xlens::detail
