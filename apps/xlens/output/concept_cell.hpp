// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "output/table_line.hpp"

#include <cstddef>

namespace xlens {
struct token_ends;
}

namespace xlens::program {

/// What a sub-update m·v promotes: what v does, or where m < 0 what v suppresses, after a minus
/// sign. At most `top` tokens, as many as fit the page; `marked` stands out.
void put_concept(table_line& line, const engine& model, const token_ends& value, bool negative,
                 std::size_t top, token_id marked);

}  // namespace xlens::program
