// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/io/families.hpp>
#include <xlens/io/tensor_names.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <algorithm>
#include <any>
#include <array>
#include <concepts>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// What weights are read from: a gguf_file, or a hugging_face_folder.
template <class Source>
concept weight_source = requires(const Source& s) {
    { s.name() } -> std::same_as<const std::string&>;
    { s.tensors() } -> std::same_as<const tensor_map&>;
    { Source::names } -> std::convertible_to<tensor_names>;
};

/// An open model file or folder: hyperparameters, and weights by their GGUF names, each checked
/// against the shape that the model needs. Owns the mappings that the weights point into.
class checkpoint {
public:
    /// A program that opens one kind of file compiles that kind's reader alone. It includes
    /// gguf_hyperparameters.hpp or config_hyperparameters.hpp, which have
    /// read_hyperparameters(source); open_checkpoint.hpp opens either kind. Throws xlens::error.
    template <weight_source Source>
    explicit checkpoint(Source source, precision how = precision::f32)
        : checkpoint(std::make_shared<const Source>(std::move(source)), how) {}

    [[nodiscard]] const hyperparameters& config() const { return m_config; }
    /// The file or folder, or null if it is of another kind.
    template <weight_source Source>
    [[nodiscard]] const Source* origin() const {
        const auto* held = std::any_cast<std::shared_ptr<const Source>>(&m_source);
        return held == nullptr ? nullptr : held->get();
    }
    [[nodiscard]] const std::string& name() const { return *m_name; }
    /// Under the names of the file.
    [[nodiscard]] const tensor_map& tensors() const { return *m_tensors; }
    /// Whose names and layouts the file has.
    [[nodiscard]] tensor_names names() const { return m_names; }
    [[nodiscard]] bool has(std::string_view tensor) const { return find(tensor) != nullptr; }
    /// How its kind of files names and lays out tensors.
    [[nodiscard]] const xlens::family& family() const { return *m_family; }
    /// Throws xlens::error for a tensor that no call above has read, known buffers apart: something
    /// of the model would be left out.
    void check_all_read() const {
        for (const auto& [name, t] : tensors()) {
            if (!m_read->contains(&t) && !is_buffer(name)) {
                fail(
                    "{}: tensor '{}': no part of {} reads it; a model of another kind, or of more "
                    "layers than {}?",
                    t.file, printable(name), m_config.family, m_config.layers);
            }
        }
    }

    /// The weight (rows, cols) of that GGUF name, in place. Throws xlens::error if it is missing or
    /// has another shape.
    [[nodiscard]] any_matrix matrix(std::string_view tensor, std::size_t rows,
                                    std::size_t cols) const {
        const stored_tensor& t = get(tensor);
        const bool transposed = is_transposed(tensor);
        check_shape(t, transposed ? std::vector{cols, rows} : std::vector{rows, cols});
        return {t.format, t.data, t.shape[0], t.shape[1], transposed, m_precision};
    }
    /// `count` matrices (rows, cols) in one tensor (count, rows, cols), one below the other.
    [[nodiscard]] any_matrix stack(std::string_view tensor, std::size_t count, std::size_t rows,
                                   std::size_t cols) const {
        const stored_tensor& t = get(tensor);
        check_shape(t, {count, rows, cols});
        return {t.format, t.data, count * rows, cols, false, m_precision};
    }
    /// A matrix of one row (1, cols), which may be stored as a vector.
    [[nodiscard]] any_matrix row_matrix(std::string_view tensor, std::size_t cols) const {
        const stored_tensor& t = get(tensor);
        check_shape(t, t.shape.size() == 1 ? std::vector{cols} : std::vector{std::size_t{1}, cols});
        return {t.format, t.data, 1, cols, false, m_precision};
    }
    /// A vector of `size` elements, decoded to f32 (biases and norms are small).
    [[nodiscard]] xt::xtensor<float, 1> vector(std::string_view tensor, std::size_t size) const {
        const stored_tensor& t = get(tensor);
        check_shape(t, {size});
        xt::xtensor<float, 1> out = xt::empty<float>({size});
        row_format_of(t.format).decode(t.data, {out.data(), out.size()});
        return out;
    }
    /// The same, or an empty vector where the file has no such tensor.
    [[nodiscard]] xt::xtensor<float, 1> optional_vector(std::string_view tensor,
                                                        std::size_t size) const {
        return has(tensor) ? vector(tensor, size) : xt::xtensor<float, 1>();
    }
    /// Shape of a tensor that must be there, slowest dimension first; a matrix.
    [[nodiscard]] const std::vector<std::size_t>& shape_of(std::string_view tensor) const {
        const stored_tensor& t = get(tensor);
        if (t.shape.size() != 2) {
            fail("{}: {}: expected a matrix, got {} dimensions", t.file, printable(t.name),
                 t.shape.size());
        }
        return t.shape;
    }

private:
    template <class Source>
    checkpoint(std::shared_ptr<const Source> source, precision how)
        : m_config(read_hyperparameters(*source)),
          m_name(&source->name()),
          m_tensors(&source->tensors()),
          m_names(Source::names),
          m_source(std::move(source)),
          m_precision(how),
          m_family(find_family(m_config.family)),
          m_read(std::make_shared<std::set<const stored_tensor*>>()) {
        if constexpr (requires { source_of<Source>().skipped(); }) {
            m_skipped = &source_of<Source>().skipped();
        }
        if (m_config.vocabulary == 0) { m_config.vocabulary = shape_of("token_embd.weight")[0]; }
        m_config.quantization = main_format();
    }
    template <class Source>
    [[nodiscard]] const Source& source_of() const {
        return *origin<Source>();
    }
    /// GPT-2's Conv1D layers keep (inputs, outputs); GGUF's converters transpose them.
    [[nodiscard]] bool is_transposed(std::string_view tensor) const {
        return m_names == tensor_names::hugging_face && m_family->transposed &&
               tensor.starts_with("blk.");
    }
    [[nodiscard]] std::string spelt(std::string_view tensor) const {
        return m_names == tensor_names::gguf ? std::string(tensor)
                                             : hugging_face_name(m_family->names, tensor);
    }
    /// Folders of base models lack the first part of a name ("model.", "transformer."), those of
    /// models that see have one more.
    [[nodiscard]] const stored_tensor* find(std::string_view tensor) const {
        for (const std::string& s : spellings(tensor)) {
            const auto found = m_tensors->find(s);
            if (found != m_tensors->end()) { return &found->second; }
        }
        return nullptr;
    }
    [[nodiscard]] std::vector<std::string> spellings(std::string_view tensor) const {
        const std::string name = spelt(tensor);
        if (m_names == tensor_names::gguf) { return {name}; }
        const std::string inner = name.substr(name.find('.') + 1);
        return {name, inner, "language_model." + name, "model.language_model." + inner};
    }
    [[nodiscard]] const stored_tensor& get(std::string_view tensor) const {
        if (const stored_tensor* found = find(tensor)) {
            m_read->insert(found);
            return *found;
        }
        say_what_stands_there(tensor);
        fail("{}: tensor '{}': expected by {}, got no such tensor", name(), spelt(tensor),
             m_config.family);
    }
    /// Throws where a weight is missing because it is kept in a way that is not read.
    void say_what_stands_there(std::string_view tensor) const {
        if (m_skipped == nullptr) { return; }
        for (const std::string& s : spellings(tensor)) {
            const auto found = m_skipped->find(s);
            if (found != m_skipped->end()) {
                fail(
                    "{}: tensor '{}': dtype {} is not supported: expected F32, F16, BF16, F8_E4M3 "
                    "or "
                    "F8_E5M2",
                    name(), printable(s), found->second);
            }
            const std::string stem = s.substr(0, s.rfind('.') + 1);
            const auto beside = m_skipped->lower_bound(stem);
            if (beside != m_skipped->end() && beside->first.starts_with(stem)) {
                fail(
                    "{}: tensor '{}': expected by {}, got '{}' in {}: weights that another library "
                    "has quantised",
                    name(), printable(s), m_config.family, printable(beside->first),
                    beside->second);
            }
        }
    }
    /// What files hold besides weights: masks, and tables of rotations, which are computed.
    [[nodiscard]] static bool is_buffer(std::string_view name) {
        // wikilm's: copies of what is tied to the embedding, and positions, which are computed.
        const bool copied = name.find(".adaptive_softmax.") != name.npos ||
                            name == "decoder.embed_positions._float_tensor" ||
                            name == "decoder.version";
        constexpr std::array<std::string_view, 9> endings = {"attn.bias",
                                                             "attn.masked_bias",
                                                             "attention.bias",
                                                             "attention.masked_bias",
                                                             "rotary_emb.inv_freq",
                                                             "attention.rope.freqs",
                                                             "rope_freqs.weight",
                                                             "rope_factors_long.weight",
                                                             "rope_factors_short.weight"};
        return copied ||
               std::ranges::any_of(endings, [&](std::string_view e) { return name.ends_with(e); });
    }
    static void check_shape(const stored_tensor& t, const std::vector<std::size_t>& expected) {
        if (t.shape != expected) {
            fail("{}: {}: expected ({}), got ({})", t.file, printable(t.name),
                 joined(expected, ", "), joined(t.shape, ", "));
        }
    }
    /// The format that holds the most bytes of matrices inside layers.
    [[nodiscard]] std::string main_format() const {
        std::map<format_id, std::size_t> bytes;
        for (const auto& [name, t] : tensors()) {
            if (t.shape.size() == 2 && name != "token_embd.weight") { bytes[t.format] += t.bytes; }
        }
        const auto most =
            std::max_element(bytes.begin(), bytes.end(),
                             [](const auto& a, const auto& b) { return a.second < b.second; });
        return std::string(most == bytes.end() ? "f32" : format_name(most->first));
    }

    hyperparameters m_config;
    const std::string* m_name;  // these two: of the source, which stays where it is
    const tensor_map* m_tensors;
    tensor_names m_names;
    std::any m_source;  // std::shared_ptr<const Source>
    precision m_precision = precision::f32;
    const xlens::family* m_family;
    std::shared_ptr<std::set<const stored_tensor*>> m_read;
    const std::map<std::string, std::string, std::less<>>* m_skipped = nullptr;  // of the source
};

}  // namespace xlens
