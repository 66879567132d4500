// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/sort_once.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/text/added_tokens.hpp>
#include <xlens/text/end_tokens.hpp>
#include <xlens/text/template_files.hpp>
#include <xlens/text/token_map.hpp>
#include <xlens/text/tokenizer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace xlens::detail {

/// A token that is written as an object, as in tokenizer.json's added_tokens.
inline added_token read_added_token(const json_field& item, token_id id) {
    added_token token;
    token.id = id;
    token.content = item.at("content").string();
    token.special = item.flag("special", false);
    token.left_strip = item.flag("lstrip", false);
    token.right_strip = item.flag("rstrip", false);
    token.single_word = item.flag("single_word", false);
    token.normalized = item.flag("normalized", !token.special);
    return token;
}

inline std::vector<added_token> read_added_tokens(const json_field& root) {
    std::vector<added_token> out;
    const auto field = root.find("added_tokens");
    if (!field) { return out; }
    for (const json_field& item : field->items()) {
        out.push_back(read_added_token(item, item.at("id").id()));
    }
    return out;
}

/// What a class of tokenizers calls bos and eos, if these are in the vocabulary and the files name
/// no others.
struct usual_ends {
    std::string_view bos;
    std::string_view eos;
};

/// The files that stand beside a vocabulary, merged as transformers 5 does: tokenizer_config.json
/// with its added_tokens_decoder; without that, special_tokens_map.json over it, and
/// added_tokens.json. A token that they name as bos, eos, pad, ... is special. One that is in no
/// vocabulary is left alone: no row of the embedding can be meant.
class tokenizer_files {
public:
    explicit tokenizer_files(std::filesystem::path folder) : m_folder(std::move(folder)) {
        m_config = read(m_folder / "tokenizer_config.json");
        const auto config = m_config ? std::optional(m_config->root()) : std::nullopt;
        if (config && config->find("added_tokens_decoder")) { return; }
        m_special = read(m_folder / "special_tokens_map.json");
        m_added = read(m_folder / "added_tokens.json");
    }

    /// The member `key`: of special_tokens_map.json where it has one, else of
    /// tokenizer_config.json.
    [[nodiscard]] std::optional<json_field> find(std::string_view key) const {
        for (const auto* file : {&m_special, &m_config}) {
            if (!*file) { continue; }
            if (auto found = (*file)->root().find(key)) { return found; }
        }
        return std::nullopt;
    }

    /// A class of transformers, without the "Fast" at its end; empty where there is none.
    [[nodiscard]] std::string tokenizer_class() const {
        const auto name = m_config ? m_config->root().find("tokenizer_class") : std::nullopt;
        std::string out = name ? name->string() : "";
        if (out.ends_with("Fast")) { out.resize(out.size() - 4); }
        return out;
    }

    /// Adds the tokens that the files name to those of tokenizer.json.
    void add_tokens(const token_map& vocabulary, std::vector<added_token>& added,
                    const usual_ends& usual = {}) const {
        std::vector<added_token> listed = decoder_tokens();
        for (added_token& token : legacy_tokens()) { listed.push_back(std::move(token)); }
        token_map places;  // of the added ones in their list, by content
        for (std::size_t i = 0; i < added.size(); ++i) {
            places.try_emplace(added[i].content, static_cast<token_id>(i));
        }
        for (added_token& token : listed) { merge(vocabulary, std::move(token), places, added); }
        for (const json_field& name : special_names()) {
            make_special(vocabulary, name, places, added);
        }
        for (const auto& [key, content] :
             {std::pair{"bos_token", usual.bos}, std::pair{"eos_token", usual.eos}}) {
            const auto id = find_token(vocabulary, content);
            if (id && !find(key) && !find_token(places, content)) {
                append({*id, std::string(content), true}, places, added);
            }
        }
    }

    /// bos, eos and chat template; and the tokens around a prompt, which the post-processor decides
    /// where it adds any. Where it adds none, add_bos_token and add_eos_token of Llama's class and
    /// its like count, as in transformers 4 and in llama.cpp's converter.
    void set_ends(const std::vector<std::string>& names, tokenizer_parts& parts,
                  const usual_ends& usual) const {
        const bool decided = !parts.prefix.empty() || !parts.suffix.empty();
        if (const auto bos = named(names, "bos_token", usual.bos)) { parts.bos = bos; }
        parts.eos = named(names, "eos_token", usual.eos);
        constexpr std::array<std::string_view, 4> classes{"LlamaTokenizer", "CodeLlamaTokenizer",
                                                          "GemmaTokenizer", "CohereTokenizer"};
        if (!decided && std::ranges::find(classes, tokenizer_class()) != classes.end()) {
            add_flagged(false, parts);
        }
        set_chat(parts);
    }

    /// Puts bos and eos around prompts as add_bos_token and add_eos_token say, which for files
    /// without a post-processor is all there is. `bos_otherwise`: where add_bos_token is missing.
    void add_flagged(bool bos_otherwise, tokenizer_parts& parts) const {
        const auto put = [&](std::string_view key, bool otherwise,
                             const std::optional<token_id>& token, std::vector<token_id>& to) {
            if (!flag(key, otherwise)) { return; }
            if (!token) {
                fail("{}: {} is true, but the token is not named", m_config ? m_config->name : "",
                     key);
            }
            to.push_back(*token);
        };
        put("add_bos_token", bos_otherwise && parts.bos, parts.bos, parts.prefix);
        put("add_eos_token", false, parts.eos, parts.suffix);
    }

    /// Chat templates, the tokens that these know by name, and what ends a generated text.
    void set_chat(tokenizer_parts& parts) const {
        const auto chat = m_config ? m_config->root().find("chat_template") : std::nullopt;
        if (chat) { read_template_field(*chat, parts); }
        read_template_files(m_folder, parts);
        for (const char* key : {"unk_token", "pad_token", "sep_token", "cls_token", "mask_token"}) {
            if (const auto token = find(key)) { parts.named_tokens[key] = content_of(*token); }
        }
        parts.ends = end_tokens_of_folder(m_folder);
    }

    /// The token that the files name `key`; else `usual`, if there is such a token.
    [[nodiscard]] std::optional<token_id> named(const std::vector<std::string>& names,
                                                std::string_view key,
                                                std::string_view usual = "") const {
        const auto field = find(key);
        const std::string content = field ? content_of(*field) : std::string(usual);
        if (content.empty()) { return std::nullopt; }
        const auto place = std::ranges::find(names, content);
        if (place != names.end()) { return static_cast<token_id>(place - names.begin()); }
        if (!field) { return std::nullopt; }
        fail("{}: {} is not a token of the vocabulary", field->place(), printable(content));
    }

    [[nodiscard]] bool flag(std::string_view key, bool otherwise) const {
        return m_config ? m_config->root().flag(key, otherwise) : otherwise;
    }

private:
    struct document {
        json_value value;
        std::string name;
        [[nodiscard]] json_field root() const { return {value, name, ": "}; }
    };

    static std::optional<document> read(const std::filesystem::path& path) {
        std::error_code ignored;
        if (!std::filesystem::exists(path, ignored)) { return std::nullopt; }
        return document{read_json(path), printable(path.string(), 4096)};
    }

    static std::string content_of(const json_field& field) {
        return field.value().is_object() ? field.at("content").string() : field.string();
    }

    /// tokenizer_config.json: added_tokens_decoder, {"7": {"content": ...}}, in order of id.
    [[nodiscard]] std::vector<added_token> decoder_tokens() const {
        const auto field = m_config ? m_config->root().find("added_tokens_decoder") : std::nullopt;
        std::map<token_id, added_token> out;
        if (!field) { return {}; }
        field->expect(field->value().is_object(), "an object");
        for (const auto& [key, value] : field->value().object()) {
            const json_field item(value, fmt::format("{}.\"{}\"", field->place(), printable(key)));
            token_id id = 0;
            const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
            if (error != std::errc{} || end != key.data() + key.size() || id < 0) {
                fail("{}: expected an id from 0 to 2147483647 as key", item.place());
            }
            out.emplace(id, read_added_token(item, id));
        }
        std::vector<added_token> list;
        for (auto& [id, token] : out) { list.push_back(std::move(token)); }
        return list;
    }

    /// added_tokens.json, {"<token>": 7}, in order of id.
    [[nodiscard]] std::vector<added_token> legacy_tokens() const {
        std::vector<added_token> out;
        if (!m_added) { return out; }
        const json_field root = m_added->root();
        root.expect(root.value().is_object(), "an object");
        for (const auto& [content, value] : root.value().object()) {
            const json_field item(value, fmt::format("{}: {}", m_added->name, printable(content)));
            added_token& token = out.emplace_back();
            token.id = item.id();
            token.content = content;
            token.normalized = true;
        }
        sort_once(out, [](const added_token& a, const added_token& b) { return a.id < b.id; });
        return out;
    }

    /// The fields that name special tokens.
    [[nodiscard]] std::vector<json_field> special_names() const {
        std::vector<json_field> out;
        for (const std::string_view key : {"bos_token", "eos_token", "unk_token", "sep_token",
                                           "pad_token", "cls_token", "mask_token"}) {
            if (const auto field = find(key)) { out.push_back(*field); }
        }
        for (const std::string_view key : {"additional_special_tokens", "extra_special_tokens"}) {
            const auto field = find(key);
            if (!field || !field->value().is_list()) { continue; }
            for (const json_field& item : field->items()) { out.push_back(item); }
        }
        return out;
    }

    static added_token* find_added(std::string_view content, const token_map& places,
                                   std::vector<added_token>& added) {
        const auto place = find_token(places, content);
        return place ? &added[static_cast<std::size_t>(*place)] : nullptr;
    }
    static void append(added_token token, token_map& places, std::vector<added_token>& added) {
        places.emplace(token.content, static_cast<token_id>(added.size()));
        added.push_back(std::move(token));
    }

    /// The flags of a token that is there already are those that come last.
    static void merge(const token_map& vocabulary, added_token token, token_map& places,
                      std::vector<added_token>& added) {
        added_token* same = find_added(token.content, places, added);
        const auto known = find_token(vocabulary, token.content);
        const std::optional<token_id> id = same != nullptr ? std::optional(same->id) : known;
        if (id && *id != token.id) {
            fail("added token {}: expected id {}, that of the vocabulary, got {}",
                 printable(token.content), *id, token.id);
        }
        if (same != nullptr) {
            *same = std::move(token);
        } else {
            append(std::move(token), places, added);
        }
    }

    static void make_special(const token_map& vocabulary, const json_field& name, token_map& places,
                             std::vector<added_token>& added) {
        const std::string content = content_of(name);
        if (added_token* same = find_added(content, places, added)) {
            same->special = true;
        } else if (const auto id = find_token(vocabulary, content)) {
            added_token token;
            if (name.value().is_object()) { token = read_added_token(name, *id); }
            token.id = *id;
            token.content = content;
            token.special = true;
            if (!name.value().is_object()) { token.normalized = false; }
            append(std::move(token), places, added);
        }
    }

    std::filesystem::path m_folder;
    std::optional<document> m_config;
    std::optional<document> m_special;
    std::optional<document> m_added;
};

}  // namespace xlens::detail
