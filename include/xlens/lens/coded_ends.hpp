// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/kernels/integer_scan.hpp>
#include <xlens/lens/coded_vocabulary.hpp>
#include <xlens/lens/ends_search.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <vector>

// The two ends of E·v for many vectors v, exactly, by 16-bit codes. lens/screen.hpp does the same
// in 8 bits, with half the bytes, which is what counts for a few vectors. Of many, where an
// instruction for 8 bits must not add more than two products (AVX2 without VNNI), 16 bits are as
// fast, and bounds are so close that hardly a token is scored in vain.

namespace xlens {

/// Whether many vectors are better looked over in 16 bits than in 8.
inline constexpr bool coded_ends_win = coded_vocabulary::wins && kernels::narrow_scan;

/// The k tokens that score highest and lowest by E·v_n, for each row of v (N, D): what a scan of
/// all scores gives, bit for bit, if e.bounded() and every row of v is shorter than largest_norm.
/// Cost N·V·D multiply-adds of 16-bit integers and D in f32 for every candidate.
inline std::vector<token_ends> coded_ends(const coded_vocabulary& e, rows<const float> v,
                                          std::size_t k) {
    std::vector<token_ends> out(v.count());
    e.each_batch(v, [&](std::size_t from, rows<const float> some) {
        const coded_vocabulary::coded_vectors coded = e.encode(some);
        std::vector<detail::ends_search> searches(some.count(), detail::ends_search(k));
        e.each_tile(coded, [&](std::size_t first, rows<const float> products) {
            for (std::size_t n = 0; n < searches.size(); ++n) {
                const coded_vocabulary::estimator estimate(e, coded.terms[n]);
                for (std::size_t r = 0; r < products.width(); r += lanes) {
                    const auto found = estimate(first + r, &products[n][r]);
                    searches[n].offer(first + r, found.value, found.error);
                }
            }
            return true;
        });
        for (std::size_t n = 0; n < some.count(); ++n) {
            for (const bool high : {true, false}) {
                searches[n].finish(high, e.matrix(), some[n], 0.0F, out[from + n]);
            }
        }
    });
    return out;
}

}  // namespace xlens
