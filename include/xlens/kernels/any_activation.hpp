// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string_view>

namespace xlens {

namespace kernels {
template <class Activation>
void activate(std::span<float> x);  // kernels/activation.hpp
template <class Activation>
void activate_gated(std::span<float> gate, std::span<const float> up);
}  // namespace kernels

/// An activation as a value, made of one of the types of kernels/activation.hpp or one like them:
/// what xlens::model is made of. Costs an indirect call a row and tile of columns.
struct any_activation {
    any_activation() = default;
    template <class Activation>
        requires requires(float x) { Activation::apply(x); }
    constexpr any_activation(Activation)  // NOLINT(google-explicit-constructor): it is one
        : name(Activation::name),
          apply(&kernels::activate<Activation>),
          apply_gated(&kernels::activate_gated<Activation>) {}

    std::string_view name;
    void (*apply)(std::span<float> x) = nullptr;  ///< x_i = act(x_i)
    /// g_i = act(g_i)·u_i
    void (*apply_gated)(std::span<float> g, std::span<const float> u) = nullptr;
};

namespace kernels {

template <class Activation>
void activate(const Activation&, std::span<float> x) {
    activate<Activation>(x);
}
inline void activate(const any_activation& how, std::span<float> x) { how.apply(x); }
template <class Activation>
void activate_gated(const Activation&, std::span<float> gate, std::span<const float> up) {
    activate_gated<Activation>(gate, up);
}
inline void activate_gated(const any_activation& how, std::span<float> gate,
                           std::span<const float> up) {
    how.apply_gated(gate, up);
}

}  // namespace kernels
}  // namespace xlens
