// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/kernels/top_k.hpp>

#include <ostream>

namespace xlens {

/// In the namespace of `scored`, where Boost.Test looks for a way to print what differs.
inline std::ostream& operator<<(std::ostream& out, const scored& s) {
    return out << s.id << ':' << s.score;
}

}  // namespace xlens
