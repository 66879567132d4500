// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>

#include <cstddef>

// The sizes by which every product is cut up, in one place. Registers: AVX-512 has 32, AVX2 and SSE
// have 16. A level-1 cache is taken to hold 32 KiB, a level-2 cache 512 KiB or more.

namespace xlens::kernels::blocking {

inline constexpr bool many_registers = lanes >= 16;

/// Register block of y = W·x with many positions: rows × positions accumulators, beside a batch of
/// each row and one of x.
inline constexpr std::size_t dot_rows = many_registers ? 6 : 3;
inline constexpr std::size_t dot_positions = 4;
/// The same where 16 registers are all there are, from so many positions on (fewer do not pay for
/// packing the rows): batches of rows × positions accumulators, and such blocks of positions that
/// pass by a lane's part of the rows while it stays in level 1. Measured on Zen 3, 2 threads:
/// 512×576×49152 in nine tenths of the time of the blocks above; with 64 positions in more.
inline constexpr bool panels = !many_registers;
inline constexpr std::size_t panel_batches = 2;
inline constexpr std::size_t panel_positions = 6;
inline constexpr std::size_t panels_together = 4;
inline constexpr std::size_t least_packed_positions = 96;
/// Rows with one position: as many sums as fold into one batch.
inline constexpr std::size_t dot_rows_of_one = many_registers ? 16 : 8;

/// Rows that meet one position together, as many sums as hide the latency of a multiply-add; fewer
/// where decoding blocks gives the processor other work.
template <class Format>
inline constexpr std::size_t matvec_rows = Format::block == 1 ? 8 : 4;

/// A product with one position reads memory once, in short runs that the processor's own
/// prefetching is slow to follow: the rows that come this many groups of rows later are asked for,
/// into level 2. Measured on Zen 4 from memory, 2 threads: q8_0 from 7 to 34 GB/s.
inline constexpr std::size_t prefetch_groups = 4;
inline constexpr int prefetch_level_2 = 2;  // the locality argument of __builtin_prefetch

/// Elements of a row between two foldings of the lanes of a sum: dot_rows + dot_positions runs of
/// this depth fill level 1. A multiple of every format's block.
inline constexpr std::size_t depth = 768;

/// Rows of W that one task computes, and that are decoded together where there is more than one
/// position: dot_tile_rows × depth floats stay in level 2 while all positions pass by.
inline constexpr std::size_t dot_tile_rows = 48;
/// Positions that pass by dot_rows of them, which stay in level 1, before the next dot_rows come.
inline constexpr std::size_t dot_tile_positions = 64;
/// With a few positions, which wait for memory as one does, a smaller tile that stays in level 1.
/// Measured on Zen 4, SmolLM2 in q4_1, 2 threads: 2 positions in 1.3 of the time of one, 4 in 1.6;
/// with the large tile it was 1.8 and 1.8.
inline constexpr std::size_t few_positions = 16;
inline constexpr std::size_t dot_tile_rows_of_few = dot_rows;

/// Rows of W that one task of integer products computes: whole tiles of turned rows
/// (integer_turned.hpp), of two registers each.
inline constexpr std::size_t integer_tile_rows = many_registers ? 32 : 48;
/// Positions that turned rows meet together.
inline constexpr std::size_t integer_positions = many_registers ? 6 : 4;
/// Positions up to which rows are multiplied as they are stored; with more, they are turned so that
/// each has a lane.
inline constexpr std::size_t few_integer_positions = 4;
/// One row comes after another, and memory is asked for this many bytes ahead.
inline constexpr std::size_t integer_ahead = 8192;

/// Register block of y = Wᵀ·x: batches of columns × positions accumulators.
inline constexpr std::size_t sum_batches = many_registers ? 4 : 2;
inline constexpr std::size_t sum_positions = 6;
/// Rows of W that are decoded together for these columns.
inline constexpr std::size_t sum_tile_rows = 256;

/// Queries of a head that attention takes together: a multiple of both register blocks.
inline constexpr std::size_t attention_positions = 24;
/// Keys (values) that fewer than dot_positions queries meet while the next are on their way.
inline constexpr std::size_t few_queries_keys = 24;
/// Keys from which on one query's scores are worth a parallel loop of their own.
inline constexpr std::size_t many_keys = 384;

}  // namespace xlens::kernels::blocking
