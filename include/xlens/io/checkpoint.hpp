// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/io/config_hyperparameters.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_hyperparameters.hpp>
#include <xlens/io/hugging_face.hpp>
#include <xlens/io/tensor.hpp>
#include <xlens/io/tensor_names.hpp>
#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/formats.hpp>

#include <fmt/ranges.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace xlens {

/// An open model file or folder: hyperparameters, and weights by their GGUF names, each checked
/// against the shape that the model needs. Owns the mappings that the weights point into.
class checkpoint {
public:
    using source = std::variant<gguf_file, hugging_face_folder>;

    /// `path`: a .gguf file or a Hugging Face folder. Throws xlens::error.
    explicit checkpoint(const std::filesystem::path& path, precision how = precision::f32)
        : checkpoint(open(path)) {
        m_precision = how;
    }
    /// A program that opens only one kind of file compiles only that kind's reader.
    explicit checkpoint(gguf_file file, precision how = precision::f32)
        : m_config(read_hyperparameters(file)), m_source(std::move(file)), m_precision(how) {
        complete();
    }
    explicit checkpoint(hugging_face_folder folder)
        : m_config(read_hyperparameters(folder)), m_source(std::move(folder)) {
        complete();
    }

    [[nodiscard]] const hyperparameters& config() const { return m_config; }
    [[nodiscard]] const source& origin() const { return m_source; }
    /// The GGUF file, or null if it is a folder.
    [[nodiscard]] const gguf_file* gguf() const { return std::get_if<gguf_file>(&m_source); }
    [[nodiscard]] const std::string& name() const {
        return std::visit([](const auto& s) -> const std::string& { return s.name(); }, m_source);
    }
    [[nodiscard]] const tensor_map& tensors() const {
        return std::visit([](const auto& s) -> const tensor_map& { return s.tensors(); }, m_source);
    }
    [[nodiscard]] bool has(std::string_view tensor) const { return find(tensor) != nullptr; }

    /// The weight (rows, cols) of that GGUF name, in place. Throws xlens::error if it is missing or
    /// has another shape.
    [[nodiscard]] any_matrix matrix(std::string_view tensor, std::size_t rows,
                                    std::size_t cols) const {
        const stored_tensor& t = get(tensor);
        const bool transposed = is_transposed(tensor);
        check_shape(t, transposed ? std::vector{cols, rows} : std::vector{rows, cols});
        return visit_format(t.format, [&]<class Format>(Format) {
            return any_matrix(xlens::matrix<Format>(t.data, t.shape[0], t.shape[1], transposed),
                              m_precision);
        });
    }
    /// A vector of `size` elements, decoded to f32 (biases and norms are small).
    [[nodiscard]] xt::xtensor<float, 1> vector(std::string_view tensor, std::size_t size) const {
        const stored_tensor& t = get(tensor);
        check_shape(t, {size});
        xt::xtensor<float, 1> out = xt::empty<float>({size});
        visit_format(t.format, [&]<class Format>(Format) {
            decode_row<Format>(t.data, {out.data(), out.size()});
        });
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
    /// What the tensors say: the vocabulary where no key does, and the main format.
    void complete() {
        if (m_config.vocabulary == 0) { m_config.vocabulary = shape_of("token_embd.weight")[0]; }
        m_config.quantization = main_format();
    }
    static checkpoint open(const std::filesystem::path& path) {
        std::error_code ignored;
        if (std::filesystem::is_directory(path, ignored)) {
            return checkpoint(hugging_face_folder(path));
        }
        return checkpoint(gguf_file(path));
    }
    [[nodiscard]] bool is_gguf() const { return std::holds_alternative<gguf_file>(m_source); }
    /// GPT-2's Conv1D layers keep (inputs, outputs); GGUF's converters transpose them.
    [[nodiscard]] bool is_transposed(std::string_view tensor) const {
        return !is_gguf() && m_config.architecture == "gpt2" && tensor.starts_with("blk.");
    }
    [[nodiscard]] const stored_tensor* find(std::string_view tensor) const {
        if (const auto* file = std::get_if<gguf_file>(&m_source)) { return file->find(tensor); }
        const auto& folder = std::get<hugging_face_folder>(m_source);
        const std::string name = hugging_face_name(m_config.architecture, tensor);
        const stored_tensor* found = folder.find(name);
        constexpr std::string_view optional_prefix = "transformer.";  // not in all gpt2 files
        if (found == nullptr && name.starts_with(optional_prefix)) {
            found = folder.find(std::string_view(name).substr(optional_prefix.size()));
        }
        return found;
    }
    [[nodiscard]] const stored_tensor& get(std::string_view tensor) const {
        if (const stored_tensor* found = find(tensor)) { return *found; }
        const std::string expected =
            is_gguf() ? std::string(tensor) : hugging_face_name(m_config.architecture, tensor);
        fail("{}: tensor '{}': expected by {}, got no such tensor", name(), expected,
             m_config.architecture);
    }
    static void check_shape(const stored_tensor& t, const std::vector<std::size_t>& expected) {
        if (t.shape != expected) {
            fail("{}: {}: expected ({}), got ({})", t.file, printable(t.name),
                 fmt::join(expected, ", "), fmt::join(t.shape, ", "));
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
    source m_source;
    precision m_precision = precision::f32;
};

}  // namespace xlens
