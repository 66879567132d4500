// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/interventions/positions.hpp>

#if XLENS_DEFINES(interventions)
#include <algorithm>
#endif

namespace xlens {

/// One change of one number of a feed-forward layer (Geva et al. 2022, section 6.1).
struct edit {
    enum class kind {
        set,    ///< z := value; 0 takes the sub-update out
        scale,  ///< z := value·z
        add,    ///< z := z + value
        clamp,  ///< z := least where it is less, most where it is more; a NaN stays
    };
    /// Which number z of neuron i is changed.
    enum class site {
        coefficient,     ///< m_i itself, after the activation
        pre_activation,  ///< the output of the first matrix, before it: the authors' way, whose 3
                         ///< is m_i = GELU(3). In a gated layer the gate's: m_i = act(z)·(u_i·x)
    };

    neuron where;
    kind how = kind::set;
    float value = 0.0F;           ///< of clamp: least
    position_set positions = {};  ///< all, unless it says otherwise
    site on = site::coefficient;
    float most = 0.0F;  ///< clamp only

    /// The changed z.
    [[nodiscard]] float operator()(float z) const;
};

#if XLENS_DEFINES(interventions)

XLENS_API float edit::operator()(float z) const {
    switch (how) {
        case kind::set: return value;
        case kind::scale: return value * z;
        case kind::add: return z + value;
        case kind::clamp: return z < value ? value : (z > most ? most : z);
    }
    return z;
}

#endif

}  // namespace xlens
