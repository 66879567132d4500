// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/early_exit/exit_rule.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>

#if XLENS_DEFINES(early_exit)
#include <xlens/nn/norm.hpp>
#endif

namespace xlens::early_exit {

/// Keeps what a rule needs of a layer, hook by hook, until the rule is asked after it.
class exit_inputs {
public:
    explicit exit_inputs(exit_needs needs) : m_needs(needs) {}

    /// x (T, D), as the hook `before` has it.
    void before(rows<float> x);
    /// m (T, F), as the hook `coefficients` has it.
    void coefficients(rows<float> m);
    /// The layer whose residual after the FFN update is x (T, D), that of positions from `first`
    /// on. Borrows x and what is kept here. Throws xlens::error for a residual that no rule can
    /// read (check_residual).
    exit_view view(std::size_t layer, std::size_t first, rows<float> x);

private:
    exit_needs m_needs;
    xt::xtensor<float, 2> m_update;  // (T, D): `before`, then what the FFN added
    xt::xtensor<float, 2> m_coefficients;
};

#if XLENS_DEFINES(early_exit)

XLENS_API void exit_inputs::before(rows<float> x) {
    if (m_needs.update) { m_update = x.tensor(); }
}

XLENS_API void exit_inputs::coefficients(rows<float> m) {
    if (m_needs.coefficients) { m_coefficients = m.tensor(); }
}

XLENS_API exit_view exit_inputs::view(std::size_t layer, std::size_t first, rows<float> x) {
    check_residual(x, layer, first);
    exit_view out{layer, x, {}, {}};
    if (m_needs.coefficients) { out.coefficients = m_coefficients; }
    if (m_needs.update) {
        m_update = x.tensor() - m_update;
        out.update = m_update;
    }
    return out;
}

#endif

}  // namespace xlens::early_exit
