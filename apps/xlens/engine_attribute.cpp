// SPDX-License-Identifier: BSD-3-Clause
#include "engine_parts.hpp"

#include <xlens/concepts/value_concepts.hpp>
#include <xlens/core/token.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/text/tokenizer.hpp>
#include <xlens/trace/attribute.hpp>

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>

namespace xlens::program {

namespace {

/// "#7042" or "7042".
std::optional<std::uint64_t> number_in(std::string_view text) {
    if (text.starts_with('#')) { text.remove_prefix(1); }
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end) { return std::nullopt; }
    return value;
}

[[noreturn]] void refuse_text(std::string_view flag, std::string_view text,
                              const tokenizer& words) {
    constexpr std::size_t shown = 8;
    const std::vector<token_id> ids = words.encode(text);
    if (ids.empty()) {
        fail("{}: expected the text of a token or its id, got '{}', which has no token", flag,
             printable(text));
    }
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < std::min(shown, ids.size()); ++i) {
        parts.push_back(fmt::format("'{}'", printable(words.bytes(ids[i]))));
    }
    if (ids.size() > shown) { parts.emplace_back("..."); }
    fail("{}: expected one token, got '{}', which is {}: {}", flag, printable(text), ids.size(),
         joined(parts, ", "));
}

}  // namespace

token_id engine::read_token(std::string_view flag, std::string_view text) const {
    const bool has_text = m_parts->model.has_tokenizer();
    if (has_text && !text.empty()) {
        if (const auto id = this->text().find(text)) { return *id; }
    }
    if (const auto number = number_in(text)) {
        check_token(*number, config().vocabulary, flag);
        return static_cast<token_id>(*number);
    }
    if (!has_text) {
        fail("{}: expected a token's id, for the model has no tokenizer; got '{}'", flag,
             printable(text));
    }
    refuse_text(flag, text, this->text());
}

attribution engine::attribute(std::span<const token_id> tokens, const attribution_request& request,
                              const edit_flags& edits, const progress& report) const {
    dynamic_policies policies = policies_of(edits, m_parts->model, tokens.size());
    const attribution_options options{request.token, request.against, request.position,
                                      request.limit, report};
    const auto& model = m_parts->model;
    attribution out = xlens::attribute(model, tokens, options, policies);
    add_concepts(logit_lens(model), model.value_matrices(), request.top, [&](auto&& visit) {
        for (sub_update_contribution& s : out.sub_updates) { visit(s.where, s.concept_of_value); }
    });
    return out;
}

std::vector<attribution> engine::attribute_predictions(std::span<const token_id> tokens,
                                                       bool all_positions, std::size_t limit,
                                                       const edit_flags& edits,
                                                       const progress& report) const {
    dynamic_policies policies = policies_of(edits, m_parts->model, tokens.size());
    const auto which = all_positions ? observe::positions::all : observe::positions::last;
    return xlens::attribute_predictions(m_parts->model, tokens, {which, limit, report}, policies);
}

attribution engine::explain(const observe_updates& seen, token_id token, std::size_t limit) const {
    const attribution_target target{0, token, {}};
    const auto& model = m_parts->model;
    return std::move(attributor(model, limit)(seen, std::span(&target, 1)).front());
}

}  // namespace xlens::program
