// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/lens/reading.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <algorithm>
#include <memory>
#endif

namespace xlens::early_exit {

/// The k best tokens of residuals (N, D) in the model's vocabulary: logit_lens::read as a function,
/// so that rules are compiled once for all models.
using lens_read = std::function<std::vector<reading>(rows<const float>, std::size_t k)>;

/// A lens that keeps its last answer, so that rules that read the same residuals one after the
/// other cost one unembedding: what is asked for again, or in part, row by row in the same order,
/// with as many tokens or fewer, is not read again. Copies share what is kept. Always two tokens or
/// more.
XLENS_API lens_read remembering(lens_read read);

/// The logit lens behind a linear lens, plain where that has no map for a layer.
class lens_reader {
public:
    lens_reader(lens_read plain, linear_lens lens)
        : m_plain(std::move(plain)), m_lens(std::move(lens)) {}

    [[nodiscard]] const linear_lens& lens() const { return m_lens; }
    [[nodiscard]] std::vector<reading> operator()(std::size_t layer, rows<const float> x,
                                                  std::size_t k) const;

private:
    lens_read m_plain;
    linear_lens m_lens;
};

#if XLENS_DEFINES(early_exit)

XLENS_API lens_read remembering(lens_read read) {
    struct answer {
        xt::xtensor<float, 2> x;
        std::vector<reading> readings;
        std::size_t k = 0;
    };
    const auto find = [](const answer& a, rows<const float> x, std::vector<reading>& out) {
        std::size_t row = 0;
        for (std::size_t n = 0; n < x.count(); ++n, ++row) {
            const rows<const float> kept = a.x;
            while (row < kept.count() && !std::ranges::equal(kept[row], x[n])) { ++row; }
            if (row == kept.count()) { return false; }
            out.push_back(a.readings[row]);
        }
        return true;
    };
    return [read = std::move(read), find, last = std::make_shared<answer>()](rows<const float> x,
                                                                             std::size_t k) {
        std::vector<reading> out;
        if (last->k >= k && last->x.shape(1) == x.width() && find(*last, x, out)) { return out; }
        last->k = std::max<std::size_t>(k, 2);
        last->readings = read(x, last->k);
        last->x = x.tensor();
        return last->readings;
    };
}

XLENS_API std::vector<reading> lens_reader::operator()(std::size_t layer, rows<const float> x,
                                                       std::size_t k) const {
    if (!m_lens.has(layer)) { return m_plain(x, k); }
    xt::xtensor<float, 2> read = x.tensor();
    m_lens.translate(layer, read);
    return m_plain(read, k);
}

#endif

}  // namespace xlens::early_exit
