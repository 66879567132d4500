// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/trace/capture_rows.hpp>
#include <xlens/trace/capture_sites.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/storage/rows_at.hpp>

#include <algorithm>
#include <numeric>
#endif

namespace xlens {

/// Policy that writes what passes at the captured sites into the next rows of a capture: all sites
/// in one pass. It edits nothing; what policies before it in the pack change is captured changed.
/// When nothing that comes later is captured it leaves the pass.
class capture_recorder {
public:
    static constexpr hook hooks = all_hooks;

    /// Borrows both; the captured arrays are those of `to` behind the index.
    capture_recorder(std::span<const captured_array> arrays, capture_rows& to);

    /// The next pass, over positions from `first` on, is captured at these positions, which are all
    /// in it, into rows from to.count() on. `what` names the sequence in messages.
    void begin(std::span<const std::size_t> positions, std::string_view what);
    /// Throws xlens::error if the pass left an array out, and adds its rows.
    void end();

    [[nodiscard]] bool wants(hook h) const;
    /// Whether logits are captured.
    [[nodiscard]] bool reads_logits() const { return wants(hook::logits); }

#define XLENS_HOOK(name) \
    flow name(const site& where, rows<float> x) { return record(hook::name, where, x); }
    XLENS_FOR_EACH_HOOK(XLENS_HOOK)
#undef XLENS_HOOK

private:
    flow record(hook h, const site& where, rows<float> x);
    void keep(std::size_t array, const site& where, rows<const float> x);
    void compute(std::size_t array, rows<const float> x, std::span<const std::size_t> from);
    void put(std::size_t array, rows<const float> x, std::span<const std::size_t> from);

    std::span<const captured_array> m_arrays;
    capture_rows* m_to;
    std::optional<std::size_t> m_last_layer;  // of those needed; none: the pass is read to its end
    std::span<const std::size_t> m_positions;
    std::string m_what;
    std::size_t m_kept = 0;  // arrays of this pass
};

#if XLENS_DEFINES(trace)

XLENS_API capture_recorder::capture_recorder(std::span<const captured_array> arrays,
                                             capture_rows& to)
    : m_arrays(arrays), m_to(&to), m_last_layer(0) {
    for (const captured_array& a : arrays) {
        if (a.site->where == hook::read_out || a.site->where == hook::logits) {
            m_last_layer.reset();
            break;
        }
        m_last_layer = std::max(*m_last_layer, a.layer);
    }
}

XLENS_API bool capture_recorder::wants(hook h) const {
    return std::ranges::any_of(m_arrays,
                               [h](const captured_array& a) { return a.site->where == h; });
}

XLENS_API void capture_recorder::begin(std::span<const std::size_t> positions,
                                       std::string_view what) {
    m_positions = positions;
    m_what = what;
    m_kept = 0;
}

XLENS_API void capture_recorder::end() {
    if (m_positions.empty()) { return; }
    if (m_kept != m_arrays.size()) {
        fail("capture: {}: {} of {} arrays: the pass was left early", m_what, m_kept,
             m_arrays.size());
    }
    m_to->add(m_positions.size());
}

XLENS_API flow capture_recorder::record(hook h, const site& where, rows<float> x) {
    for (std::size_t a = 0; a < m_arrays.size(); ++a) {
        const captured_array& array = m_arrays[a];
        const bool here =
            array.site->where == h && (!array.site->per_layer || array.layer == where.layer);
        if (here && !m_positions.empty()) { keep(a, where, x); }
    }
    return h == hook::after && m_last_layer && where.layer >= *m_last_layer ? flow::stop
                                                                            : flow::proceed;
}

namespace detail {

/// Rows `from` of patterns (T, H·S) as (n, H·longest): each head's weights, then zeros.
inline xt::xtensor<float, 2> padded_patterns(rows<const float> x, std::span<const std::size_t> from,
                                             std::size_t heads, std::size_t longest) {
    xt::xtensor<float, 2> out = xt::zeros<float>({from.size(), heads * longest});
    const std::size_t seen = x.width() / heads;
    for (std::size_t i = 0; i < from.size(); ++i) {
        for (std::size_t h = 0; h < heads; ++h) {
            std::ranges::copy(
                x[from[i]].subspan(h * seen, seen),
                rows<float>(out)[i].begin() + static_cast<std::ptrdiff_t>(h * longest));
        }
    }
    return out;
}

}  // namespace detail

XLENS_API void capture_recorder::keep(std::size_t array, const site& where, rows<const float> x) {
    const captured_array& what = m_arrays[array];
    std::vector<std::size_t> from;
    for (const std::size_t p : m_positions) {
        if (p < where.first_position || p - where.first_position >= x.count()) {
            fail("capture: {}: no row of position {}", what.name, p);
        }
        from.push_back(p - where.first_position);
    }
    if (what.site->where == hook::pattern) {
        const xt::xtensor<float, 2> padded =
            detail::padded_patterns(x, from, what.shape[0], what.shape[1]);
        std::iota(from.begin(), from.end(), std::size_t{0});
        put(array, padded, from);
    } else if (what.compute) {
        compute(array, x, from);
    } else {
        put(array, x, from);
    }
    ++m_kept;
}

XLENS_API void capture_recorder::compute(std::size_t array, rows<const float> x,
                                         std::span<const std::size_t> from) {
    const captured_array& what = m_arrays[array];
    const xt::xtensor<float, 2> some = rows_at(x, from);
    xt::xtensor<float, 2> computed = xt::empty<float>({from.size(), what.columns});
    what.compute(some, computed);
    std::vector<std::size_t> all(from.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    put(array, computed, all);
}

XLENS_API void capture_recorder::put(std::size_t array, rows<const float> x,
                                     std::span<const std::size_t> from) {
    const captured_array& what = m_arrays[array];
    if (x.width() != what.columns) {
        fail("capture: {}: rows of {} numbers, expected {}", what.name, x.width(), what.columns);
    }
    const std::size_t number = index_arrays.size() + array;
    if (const auto unfit = m_to->put(number, m_to->count(), x, from)) {
        const bool half = m_to->layouts()[number].type == array_type::f16;
        fail("capture: {}: {} at position {}: number {} is {}, expected {}", m_what, what.name,
             m_positions[unfit->row], unfit->column, unfit->value,
             half ? "at most 65504 in magnitude, what f16 holds; f32 holds more"
                  : "a finite number");
    }
}

#endif

}  // namespace xlens
