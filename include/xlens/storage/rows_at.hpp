// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <span>

namespace xlens {

/// Row i is x[which[i]].
inline xt::xtensor<float, 2> rows_at(rows<const float> x, std::span<const std::size_t> which) {
    xt::xtensor<float, 2> out = xt::empty<float>({which.size(), x.width()});
    for (std::size_t i = 0; i < which.size(); ++i) {
        std::ranges::copy(x[which[i]], rows<float>(out)[i].begin());
    }
    return out;
}

}  // namespace xlens
