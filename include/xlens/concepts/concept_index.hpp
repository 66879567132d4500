// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/concept_reader.hpp>
#include <xlens/concepts/value_concepts.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/token.hpp>
#include <xlens/core/types.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/model/model.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/byte_reader.hpp>
#include <xlens/storage/byte_writer.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/storage/rows.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/concepts/score_kurtosis.hpp>
#include <xlens/core/error.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/storage/atomic_file.hpp>

#include <algorithm>
#endif

namespace xlens {

namespace detail {

/// How an index file begins; numbers are little-endian.
struct index_header {
    std::array<char, 8> magic{'x', 'l', 'e', 'n', 's', 'i', 'd', 'x'};
    std::uint32_t version = 2;
    std::uint32_t form = 0;   ///< the projection
    std::uint64_t model = 0;  ///< fingerprint of the model's tensors
    std::uint32_t layers = 0;
    std::uint32_t inner_width = 0;
    std::uint32_t vocabulary = 0;
    std::uint32_t top = 0;  ///< tokens of each end
};
static_assert(sizeof(index_header) == 40 && sizeof(scored) == 8);

}  // namespace detail

namespace detail {
/// Value vectors that exist at one time, where a layer has them in several matrices.
inline constexpr std::size_t projected_vectors = std::size_t{1} << 14U;
}  // namespace detail

/// The concepts of all L·F value vectors, both ends, `top` tokens each (no more than V). Exact:
/// what concept_reader gives. `take(layer, concepts of its F neurons, their kurtosis)` gets a layer
/// at a time, `progress(done, total)` counts layers. Kurtosis is that of score_kurtosis. Cost
/// L·F·V·D multiply-adds where the projection is folded, which gives both, else twice that.
template <class Take>
void project_all(const transformer<>& model, std::size_t top, projection form, Take take,
                 const progress_function& progress) {
    const concept_reader reader(model, form);
    const auto values = model.value_matrices();
    for (std::size_t l = 0; l < values.size(); ++l) {
        std::vector<token_ends> concepts;
        std::vector<float> kurtosis;
        for (const auto& piece : values[l].pieces(detail::projected_vectors)) {
            const xt::xtensor<float, 2> vectors = piece.columns();
            std::vector<float> some(vectors.shape(0));
            for (token_ends& ends : reader.project(vectors, top, some)) {
                concepts.push_back(std::move(ends));
            }
            kurtosis.insert(kurtosis.end(), some.begin(), some.end());
        }
        take(l, std::move(concepts), std::span<const float>(kurtosis));
        progress(l + 1, values.size());
    }
}

/// Writes the concepts of all value vectors to a file (`xlens index`): a header, then for each
/// neuron in order its `top` promoted and its `top` suppressed tokens as pairs of a 32-bit id and a
/// 32-bit float; then the excess kurtosis of each neuron's folded scores (score_kurtosis), had from
/// the same products where the projection is folded, else for L·F·V·D multiply-adds more.
/// `fingerprint` is the model's. The file appears when it is
/// whole.
XLENS_API void write_index(const transformer<>& model, std::uint64_t fingerprint, std::size_t top,
                           projection form, const std::filesystem::path& path,
                           const progress_function& progress);

/// An index file, mapped: opening it costs the same for any size. Throws xlens::error for a file
/// that is no index, has another version or another length, or was made of another model. A file of
/// version 1 has no kurtosis.
class concept_index {
public:
    concept_index(const std::filesystem::path& path, std::uint64_t fingerprint);

    [[nodiscard]] projection form() const { return static_cast<projection>(m_header.form); }
    [[nodiscard]] std::size_t layers() const { return m_header.layers; }
    [[nodiscard]] std::size_t inner_width() const { return m_header.inner_width; }
    [[nodiscard]] std::size_t top() const { return m_header.top; }

    /// The tokens that a value vector promotes and suppresses most, best first, in place.
    [[nodiscard]] std::span<const scored> promotes(const neuron& n) const { return end(n, 0); }
    [[nodiscard]] std::span<const scored> suppresses(const neuron& n) const { return end(n, 1); }

    /// Excess kurtosis of its folded scores, in place: (L·F) by number; empty where the file, of
    /// version 1, has none.
    [[nodiscard]] std::span<const float> kurtosis() const;

    /// Throws xlens::error unless it was made of a model of these sizes, in this projection.
    void check(const hyperparameters& config, projection form) const;
    /// Both ends of a value vector, k tokens each, copied. Throws xlens::error for a neuron that is
    /// not there, for k above top(), and for a token that the vocabulary does not have.
    [[nodiscard]] token_ends ends(const neuron& n, std::size_t k) const;

private:
    [[nodiscard]] std::vector<scored> copy(const neuron& n, std::span<const scored> from,
                                           std::size_t k) const;
    [[nodiscard]] std::span<const scored> end(const neuron& n, std::size_t which) const;
    [[nodiscard]] std::uint64_t neurons() const {
        return std::uint64_t{m_header.layers} * m_header.inner_width;
    }
    void check_length(std::uint64_t found) const;

    mapped_file m_file;
    detail::index_header m_header;
};

/// Opens the index of a model. Throws xlens::error, before any of its concepts is read, unless it
/// was made of this model, in this projection, with at least `top` tokens an end.
XLENS_API concept_index open_index(const std::filesystem::path& path, const xlens::model& model,
                                   projection form, std::size_t top);

/// concept_of(model, where, top, index.form()), with tokens that are read and not computed.
XLENS_API value_concept concept_of(const transformer<>& model, const concept_index& index,
                                   const neuron& where, std::size_t top);

#if XLENS_DEFINES(concepts)

XLENS_API void write_index(const transformer<>& model, std::uint64_t fingerprint, std::size_t top,
                           projection form, const std::filesystem::path& path,
                           const progress_function& progress) {
    const auto number = [](std::size_t n) { return static_cast<std::uint32_t>(n); };
    detail::index_header header;
    header.form = static_cast<std::uint32_t>(form);
    header.model = fingerprint;
    header.layers = number(model.config.layers);
    header.inner_width = number(model.config.inner_width);
    header.vocabulary = number(model.config.vocabulary);
    header.top = number(std::min(top, model.config.vocabulary));
    atomic_file file(path);
    byte_writer out(file);
    out.value(header);
    // An end with fewer tokens (scores that are not numbers) is filled up with tokens -1.
    const scored nothing{-1, std::numeric_limits<float>::quiet_NaN()};
    std::vector<float> all;
    const auto take = [&](std::size_t, std::vector<token_ends> concepts,
                          std::span<const float> kurtosis) {
        all.insert(all.end(), kurtosis.begin(), kurtosis.end());
        for (token_ends& ends : concepts) {
            for (std::vector<scored>* end : {&ends.promotes, &ends.suppresses}) {
                end->resize(header.top, nothing);
                out.values(std::span(*end));
            }
        }
    };
    project_all(model, header.top, form, take, progress);
    out.values(std::span<const float>(all));
    file.commit();
}

XLENS_API concept_index::concept_index(const std::filesystem::path& path, std::uint64_t fingerprint)
    : m_file(path) {
    const detail::index_header expected;
    m_header = byte_reader(m_file.name(), m_file.bytes()).value<detail::index_header>("header");
    if (m_header.magic != expected.magic) {
        const auto text = [](const std::array<char, 8>& magic) {
            return printable({magic.data(), magic.size()});
        };
        fail("{}: not an xlens index: expected it to begin with '{}', got '{}'", m_file.name(),
             text(expected.magic), text(m_header.magic));
    }
    if (m_header.version < 1 || m_header.version > expected.version) {
        fail("{}: index: expected version 1 or {}, got {}", m_file.name(), expected.version,
             m_header.version);
    }
    if (m_header.model != fingerprint) {
        fail("{}: index: expected one of this model, {}, got one of {}", m_file.name(),
             fmt::format("{:016x}", fingerprint), fmt::format("{:016x}", m_header.model));
    }
    if (m_header.form > static_cast<std::uint32_t>(projection::standard)) {
        fail("{}: index: projection: expected 0 to 3, got {}", m_file.name(), m_header.form);
    }
    check_length(m_file.bytes().size());
}

XLENS_API void concept_index::check(const hyperparameters& config, projection form) const {
    const auto same = [&](std::string_view field, std::size_t expected, std::size_t found) {
        if (found == expected) { return; }
        fail("{}: index: {}: expected {}, got {}", m_file.name(), field, expected, found);
    };
    same("layers", config.layers, layers());
    same("neurons a layer", config.inner_width, inner_width());
    same("vocabulary", config.vocabulary, m_header.vocabulary);
    if (this->form() != form) {
        fail("{}: index: projection: expected {}, got {}", m_file.name(), name_of(form),
             name_of(this->form()));
    }
}

XLENS_API token_ends concept_index::ends(const neuron& n, std::size_t k) const {
    check_neuron(n, layers(), inner_width());
    if (k > top()) {
        fail("{}: index: tokens an end: expected at least {}, got {}", m_file.name(), k, top());
    }
    return {copy(n, promotes(n), k), copy(n, suppresses(n), k)};
}

XLENS_API std::vector<scored> concept_index::copy(const neuron& n, std::span<const scored> from,
                                                  std::size_t k) const {
    const std::string field = fmt::format("{}: index: neuron {}", m_file.name(), to_string(n));
    std::vector<scored> out;
    for (const scored& s : from.first(k)) {
        if (s.id == -1) { break; }  // an end that was filled up
        check_token(s.id, m_header.vocabulary, field);
        out.push_back(s);
    }
    return out;
}

XLENS_API std::span<const scored> concept_index::end(const neuron& n, std::size_t which) const {
    const std::size_t number = (n.layer * inner_width() + n.index) * 2 + which;
    const std::byte* at = m_file.bytes().data() + sizeof m_header;
    return {reinterpret_cast<const scored*>(at) + number * top(), top()};
}

XLENS_API std::span<const float> concept_index::kurtosis() const {
    if (m_header.version < 2) { return {}; }
    const auto count = static_cast<std::size_t>(neurons());
    const std::byte* at =
        m_file.bytes().data() + sizeof m_header + count * 2 * top() * sizeof(scored);
    return {reinterpret_cast<const float*>(at), count};
}

XLENS_API void concept_index::check_length(std::uint64_t found) const {
    // Three 32-bit factors fit 96 bits: divide instead of multiplying.
    const std::uint64_t bytes = found - sizeof m_header;
    const std::uint64_t of_one = 2 * sizeof(scored) * std::uint64_t{m_header.top} +
                                 (m_header.version < 2 ? 0 : sizeof(float));
    const bool whole = neurons() > 0 && bytes % neurons() == 0 && bytes / neurons() == of_one;
    if (!whole) {
        fail("{}: index: {} bytes do not hold {} layers of {} neurons, {} tokens an end",
             m_file.name(), found, m_header.layers, m_header.inner_width, m_header.top);
    }
}

XLENS_API concept_index open_index(const std::filesystem::path& path, const xlens::model& model,
                                   projection form, std::size_t top) {
    concept_index index(path, model.fingerprint());
    index.check(model.config, form);
    static_cast<void>(index.ends({0, 0}, top));
    return index;
}

XLENS_API value_concept concept_of(const transformer<>& model, const concept_index& index,
                                   const neuron& where, std::size_t top) {
    index.check(model.config, index.form());
    check_neuron(where, model.config.layers, model.config.inner_width);
    std::vector<float> value(model.config.width);
    model.blocks[where.layer].ffn.value(where.index, value);
    const std::span<const float> known = index.kurtosis();
    const float kurtosis =
        known.empty() ? score_kurtosis(model, as_rows(std::span<const float>(value))).front()
                      : known[where.layer * index.inner_width() + where.index];
    return {kernels::norm2(value), index.ends(where, top), kurtosis};
}

#endif

}  // namespace xlens
