// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>
#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/precision.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace xlens {

/// The nearest binary16 of a finite x >= 0, of two the even one; the largest for what is beyond.
[[nodiscard]] inline std::uint16_t nearest_half(float x) {
    constexpr float largest = 65504.0F;
    constexpr std::uint32_t rebias = (127U - 15U) << 23U;
    if (x >= largest) { return 0x7BFFU; }
    if (x < 0x1p-14F) { return static_cast<std::uint16_t>(std::nearbyint(x * 0x1p24F)); }
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t half_a_step = 0xFFFU + ((bits >> 13U) & 1U);
    return static_cast<std::uint16_t>((bits + half_a_step - rebias) >> 13U);
}

/// A matrix of our own making in 8 bits (q8_0: 32 elements share the scale d = max|w|/127, so that
/// each is off by d/2 and what rounds d), a quarter of its memory, multiplied in integers where the
/// build can (precision::native). Rows of other widths than multiples of 32 stay f32.
class rounded_matrix {
public:
    rounded_matrix() = default;
    /// Finite values w (rows, cols).
    explicit rounded_matrix(xlens::rows<const float> w) : m_rows(w.count()), m_cols(w.width()) {
        m_bytes.resize(m_rows * row_bytes());
        for (std::size_t r = 0; r < m_rows; ++r) {
            std::byte* to = m_bytes.data() + r * row_bytes();
            rounds() ? round_row(w[r], to) : store(w[r], to);
        }
    }

    [[nodiscard]] std::size_t rows() const { return m_rows; }
    [[nodiscard]] std::size_t cols() const { return m_cols; }
    /// Borrows.
    [[nodiscard]] any_matrix view() const {
        return {rounds() ? format_id::q8_0 : format_id::f32,
                m_bytes.data(),
                m_rows,
                m_cols,
                false,
                precision::native};
    }

private:
    [[nodiscard]] bool rounds() const { return m_cols % q8_0::block == 0; }
    [[nodiscard]] std::size_t row_bytes() const {
        return rounds() ? matrix<q8_0>::row_bytes(m_cols) : matrix<f32>::row_bytes(m_cols);
    }
    static void store(std::span<const float> w, std::byte* to) {
        std::memcpy(to, w.data(), w.size_bytes());
    }
    static void round_row(std::span<const float> w, std::byte* to) {
        for (std::size_t i = 0; i < w.size(); i += q8_0::block, to += q8_0::bytes) {
            const std::span<const float> block = w.subspan(i, q8_0::block);
            float largest = 0.0F;
            for (const float v : block) { largest = std::max(largest, std::abs(v)); }
            const std::uint16_t half = nearest_half(largest / 127.0F);
            const float scale = half_to_float(half);
            std::memcpy(to, &half, sizeof half);
            for (std::size_t k = 0; k < q8_0::block; ++k) {
                const float code = scale > 0.0F ? std::nearbyint(block[k] / scale) : 0.0F;
                const auto byte = static_cast<std::int8_t>(std::clamp(code, -127.0F, 127.0F));
                to[sizeof half + k] = static_cast<std::byte>(byte);
            }
        }
    }

    std::size_t m_rows = 0;
    std::size_t m_cols = 0;
    std::vector<std::byte> m_bytes;
};

}  // namespace xlens
