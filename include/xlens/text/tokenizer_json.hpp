// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/text/tokenizer.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(text)
#include <xlens/core/error.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/storage/guarded.hpp>
#include <xlens/text/byte_alphabet.hpp>
#include <xlens/text/byte_tokens.hpp>
#include <xlens/text/end_tokens.hpp>
#include <xlens/text/space_mark.hpp>
#include <xlens/text/template_files.hpp>
#include <xlens/text/tokenizer_json_steps.hpp>
#endif

namespace xlens {

/// The tokenizer of a Hugging Face tokenizer.json: BPE, byte-level or with byte fallback, with its
/// normaliser, pre-tokeniser, added tokens and post-processor. A tokenizer_config.json beside it
/// names bos and eos and holds the chat template or several, unless there is a chat_template.jinja
/// or a folder additional_chat_templates; its add_bos_token counts where the
/// post-processor adds nothing. Ids must be dense. Throws xlens::error for whatever is missing,
/// inconsistent or not supported.
XLENS_API tokenizer load_tokenizer_json(const std::filesystem::path& path);

#if XLENS_DEFINES(text)
namespace detail {

/// model.vocab, each id once. Whether the ids leave gaps shows only with the added tokens.
inline token_map read_vocabulary(const json_field& model) {
    const json_field field = model.at("vocab");
    field.expect(field.value().is_object(), "an object");
    token_map out;
    for (const auto& [token, id] : field.value().object()) {
        const json_field entry(id, fmt::format("{}.\"{}\"", field.place(), printable(token)));
        out.emplace(token, entry.id());
    }
    return out;
}

/// model.merges: strings "a b" or pairs [a, b].
inline std::vector<merge_parts> read_merges(const json_field& model) {
    std::vector<merge_parts> out;
    const json_field field = model.at("merges");
    field.expect(field.value().is_list(), "a list");
    out.reserve(field.value().list().size());
    for (const json_field& item : field.items()) {
        if (item.value().is_string()) {
            out.push_back(parse_merge(item.string(), item.place()));
            continue;
        }
        const std::vector<json_field> pair = item.items();
        item.expect(pair.size() == 2, "two tokens");
        out.emplace_back(pair[0].string(), pair[1].string());
    }
    return out;
}

inline std::vector<added_token> read_added_tokens(const json_field& root) {
    std::vector<added_token> out;
    const auto field = root.find("added_tokens");
    if (!field) { return out; }
    for (const json_field& item : field->items()) {
        added_token& token = out.emplace_back();
        token.id = item.at("id").id();
        token.content = item.at("content").string();
        token.special = item.flag("special", false);
        token.left_strip = item.flag("lstrip", false);
        token.right_strip = item.flag("rstrip", false);
        token.single_word = item.flag("single_word", false);
        token.normalized = item.flag("normalized", !token.special);
    }
    return out;
}

/// Every token by id. Throws where an id is used twice or not at all.
inline std::vector<std::string> number_tokens(const token_map& vocabulary,
                                              const std::vector<added_token>& added,
                                              std::string_view file) {
    std::size_t count = vocabulary.size();
    for (const added_token& token : added) {
        const auto known = find_token(vocabulary, token.content);
        if (known && *known != token.id) {
            fail("{}: added_tokens: {} has id {}, but {} in model.vocab", file,
                 printable(token.content), token.id, *known);
        }
        count += known ? 0 : 1;
    }
    std::vector<std::optional<std::string>> by_id(count);
    const auto place = [&](const std::string& token, token_id id) {
        if (static_cast<std::size_t>(id) >= count) {
            fail("{}: token {} has id {}, expected 0 to {}: {} tokens without gaps", file,
                 printable(token), id, count - 1, count);
        }
        auto& slot = by_id[static_cast<std::size_t>(id)];
        if (slot && *slot != token) {
            fail("{}: id {} belongs to {} and to {}", file, id, printable(*slot), printable(token));
        }
        slot = token;
    };
    for (const auto& [token, id] : vocabulary) { place(token, id); }
    for (const added_token& token : added) { place(token.content, token.id); }
    std::vector<std::string> out;
    for (auto& slot : by_id) {
        if (!slot) { fail("{}: id {} of {} has no token", file, out.size(), count); }
        out.push_back(std::move(*slot));
    }
    return out;
}

inline token_entry read_entry(const std::string& token, const spelling& how, bool byte_fallback,
                              const std::string& file) {
    if (byte_fallback && looks_like_byte_token(token)) {
        const auto byte = parse_byte_token(token);
        if (!byte) {
            fail("{}: model.vocab: expected a byte token <0x00> to <0xFF>, got {}", file,
                 printable(token));
        }
        return {std::string(1, static_cast<char>(*byte)), false, true};
    }
    if (how.byte_level) { return {from_byte_alphabet(token).value_or(token), false, false}; }
    return {how.mark.empty() ? token : unmark_spaces(token, how.mark), false, false};
}

inline bpe read_bpe(const json_field& model, token_map vocabulary, const std::string& file) {
    for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
        if (const auto field = model.find(key)) {
            field->expect(field->string().empty(), "nothing: it is not supported");
        }
    }
    if (const auto dropout = model.find("dropout")) {
        const json_value& rate = dropout->value();
        dropout->expect(rate.is_number() && rate.number() == 0.0,
                        "null: merging at random is not supported");
    }
    bpe_options options;
    options.ignore_merges = model.flag("ignore_merges", false);
    options.byte_fallback = model.flag("byte_fallback", false);
    options.fuse_unknown = model.flag("fuse_unk", false);
    if (const auto unknown = model.find("unk_token")) {
        options.unknown = find_token(vocabulary, unknown->string());
        unknown->expect(options.unknown.has_value(), "a token of model.vocab");
    }
    return {std::move(vocabulary), read_merges(model), options, file + ": model"};
}

/// The special tokens that the post-processor puts around one text.
inline void read_post_processor(const json_field& field, tokenizer_parts& parts) {
    const std::string type = field.at("type").string();
    if (type == "Sequence") {
        for (const json_field& item : field.at("processors").items()) {
            read_post_processor(item, parts);
        }
        return;
    }
    if (type == "ByteLevel") { return; }  // concerns offsets only
    if (type != "TemplateProcessing") {
        unknown_type(field, "Sequence, ByteLevel, TemplateProcessing");
    }
    bool seen_text = false;
    for (const json_field& item : field.at("single").items()) {
        if (item.find("Sequence")) {
            item.expect(!seen_text, "the text once");
            seen_text = true;
            continue;
        }
        const std::string name = item.at("SpecialToken").at("id").string();
        for (const json_field& id : field.at("special_tokens").at(name).at("ids").items()) {
            id.expect(static_cast<std::size_t>(id.id()) < parts.tokens.size(),
                      fmt::format("an id below {}", parts.tokens.size()));
            (seen_text ? parts.suffix : parts.prefix).push_back(id.id());
        }
    }
    field.at("single").expect(seen_text, "the text once");
}

/// A token that tokenizer_config.json names, as a string or as {"content": string}.
inline std::optional<token_id> read_named_token(const json_field& config, std::string_view key,
                                                const std::vector<std::string>& tokens) {
    const auto field = config.find(key);
    if (!field) { return std::nullopt; }
    const json_field name = field->value().is_object() ? field->at("content") : *field;
    const std::string content = name.string();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i] == content) { return static_cast<token_id>(i); }
    }
    fail("{}: {} is not a token of tokenizer.json", name.place(), printable(content));
}

/// bos, eos and chat template; and the tokens around a prompt, unless the post-processor decided.
inline void read_config(const json_field& config, const std::vector<std::string>& tokens,
                        bool has_template, tokenizer_parts& parts) {
    parts.bos = read_named_token(config, "bos_token", tokens);
    parts.eos = read_named_token(config, "eos_token", tokens);
    const auto surround = [&](std::string_view key, std::optional<token_id> token,
                              std::vector<token_id>& out) {
        if (has_template || !config.flag(key, false)) { return; }
        if (!token) { fail("{}: {} is true, but the token is not named", config.place(), key); }
        out.push_back(*token);
    };
    surround("add_bos_token", parts.bos, parts.prefix);
    surround("add_eos_token", parts.eos, parts.suffix);
    if (const auto chat = config.find("chat_template")) { read_template_field(*chat, parts); }
    for (const char* key : {"unk_token", "pad_token", "sep_token", "cls_token", "mask_token"}) {
        if (const auto token = config.find(key)) {
            const json_field name = token->value().is_object() ? token->at("content") : *token;
            parts.named_tokens[key] = name.string();
        }
    }
}

inline tokenizer read_tokenizer(const std::filesystem::path& path) {
    const std::string file = printable(path.string(), 4096);
    const json_value document = read_json(path);
    const json_field root(document, file, ": ");
    const json_field model = root.at("model");
    if (const auto type = model.find("type")) {  // the oldest files have none
        type->expect(type->string() == "BPE", "BPE, the only model that is supported");
    }
    token_map vocabulary = read_vocabulary(model);
    std::vector<added_token> added = read_added_tokens(root);
    const std::vector<std::string> names = number_tokens(vocabulary, added, file);

    std::vector<normalizer::step> normal_steps;
    if (const auto field = root.find("normalizer")) { read_normalizer(*field, normal_steps); }
    std::vector<pre_tokenizer::step> cut_steps;
    if (const auto field = root.find("pre_tokenizer")) { read_pre_tokenizer(*field, cut_steps); }
    spelling how;
    if (const auto field = root.find("decoder")) { read_decoder(*field, how); }
    for (const auto& step : cut_steps) {
        how.byte_level = how.byte_level || std::holds_alternative<byte_level_step>(step);
    }
    std::vector<token_entry> entries;
    for (const std::string& name : names) {
        entries.push_back(read_entry(name, how, model.flag("byte_fallback", false), file));
    }
    for (const added_token& token : added) {
        entries[static_cast<std::size_t>(token.id)] = {token.content, token.special, false};
    }

    bpe merging = read_bpe(model, std::move(vocabulary), file);
    tokenizer_parts parts{file,
                          std::move(entries),
                          std::move(added),
                          normalizer(std::move(normal_steps)),
                          pre_tokenizer(std::move(cut_steps)),
                          std::move(merging),
                          {},
                          {},
                          {},
                          {},
                          {},
                          how.drops_leading_space,
                          {}};
    const auto processor = root.find("post_processor");
    if (processor) { read_post_processor(*processor, parts); }
    const bool has_template = !parts.prefix.empty() || !parts.suffix.empty();
    if (!parts.prefix.empty()) { parts.bos = parts.prefix.front(); }
    const std::filesystem::path beside = path.parent_path() / "tokenizer_config.json";
    if (std::filesystem::exists(beside)) {
        const json_value config = read_json(beside);
        read_config({config, printable(beside.string(), 4096), ": "}, names, has_template, parts);
    }
    read_template_files(path.parent_path(), parts);
    parts.ends = end_tokens_of_folder(path.parent_path());
    return tokenizer(std::move(parts));
}

}  // namespace detail

XLENS_API tokenizer load_tokenizer_json(const std::filesystem::path& path) {
    return guarded(printable(path.string(), 4096), [&] { return detail::read_tokenizer(path); });
}
#endif

}  // namespace xlens
