// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

namespace xlens {

/// A borrowed (count, width) block of rows, each contiguous, `stride` elements apart. What kernels
/// and policies work on: one row a position. Any xt::xtensor<float, 2> converts to it, whatever its
/// allocator, and
/// `tensor()` gives it back as an xtensor expression. Like std::span, it owns nothing.
template <class T>
class rows {
public:
    using value_type = std::remove_const_t<T>;
    template <class Allocator>
    using tensor_in = xt::xtensor<value_type, 2, XTENSOR_DEFAULT_LAYOUT, Allocator>;

    rows() = default;
    rows(T* data, std::size_t count, std::size_t width) : rows(data, count, width, width) {}
    rows(T* data, std::size_t count, std::size_t width, std::size_t stride)
        : m_data(data), m_count(count), m_width(width), m_stride(stride) {}

    // NOLINTBEGIN(google-explicit-constructor): borrowing a tensor is what this type is for.
    template <class Allocator>
    rows(tensor_in<Allocator>& t) : rows(t.data(), t.shape(0), t.shape(1)) {}
    template <class Allocator>
        requires std::is_const_v<T>
    rows(const tensor_in<Allocator>& t) : rows(t.data(), t.shape(0), t.shape(1)) {}
    template <class U>
        requires(std::is_const_v<T> && std::is_same_v<U, value_type>)
    rows(const rows<U>& other) : rows(other.data(), other.count(), other.width(), other.stride()) {}
    // NOLINTEND(google-explicit-constructor)

    /// Refused: the tensor would be gone before the rows are read. Name the tensor first.
    template <class Allocator>
    rows(tensor_in<Allocator>&&) = delete;

    [[nodiscard]] T* data() const { return m_data; }
    [[nodiscard]] std::size_t count() const { return m_count; }
    [[nodiscard]] std::size_t width() const { return m_width; }
    [[nodiscard]] std::size_t stride() const { return m_stride; }

    [[nodiscard]] std::span<T> operator[](std::size_t i) const {
        return {m_data + i * m_stride, m_width};
    }
    /// Rows [first, first + count).
    [[nodiscard]] rows subrows(std::size_t first, std::size_t count) const {
        return {m_data + first * m_stride, count, m_width, m_stride};
    }
    /// Columns [first, first + width) of every row.
    [[nodiscard]] rows columns(std::size_t first, std::size_t width) const {
        return {m_data + first, m_count, width, m_stride};
    }

    /// The same memory as a strided xtensor expression of shape (count, width).
    [[nodiscard]] auto tensor() const {
        return xt::adapt(m_data, m_count * m_stride, xt::no_ownership(),
                         std::array<std::size_t, 2>{m_count, m_width},
                         std::array<std::size_t, 2>{m_stride, 1});
    }

private:
    T* m_data = nullptr;
    std::size_t m_count = 0;
    std::size_t m_width = 0;
    std::size_t m_stride = 0;
};

/// One contiguous row as a (1, width) block.
inline rows<float> as_rows(std::span<float> x) { return {x.data(), 1, x.size()}; }
inline rows<const float> as_rows(std::span<const float> x) { return {x.data(), 1, x.size()}; }

}  // namespace xlens
