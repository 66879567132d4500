// SPDX-License-Identifier: BSD-3-Clause
#include "engine_parts.hpp"

#include "model_path.hpp"
#include "value_concept.hpp"

#include <xlens/concepts/concept_index.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/core/token.hpp>
#include <xlens/early_exit/would_exit.hpp>
#include <xlens/storage/fingerprint.hpp>
#include <xlens/text/templates/chat_template.hpp>
#include <xlens/trace/attribution.hpp>
#include <xlens/trace/trace.hpp>

#include <type_traits>

namespace xlens::program {

namespace {

xlens::model open(const std::filesystem::path& path, const common_flags& flags) {
    if (flags.threads) { set_threads(*flags.threads); }
    return load(path, {.precision = flags.computed_in()});
}

/// What the model's chat template makes of the prompt; its special tokens are tokens.
std::vector<token_id> chat_tokens(const tokenizer& text, const prompt_flags& prompt) {
    std::vector<chat_message> messages;
    if (prompt.system) { messages.push_back({"system", *prompt.system}); }
    messages.push_back({"user", *prompt.text});
    return text.encode(render_chat(text, messages), true);
}

void check_tokens(std::span<const token_id> tokens, const hyperparameters& config) {
    for (const token_id id : tokens) { check_token(id, config.vocabulary, "--ids"); }
}

}  // namespace

engine::engine(const common_flags& flags) {
    const std::filesystem::path path = model_path(flags.model);
    m_parts = std::make_unique<parts>(parts{path.string(), flags.precision, open(path, flags)});
}
engine::~engine() = default;

const std::string& engine::path() const { return m_parts->path; }
const hyperparameters& engine::config() const { return m_parts->model.config; }

model_facts engine::facts() const {
    const tensor_map& tensors = m_parts->model.tensors();
    model_facts out;
    out.fingerprint = fingerprint(tensors);
    for (const auto& [name, tensor] : tensors) {
        std::uint64_t weights = 1;
        for (const std::size_t size : tensor.shape) { weights *= size; }
        out.parameters += weights;
    }
    const auto& ffn = m_parts->model.blocks.front().ffn;
    out.activation = ffn.activation().name;
    out.gated = ffn.is_gated();
    return out;
}

std::string engine::manifest() const {
    return fmt::format("model {:016x}, precision {}, instruction set {}, threads {}",
                       m_parts->model.fingerprint(), m_parts->precision, instruction_set(),
                       max_threads());
}

const tokenizer& engine::text() const { return m_parts->model.tokenizer(); }

std::string engine::token_text(token_id id) const { return replace_invalid(token_bytes(id)); }

std::string engine::token_bytes(token_id id) const {
    const xlens::model& model = m_parts->model;
    const bool known =
        model.has_tokenizer() && static_cast<std::size_t>(id) < model.tokenizer().size();
    return known ? model.tokenizer().bytes(id) : std::string();
}

std::vector<token_id> engine::read(const prompt_flags& prompt) const {
    prompt.check();
    std::vector<token_id> out = prompt.ids    ? parse_ids(*prompt.ids)
                                : prompt.chat ? chat_tokens(text(), prompt)
                                              : text().encode_prompt(*prompt.text);
    if (prompt.ids) { check_tokens(out, config()); }
    if (out.empty()) {
        fail("--prompt: expected at least 1 token, got 0 ('{}'); the model has no start token",
             printable(*prompt.text));
    }
    if (out.size() > config().context) {
        fail("{}: {} tokens, the model reads at most {}", prompt.ids ? "--ids" : "--prompt",
             out.size(), config().context);
    }
    return out;
}

std::vector<traced_position> engine::trace(std::span<const token_id> tokens,
                                           const trace_request& request, const edit_flags& edits,
                                           const progress& report) const {
    dynamic_policies policies = policies_of(edits, m_parts->model, tokens.size());
    const trace_options options{
        request.top, request.sub_updates,
        request.all_positions ? observe::positions::all : observe::positions::last, report};
    std::optional<early_exit::would_exit<early_exit::any_rule>> exits;
    if (m_parts->exit) {
        exits.emplace(m_parts->exit->rule, m_parts->exit->threshold);
        policies.borrow(*exits);
    }
    std::vector<traced_position> out = xlens::trace(m_parts->model, tokens, options, policies);
    for (traced_position& p : out) {
        if (exits) { p.exit_layer = exits->layers()[p.position]; }
    }
    return out;
}

value_concept engine::concept_of(const neuron& where, std::size_t top,
                                 std::string_view form) const {
    check_neuron(where, config().layers, config().inner_width);
    xt::xtensor<float, 2> value = xt::empty<float>({std::size_t{1}, config().width});
    const auto& model = m_parts->model;
    model.blocks[where.layer].ffn.value(where.index, rows<float>(value)[0]);
    double squares = 0.0;
    for (const float x : value) { squares += double{x} * double{x}; }
    auto ends = logit_lens(model).project(value, top, parse_projection(form));
    return value_concept{static_cast<float>(std::sqrt(squares)), std::move(ends.front())};
}

void engine::write_index(const std::string& path, std::size_t top, std::string_view form,
                         const progress& report) const {
    const auto& model = m_parts->model;
    xlens::write_index(model, m_parts->model.fingerprint(), top, parse_projection(form), path,
                       report);
}

}  // namespace xlens::program
