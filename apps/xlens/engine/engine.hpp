// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "flags/flags.hpp"

#include <xlens/core/types.hpp>

#include <memory>
#include <string>

namespace xlens {
struct hyperparameters;
class linear_lens;
class model;
class tokenizer;
}  // namespace xlens
namespace xlens::early_exit {
struct fitted_exit;
}

namespace xlens::program {

/// An open model, as the flags that all subcommands share ask for it. What is done with it is the
/// library's: commands call that with model(). Whoever asks for names and sizes only compiles none
/// of the library with this header.
class engine {
public:
    /// Opens the model; throws xlens::error for one that cannot be read.
    explicit engine(const common_flags& flags);
    ~engine();
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;

    [[nodiscard]] const xlens::model& model() const;
    [[nodiscard]] const hyperparameters& config() const;
    /// Throws xlens::error if the model has none.
    [[nodiscard]] const tokenizer& text() const;
    [[nodiscard]] const std::string& path() const;
    /// "f32" or "native".
    [[nodiscard]] const std::string& precision() const;
    /// "f32", "f16" or "q8_0".
    [[nodiscard]] const std::string& cache() const;
    /// The precision, and the cache where it is not f32: what tells the numbers of two runs apart.
    [[nodiscard]] std::string arithmetic() const;
    /// One line with what it takes to repeat a run.
    [[nodiscard]] std::string manifest() const;

    /// A token as valid UTF-8; empty where the model has no text for it.
    [[nodiscard]] std::string token_text(token_id id) const;
    /// Its exact bytes, which need not be valid UTF-8; empty likewise.
    [[nodiscard]] std::string token_bytes(token_id id) const;

    /// From now on generate and perplexity leave the model early by this rule, and trace marks
    /// where that would be: the name of one that needs no fit, or a file.
    void use_exit(const std::string& rule);
    /// That rule; null where none is in use.
    [[nodiscard]] const early_exit::fitted_exit* exit() const;

    /// From now on trace and events read residuals through the lens of this file.
    void use_lens(const std::string& path);
    /// That lens; null where none is in use.
    [[nodiscard]] const linear_lens* lens() const;
    /// What it is, for people ("tuned lens FOLDER"), and its file; empty likewise.
    [[nodiscard]] const std::string& lens_text() const;
    [[nodiscard]] const std::string& lens_path() const;

private:
    struct parts;
    std::unique_ptr<parts> m_parts;
};

}  // namespace xlens::program
