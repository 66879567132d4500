// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/lens/vocabulary.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace xlens {

/// The k best tokens of residuals (N, D) in the model's vocabulary: logit_lens::read as a function,
/// so that rules are compiled once for all models.
using lens_read = std::function<std::vector<reading>(rows<const float>, std::size_t k)>;

/// The logit lens behind a linear lens, plain where that has no map for a layer.
class lens_reader {
public:
    lens_reader(lens_read plain, linear_lens lens)
        : m_plain(std::move(plain)), m_lens(std::move(lens)) {}

    [[nodiscard]] const linear_lens& lens() const { return m_lens; }
    [[nodiscard]] std::vector<reading> operator()(std::size_t layer, rows<const float> x,
                                                  std::size_t k) const {
        if (!m_lens.has(layer)) { return m_plain(x, k); }
        xt::xtensor<float, 2> read = x.tensor();
        m_lens.translate(layer, read);
        return m_plain(read, k);
    }

private:
    lens_read m_plain;
    linear_lens m_lens;
};

}  // namespace xlens
