// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/integer_blocks.hpp>

#include <array>
#include <cstddef>

// Where a row of rounded inputs (quantised_rows.hpp) has the codes q of its blocks of 32 elements,
// and what stands beside them: as integer products read them.

namespace xlens::kernels {

/// Eight blocks a step, each of which has a lane of eight floats: blocks 0 1 4 5 2 3 6 7, which is
/// what sums of neighbouring lanes make of two times four (integer_lanes.hpp). Where there are more
/// than a few positions, blocks stand lane by lane: those that come to lane 0, then those that come
/// to lane 1, as tiles of weights meet them (integer_tile.hpp).
class input_layout {
public:
    static constexpr std::size_t blocks_a_step = 8;
    static constexpr std::array<std::size_t, 8> lane_of{0, 1, 4, 5, 2, 3, 6, 7};
    static constexpr std::array<std::size_t, 8> block_of = lane_of;  // its own inverse
    /// Which of four blocks the 16 bytes at each place of code_lanes (integer_lanes.hpp) are of:
    /// with AVX2 two registers have the halves 0 and 2, and 1 and 3. Its own inverse.
#if XLENS_INTEGER_AVX2
    static constexpr std::array<std::size_t, 4> block_in_register{0, 2, 1, 3};
#else
    static constexpr std::array<std::size_t, 4> block_in_register{0, 1, 2, 3};
#endif

    /// Floats of a block: d, d·Σ q of all, of the first 16 and of the others; and 128·Σ q, an
    /// integer of four bytes, by which products are too large where codes are raised by 128.
    enum part { scale, sum, first_sum, second_sum, raised_sum, parts };

    input_layout(std::size_t blocks, std::size_t positions)
        : m_blocks(blocks), m_by_lanes(positions > blocking::few_integer_positions) {
        std::size_t begin = 0;
        for (std::size_t l = 0; l < blocks_a_step; ++l) {
            m_begin[l] = begin;
            begin += blocks_in_lane(l);
        }
    }

    /// Whether a row's last step is read whole.
    [[nodiscard]] bool reads_missing_blocks() const { return !m_by_lanes; }
    [[nodiscard]] std::size_t steps() const {
        return (m_blocks + blocks_a_step - 1) / blocks_a_step;
    }
    /// How many of the blocks come to a lane.
    [[nodiscard]] std::size_t blocks_in_lane(std::size_t lane) const {
        return (m_blocks + blocks_a_step - 1 - block_of[lane]) / blocks_a_step;
    }
    // From row to row there is a cache line more, so that rows of 4,096 elements, of which some are
    // read at once, do not all fall to the same few sets of level 1.
    [[nodiscard]] std::size_t codes_a_row() const { return places() * 32 + cache_line; }
    [[nodiscard]] std::size_t floats_a_row() const {
        return parts * places() + cache_line / sizeof(float);
    }
    /// Of element 0 or 16 of a block; 16 stand together.
    [[nodiscard]] std::size_t code_at(std::size_t block, std::size_t element) const {
        if (m_by_lanes) { return 32 * place(block) + element; }
        return block / 4 * 128 + element / 16 * 64 + block_in_register[block % 4] * 16;
    }
    [[nodiscard]] std::size_t float_at(std::size_t block, part what) const {
        return what * places() + place(block);
    }
    /// Of floats of one kind.
    [[nodiscard]] std::size_t places() const { return blocks_a_step * steps(); }
    [[nodiscard]] std::size_t place(std::size_t block) const {
        const std::size_t lane = lane_of[block % blocks_a_step];
        const std::size_t step = block / blocks_a_step;
        return m_by_lanes ? m_begin[lane] + step : step * blocks_a_step + lane;
    }

private:
    std::size_t m_blocks;
    bool m_by_lanes;
    std::array<std::size_t, blocks_a_step> m_begin;
};

}  // namespace xlens::kernels
