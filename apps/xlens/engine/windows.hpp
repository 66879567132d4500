// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"

#include <xlens/generate/perplexity_windows.hpp>

#include <cstddef>
#include <optional>

namespace xlens::program {

/// The windows in which a text is read whose tokens are predicted: --window and --stride, or 1024
/// tokens that do not overlap, or `context`, the model's, where that is shorter. Throws
/// xlens::error naming the flag that does not fit.
[[nodiscard]] perplexity_windows windows_of(const engine& opened, const text_flags& how,
                                            std::optional<std::size_t> window,
                                            std::optional<std::size_t> stride, std::size_t context);

}  // namespace xlens::program
