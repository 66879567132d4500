// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/io/float8_config.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// Weights of 8 bits whose scales stand in tensors of their own become rows of codes with their
// scales between them (f8_e4m3_scaled): the one copy of weights that loading makes, 36 bytes for 32
// of them. An element is the product of both, rounded once to f32, as in torch.

namespace xlens::detail {

/// 36 bytes for each 32 codes.
using scaled_weights = std::vector<std::vector<std::byte>>;

/// Rows and columns that share a scale, and how many there are.
struct scale_grid {
    std::size_t block_rows, block_cols, rows, cols;
};
inline scale_grid grid_of(const stored_tensor& w, const float8_scheme& scheme) {
    const auto name = printable(w.name);
    if (w.shape.size() != 2) {
        fail("{}: {}: expected a matrix of 8-bit floats, got {} dimensions", w.file, name,
             w.shape.size());
    }
    const std::size_t rows = scheme.rows == 0 ? std::max<std::size_t>(1, w.shape[0]) : scheme.rows;
    const std::size_t cols = scheme.cols == 0 ? std::max<std::size_t>(1, w.shape[1]) : scheme.cols;
    constexpr std::size_t together = f8_e4m3_scaled::block;
    if (w.shape[1] % together != 0) {
        fail("{}: {}: expected rows of a multiple of {} 8-bit floats, got {}", w.file, name,
             together, w.shape[1]);
    }
    if (cols % together != 0 && cols < w.shape[1]) {
        fail("{}: {}: expected scales of a multiple of {} columns, got {}", w.file, name, together,
             cols);
    }
    return {rows, cols, w.shape[0] / rows + (w.shape[0] % rows != 0 ? 1 : 0),
            w.shape[1] / cols + (w.shape[1] % cols != 0 ? 1 : 0)};
}

/// The scales as floats, row by row of the grid. One for all may be a scalar or a vector of one,
/// one a row a vector.
inline std::vector<float> read_scales(const stored_tensor& t, const scale_grid& grid) {
    const std::vector<std::size_t> expected{grid.rows, grid.cols};
    const bool alone = grid.rows == 1 && grid.cols == 1 &&
                       (t.shape.empty() || t.shape == std::vector<std::size_t>{1});
    const bool a_row = grid.cols == 1 && t.shape == std::vector{grid.rows};
    if (t.shape != expected && !alone && !a_row) {
        fail("{}: {}: expected scales ({}), got ({})", t.file, printable(t.name),
             joined(expected, ", "), joined(t.shape, ", "));
    }
    if (format_block(t.format) != 1 || format_bytes(t.format) == 1) {
        fail("{}: {}: expected scales in F32, F16 or BF16, got {}", t.file, printable(t.name),
             format_name(t.format));
    }
    std::vector<float> out(grid.rows * grid.cols);
    row_format_of(t.format).decode(t.data, out);
    return out;
}

inline std::vector<std::byte> with_scales(const stored_tensor& w, const scale_grid& grid,
                                          const std::vector<float>& scales) {
    using stored = f8_e4m3_scaled;
    const std::size_t blocks = w.shape[1] / stored::block;
    std::vector<std::byte> out(w.shape[0] * blocks * stored::bytes);
    parallel_for(w.shape[0], w.shape[1], [&](std::size_t r) {
        const std::byte* from = w.data + r * w.shape[1];
        std::byte* to = out.data() + r * blocks * stored::bytes;
        for (std::size_t b = 0; b < blocks; ++b, from += stored::block, to += stored::bytes) {
            const float scale =
                scales[r / grid.block_rows * grid.cols + b * stored::block / grid.block_cols];
            std::memcpy(to, &scale, sizeof scale);
            std::memcpy(to + sizeof scale, from, stored::block);
        }
    });
    return out;
}

/// Gives every tensor of 8-bit floats its scales, whose tensors are then gone: what is left of
/// scales, no one reads, and the checkpoint is refused for it. `skipped` is what the readers kept
/// aside, for messages. The result is what the tensors then point to.
inline scaled_weights apply_scales(tensor_map& tensors,
                                   const std::map<std::string, std::string, std::less<>>& skipped,
                                   const float8_scheme& scheme) {
    scaled_weights out;
    std::vector<std::string> used;
    for (auto& [name, w] : tensors) {
        if (w.format == format_id::f8_e5m2) {
            fail("{}: {}: expected F8_E4M3 for weights with scales, got F8_E5M2", w.file,
                 printable(name));
        }
        if (w.format != format_id::f8_e4m3) { continue; }
        const std::string of_scales = name + std::string(scheme.suffix);
        const auto found = tensors.find(of_scales);
        if (found == tensors.end()) {
            const auto aside = skipped.find(of_scales);
            fail("{}: {}: {} without scales: expected a tensor '{}' in F32, F16 or BF16, got {}",
                 w.file, printable(name), "F8_E4M3", printable(of_scales),
                 aside == skipped.end() ? "none" : aside->second);
        }
        const scale_grid grid = grid_of(w, scheme);
        out.push_back(with_scales(w, grid, read_scales(found->second, grid)));
        w.format = format_id::f8_e4m3_scaled;
        w.data = out.back().data();
        w.bytes = out.back().size();
        used.push_back(of_scales);
    }
    for (const std::string& name : used) { tensors.erase(name); }
    return out;
}

}  // namespace xlens::detail
