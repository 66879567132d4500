// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/function_ref.hpp>
#include <xlens/core/types.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#if XLENS_DEFINES(text)
#include <xlens/core/error.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/text/control_names.hpp>

#include <algorithm>
#include <string_view>
#endif

namespace xlens {

/// The tokens that end a generated text, as llama.cpp finds them in a GGUF file: `named` (its eos,
/// eot and eom) and those whose spelling is that of a known end token, ascending. `tokens` are the
/// spellings by id. Source: llama-vocab.cpp of llama.cpp, special_eog_ids; one thing differs:
/// "</s>" counts where it is a control token alone. In Gemma's vocabulary it is a piece of HTML.
[[nodiscard]] XLENS_API std::vector<token_id> end_tokens_by_spelling(
    std::span<const std::string> tokens, std::vector<token_id> named,
    function_ref<bool(token_id)> is_control);

/// The tokens that end a text in a Hugging Face folder, as transformers' generate has them: the
/// eos_token_id, a number or a list, of generation_config.json or, where that does not say, of
/// config.json; empty where neither does. Padded vocabularies may have more tokens than the
/// tokenizer, so that its size says nothing about them. Throws xlens::error for what is no id.
[[nodiscard]] XLENS_API std::vector<token_id> end_tokens_of_folder(
    const std::filesystem::path& folder);

#if XLENS_DEFINES(text)
XLENS_API std::vector<token_id> end_tokens_by_spelling(std::span<const std::string> tokens,
                                                       std::vector<token_id> named,
                                                       function_ref<bool(token_id)> is_control) {
    std::vector<token_id> out = std::move(named);
    const auto ends = [&](std::string_view spelling) {
        return std::ranges::any_of(
            out, [&](token_id id) { return tokens[static_cast<std::size_t>(id)] == spelling; });
    };
    const auto remove = [&](std::string_view spelling) {
        std::erase_if(
            out, [&](token_id id) { return tokens[static_cast<std::size_t>(id)] == spelling; });
    };
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto id = static_cast<token_id>(i);
        const bool is_end = tokens[i] == "</s>" ? is_control(id) : is_end_name(tokens[i]);
        if (is_end) { out.push_back(id); }
    }
    // Harmony and Solar write <|end|> between the messages of one answer; Gemma 4 and PLaMo have a
    // plain </s>.
    const bool calls = ends("<|call|>") || ends("<|calls|>");
    if (calls && (ends("<|return|>") || ends("<|flush|>"))) { remove("<|end|>"); }
    if (ends("<|tool_response>") || ends("<|plamo:eos|>")) { remove("</s>"); }
    std::ranges::sort(out);
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

XLENS_API std::vector<token_id> end_tokens_of_folder(const std::filesystem::path& folder) {
    for (const std::string_view name : {"generation_config.json", "config.json"}) {
        const std::filesystem::path path = folder / name;
        if (!std::filesystem::exists(path)) { continue; }
        const json_value document = read_json(path);
        const json_field root(document, printable(path.string(), 4096), ": ");
        const auto field = root.find("eos_token_id");
        if (!field) { continue; }
        std::vector<json_field> ids{*field};
        if (field->value().is_list()) { ids = field->items(); }
        std::vector<token_id> out;
        for (const json_field& id : ids) { out.push_back(id.id()); }
        return out;
    }
    return {};
}
#endif

}  // namespace xlens
