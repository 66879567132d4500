// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/early_exit/exit_file.hpp>
#include <xlens/early_exit/exit_rule.hpp>
#include <xlens/early_exit/lens_reader.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <algorithm>
#endif

namespace xlens::early_exit {

/// What rules that read the residual in the vocabulary share: the lens, and the layers at which
/// they decide. A decision costs an unembedding, on SmolLM2-135M about eight layers, so that such a
/// rule saves time only where it decides rarely.
class lens_rule {
public:
    lens_rule(lens_reader lens, std::vector<std::size_t> layers)
        : m_lens(std::move(lens)), m_layers(std::move(layers)) {}

    [[nodiscard]] exit_needs needs() const { return {}; }
    [[nodiscard]] const std::vector<std::size_t>& layers() const { return m_layers; }
    void begin(std::size_t) {}
    void translate(std::size_t layer, rows<float> x) const { m_lens.lens().translate(layer, x); }
    /// The top token over the whole vocabulary, which the decision has read.
    [[nodiscard]] std::optional<named_token> answer(std::size_t t) const;
    void save(exit_writer& to) const;

protected:
    [[nodiscard]] bool decides_at(std::size_t layer) const;
    const std::vector<reading>& read(const exit_view& view, std::size_t k);

private:
    lens_reader m_lens;
    std::vector<reading> m_read;        // of the last layer at which it decided
    std::vector<std::size_t> m_layers;  // ascending
};

#if XLENS_DEFINES(early_exit)

XLENS_API std::optional<named_token> lens_rule::answer(std::size_t t) const {
    if (t >= m_read.size() || m_read[t].top.empty()) { return std::nullopt; }
    const scored& best = m_read[t].top.front();
    return named_token{best.id, m_read[t].probability(best)};
}

XLENS_API void lens_rule::save(exit_writer& to) const {
    to.list(std::vector<std::uint64_t>(m_layers.begin(), m_layers.end()));
    to.lens(m_lens.lens());
}

XLENS_API bool lens_rule::decides_at(std::size_t layer) const {
    return std::ranges::binary_search(m_layers, layer);
}

XLENS_API const std::vector<reading>& lens_rule::read(const exit_view& view, std::size_t k) {
    m_read = m_lens(view.layer, view.residual, k);
    return m_read;
}

#endif

}  // namespace xlens::early_exit
