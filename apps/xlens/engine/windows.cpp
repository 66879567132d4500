// SPDX-License-Identifier: BSD-3-Clause
#include "engine/windows.hpp"

#include "engine/read.hpp"

#include <xlens/core/error.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace xlens::program {

perplexity_windows windows_of(const engine& opened, const text_flags& how,
                              std::optional<std::size_t> window, std::optional<std::size_t> stride,
                              std::size_t context) {
    constexpr std::size_t usual = 1024;
    const std::size_t size = window.value_or(std::min(usual, context));
    if (size > context) {
        fail("--window: expected 2 to {}, the model's context, got {}", context, size);
    }
    std::vector<token_id> prefix = window_prefix(opened, how);
    if (size <= prefix.size()) {
        fail("--window: expected more than the {} tokens that begin it, got {}", prefix.size(),
             size);
    }
    const std::size_t room = size - prefix.size();
    const std::size_t every = stride.value_or(room);
    if (every > room) {
        fail("--stride: expected 1 to {}, the tokens that a window has room for, got {}", room,
             every);
    }
    perplexity_windows out(size, every);
    out.prefix = std::move(prefix);
    return out;
}

}  // namespace xlens::program
