// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/model/presets.hpp>
#include <xlens/model/transformer.hpp>

#include <utility>
#include <variant>

namespace xlens {

/// A model whose architecture is known when its file is read. `visit` once, then work with the
/// transformer that is held; each preset is compiled once, for any mix of formats.
class any_model {
public:
    using variant = std::variant<transformer<presets::llama>, transformer<presets::qwen3>,
                                 transformer<presets::gpt2>, transformer<presets::gpt_neox>,
                                 transformer<presets::wikilm>>;

    template <class Preset>
    any_model(transformer<Preset> model)  // NOLINT(google-explicit-constructor)
        : m_model(std::move(model)) {}

    /// Calls fn with the transformer<Preset> that is held.
    template <class Fn>
    decltype(auto) visit(Fn&& fn) const {
        return std::visit(std::forward<Fn>(fn), m_model);
    }
    [[nodiscard]] const hyperparameters& config() const {
        return visit([](const auto& m) -> const hyperparameters& { return m.config; });
    }

private:
    variant m_model;
};

}  // namespace xlens
