// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/matrix.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

namespace xlens::test {

/// A matrix and the bytes that it is stored in, at any alignment.
template <class Format>
class stored_matrix {
public:
    stored_matrix(std::size_t stored_rows, std::size_t stored_cols, std::uint32_t seed,
                  std::size_t shift = 0, bool transposed = false)
        : m_bytes(shift + stored_rows * matrix<Format>::row_bytes(stored_cols)),
          m_shift(shift),
          m_rows(stored_rows),
          m_cols(stored_cols),
          m_transposed(transposed) {
        fill(seed);
    }
    [[nodiscard]] matrix<Format> view() const {
        return {m_bytes.data() + m_shift, m_rows, m_cols, m_transposed};
    }

    /// Sets each binary16 scale of whole blocks to these bits; of mxfp4, whose scale is none, to
    /// 2^-7.
    static void set_scales(std::span<std::byte> blocks, std::uint16_t bits) {
        for (std::size_t b = 0; b < blocks.size(); b += Format::bytes) {
            for (const std::size_t at : scale_offsets()) {
                std::memcpy(&blocks[b + at], &bits, sizeof bits);
            }
            if (Format::name == "mxfp4") { blocks[b] = std::byte{0x78}; }
        }
    }

private:
    // Floats are random normals. Blocks are random bits whose scales, two bytes of f16 each, have
    // exponents near 1: any other bits are valid codes.
    void fill(std::uint32_t seed) {
        std::mt19937 generator(seed);
        std::byte* data = m_bytes.data() + m_shift;
        const std::size_t size = m_bytes.size() - m_shift;
        if constexpr (Format::block == 1) {
            std::normal_distribution<float> normal;
            for (std::size_t i = 0; i < size; i += Format::bytes) {
                put(data + i, normal(generator));
            }
            return;
        }
        for (std::size_t i = 0; i < size; ++i) { data[i] = static_cast<std::byte>(generator()); }
        for (std::size_t b = 0; b + Format::bytes <= size; b += Format::bytes) {
            if (Format::name == "mxfp4") {
                data[b] = (data[b] & std::byte{7}) | std::byte{0x78};  // 2^-7 to 1
            }
            if (Format::name == "iq1_m") {  // the top of its scale
                data[b + 55] = (data[b + 55] & std::byte{0x8F}) | std::byte{0x20};
            }
            for (const std::size_t at : scale_offsets()) { small_scale(data + b + at, generator); }
        }
    }
    static std::vector<std::size_t> scale_offsets() {
        if (Format::name == "mxfp4" || Format::name == "nvfp4" || Format::name == "iq1_m") {
            return {};
        }
        if (Format::name == "q6_k") { return {208}; }
        if (Format::name == "q3_k") { return {108}; }
        if (Format::name == "q2_k") { return {80, 82}; }
        if (Format::name == "tq1_0") { return {52}; }
        if (Format::name == "tq2_0") { return {64}; }
        if (Format::name == "q4_1" || Format::name == "q5_1" || Format::name == "q4_k" ||
            Format::name == "q5_k") {
            return {0, 2};
        }
        return {0};
    }
    static void small_scale(std::byte* at, std::mt19937& generator) {
        const auto bits = static_cast<std::uint16_t>(0x2400U | (generator() & 0x83ffU));
        std::memcpy(at, &bits, sizeof bits);
    }
    static void put(std::byte* at, float value) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, &value, sizeof bits);
        if constexpr (Format::name == "f32") {
            std::memcpy(at, &bits, sizeof bits);
        } else if constexpr (Format::name == "bf16") {
            const auto high = static_cast<std::uint16_t>(bits >> 16U);
            std::memcpy(at, &high, sizeof high);
        } else {
            // f16 with the float's sign and fraction, of a size near 1.
            const auto half = static_cast<std::uint16_t>(((bits >> 16U) & 0x8000U) | 0x3400U |
                                                         ((bits >> 13U) & 0x03ffU));
            std::memcpy(at, &half, sizeof half);
        }
    }

    std::vector<std::byte> m_bytes;
    std::size_t m_shift;
    std::size_t m_rows;
    std::size_t m_cols;
    bool m_transposed;
};

/// A matrix<f32> over the elements of a row-major (rows, cols) vector, which it borrows.
inline matrix<f32> matrix_of(const std::vector<float>& values, std::size_t rows, std::size_t cols) {
    return {reinterpret_cast<const std::byte*>(values.data()), rows, cols};
}

}  // namespace xlens::test
