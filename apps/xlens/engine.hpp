// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "flags.hpp"

#include <xlens/core/types.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace xlens {
struct attribution;
struct cluster_options;
struct cluster_report;
struct controlled_concept;
struct event_run;
struct event_statistics;
struct generated;
struct hyperparameters;
struct perplexity_result;
struct perplexity_windows;
enum class flow;
struct token_ends;
struct traced_position;
class observe_updates;
class tokenizer;
}  // namespace xlens
namespace xlens::early_exit {
struct exit_report;
struct split_row;
}  // namespace xlens::early_exit

namespace xlens::program {

struct search_answer;
struct search_request;
struct value_concept;
struct exit_request;

struct model_facts {
    std::string activation;
    bool gated = false;
    std::uint64_t parameters = 0;  // weights in all tensors of the file
    std::uint64_t fingerprint = 0;
};

struct trace_request {
    std::size_t top = 10;
    std::size_t sub_updates = 10;
    bool all_positions = false;
};

struct attribution_request {
    std::optional<token_id> token;        // none: the predicted one
    std::optional<token_id> against;      // none: the logit itself, else the difference
    std::optional<std::size_t> position;  // none: the last
    std::size_t limit = 20;               // sub-updates to name
    std::size_t top = 10;                 // tokens of each of their concepts
};

/// The attribution of every generated token, in order.
struct attribution_log {
    std::size_t limit = 20;
    std::vector<attribution> steps;
};

struct sampling_request {
    float temperature = 0.0F;  // 0: greedy
    std::size_t top_k = 0;
    float top_p = 1.0F;
    std::uint64_t seed = 0;
    float min_p = 0.0F;
    float repetition_penalty = 1.0F;
};

struct beam_request {
    std::size_t beams = 0;  // 0: no beam search
    float length_penalty = 1.0F;
};

/// An open model. The library's templates are instantiated behind this class, in engine.cpp and
/// nowhere else, so that the rest of the program compiles in seconds. Everything throws
/// xlens::error for bad input, before any work is done.
class engine {
public:
    using progress = std::function<void(std::size_t done, std::size_t total)>;
    /// Answers whether to go on.
    using token_seen = std::function<flow(const generated&)>;
    /// Whether a text is complete with one token more.
    using text_complete = std::function<bool(std::span<const generated>, token_id)>;

    explicit engine(const common_flags& flags);
    ~engine();
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;

    [[nodiscard]] const std::string& path() const;
    [[nodiscard]] const hyperparameters& config() const;
    [[nodiscard]] model_facts facts() const;
    /// One line with what it takes to repeat a run.
    [[nodiscard]] std::string manifest() const;

    [[nodiscard]] const tokenizer& text() const;
    /// A token as valid UTF-8; empty where the model has no text for it.
    [[nodiscard]] std::string token_text(token_id id) const;
    /// Its exact bytes, which need not be valid UTF-8; empty likewise.
    [[nodiscard]] std::string token_bytes(token_id id) const;
    /// The tokens of a prompt: at least one, all in the vocabulary, no more than the context holds.
    [[nodiscard]] std::vector<token_id> read(const prompt_flags& prompt) const;

    /// The token that a flag names by its text or its id ("#7042", or "7042" unless that is a
    /// token's text).
    [[nodiscard]] token_id read_token(std::string_view flag, std::string_view text) const;

    /// Throws xlens::error if an intervention does not fit the model, or needs a prompt (of so many
    /// tokens) where there is none.
    void check(const edit_flags& edits, std::optional<std::size_t> prompt_length = {}) const;

    [[nodiscard]] std::vector<traced_position> trace(std::span<const token_id> tokens,
                                                     const trace_request& request,
                                                     const edit_flags& edits,
                                                     const progress& report) const;
    /// ‖v‖ and the two ends of one value vector.
    [[nodiscard]] value_concept concept_of(const neuron& where, std::size_t top,
                                           std::string_view form) const;
    /// The same, its tokens read from a file that write_index made of this model.
    [[nodiscard]] value_concept indexed_concept(const neuron& where, std::size_t top,
                                                std::string_view form,
                                                const std::string& path) const;
    /// How it compares with `count` random vectors (concepts/concept_control.hpp).
    [[nodiscard]] controlled_concept control_concept(const neuron& where, std::size_t top,
                                                     std::string_view form, std::size_t count,
                                                     std::uint64_t seed) const;
    /// The neurons that promote some tokens, or are like another one (concepts/search.hpp).
    [[nodiscard]] search_answer search(const search_request& request, const progress& report) const;
    /// Writes the concepts of all value vectors to a file (concepts/concept_index.hpp).
    void write_index(const std::string& path, std::size_t top, std::string_view form,
                     const progress& report) const;
    /// The clusters of all value vectors, or of a sample (concepts/cluster_values.hpp).
    [[nodiscard]] cluster_report cluster(const cluster_options& options,
                                         const progress& report) const;
    [[nodiscard]] attribution attribute(std::span<const token_id> tokens,
                                        const attribution_request& request, const edit_flags& edits,
                                        const progress& report) const;
    /// Of the predicted token, at the last position or at all; without concepts.
    [[nodiscard]] std::vector<attribution> attribute_predictions(std::span<const token_id> tokens,
                                                                 bool all_positions,
                                                                 std::size_t limit,
                                                                 const edit_flags& edits,
                                                                 const progress& report) const;
    /// With `explained`, also why each token's logit was what it was; without concepts.
    std::vector<generated> generate(std::span<const token_id> prompt, std::size_t count,
                                    const sampling_request& sampling, const edit_flags& edits,
                                    const token_seen& seen,
                                    attribution_log* explained = nullptr) const;
    /// The best text that beam search finds, without its end token.
    [[nodiscard]] std::vector<generated> search_beams(std::span<const token_id> prompt,
                                                      std::size_t count,
                                                      const beam_request& request,
                                                      const edit_flags& edits,
                                                      const text_complete& complete) const;
    [[nodiscard]] perplexity_result perplexity(std::span<const token_id> tokens,
                                               const perplexity_windows& windows,
                                               const edit_flags& edits,
                                               const progress& report) const;
    /// Saturation and elimination events of a text (events/events.hpp); `model` and `precision` of
    /// the run are filled in.
    [[nodiscard]] event_statistics events(event_run run, const progress& report) const;

    /// Fits a rule on the first four fifths of a text, calibrates it on the rest, and writes it.
    [[nodiscard]] early_exit::exit_report fit_exit(std::span<const token_id> tokens,
                                                   const exit_request& request,
                                                   const std::string& path,
                                                   const progress& report) const;
    /// Measures rules: fitted ones, and by name ones that are fitted and calibrated on `fit`, or on
    /// the first half of the text if that is empty, the second being measured then. One pass for
    /// all.
    [[nodiscard]] std::vector<early_exit::exit_report> evaluate_exit(
        std::span<const token_id> tokens, std::span<const token_id> fit,
        const exit_request& request, const progress& report) const;
    /// The paper's table on the tokens of a text (early_exit/paper_table.hpp).
    [[nodiscard]] std::vector<early_exit::split_row> exit_table(
        std::span<const token_id> tokens, std::span<const std::uint64_t> seeds,
        const exit_request& request, const progress& report) const;
    /// From now on generate and perplexity leave the model early by this rule, and trace marks
    /// where that would be: the name of one that needs no fit, or a file.
    void use_exit(const std::string& rule);

private:
    struct parts;

    [[nodiscard]] attribution explain(const observe_updates& seen, token_id token,
                                      std::size_t limit) const;

    std::unique_ptr<parts> m_parts;
};

}  // namespace xlens::program
