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
#include <xlens/text/space_mark.hpp>
#include <xlens/text/tokenizer_files.hpp>
#include <xlens/text/tokenizer_json_model.hpp>
#include <xlens/text/tokenizer_json_steps.hpp>

#include <algorithm>
#include <variant>
#endif

namespace xlens {

/// The tokenizer of a Hugging Face tokenizer.json: BPE, byte-level or with byte fallback, Unigram
/// or WordPiece, with its normaliser, pre-tokeniser, added tokens and post-processor. Files beside
/// it add tokens and name bos and eos; see tokenizer_files. Ids must be dense. Throws xlens::error
/// for whatever is missing, inconsistent or not supported.
XLENS_API tokenizer load_tokenizer_json(const std::filesystem::path& path);

#if XLENS_DEFINES(text)
namespace detail {

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
    if (how.joint) {
        const bool joined = token.starts_with(*how.joint);
        return {joined ? token.substr(how.joint->size()) : " " + token, false, false};
    }
    if (how.byte_level) { return {from_byte_alphabet(token).value_or(token), false, false}; }
    return {how.mark.empty() ? token : unmark_spaces(token, how.mark), false, false};
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
    if (type == "BertProcessing" || type == "RobertaProcessing") {
        const auto id = [&](std::string_view key) {
            const std::vector<json_field> pair = field.at(key).items();
            field.at(key).expect(pair.size() == 2, "a token and its id");
            pair[1].expect(static_cast<std::size_t>(pair[1].id()) < parts.tokens.size(),
                           fmt::format("an id below {}", parts.tokens.size()));
            return pair[1].id();
        };
        parts.prefix.push_back(id("cls"));
        parts.suffix.push_back(id("sep"));
        return;
    }
    if (type != "TemplateProcessing") {
        unknown_type(field,
                     "Sequence, ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing");
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

inline spelling read_spelling(const json_field& root,
                              const std::vector<pre_tokenizer::step>& steps) {
    spelling how;
    if (const auto field = root.find("decoder")) { read_decoder(*field, how); }
    for (const auto& step : steps) {
        how.byte_level = how.byte_level || std::holds_alternative<byte_level_step>(step);
    }
    return how;
}

/// Metaspace's "first" asks where the first character stood before it was normalised, which is not
/// kept here: refuses normalisers that may drop it.
inline void check_start(const json_field& root, const std::vector<normalizer::step>& normal,
                        const std::vector<pre_tokenizer::step>& cuts) {
    const bool first = std::ranges::any_of(cuts, [](const auto& step) {
        const auto* metaspace = std::get_if<metaspace_step>(&step);
        return metaspace != nullptr && metaspace->scheme == prepend_scheme::first;
    });
    const bool drops = std::ranges::any_of(normal, [](const auto& step) {
        const auto* replace = std::get_if<replace_all>(&step);
        return !std::holds_alternative<normal_form>(step) &&
               !std::holds_alternative<lower_case>(step) &&
               !std::holds_alternative<prepend>(step) &&
               (replace == nullptr || replace->text.empty());
    });
    if (first && drops) {
        fail(
            "{}: Metaspace with prepend_scheme first is not supported behind a normalizer that "
            "drops characters",
            root.at("pre_tokenizer").place());
    }
}

/// `document` is the tokenizer.json `file`; the files beside it say more, and name bos and eos
/// where they are not as usual.
inline tokenizer_parts read_tokenizer(const json_value& document, const std::string& file,
                                      const tokenizer_files& beside, const usual_ends& usual = {}) {
    const json_field root(document, file, ": ");
    const json_field model = root.at("model");
    token_map vocabulary = read_vocabulary(model);
    std::vector<added_token> added = read_added_tokens(root);
    beside.add_tokens(vocabulary, added, usual);
    const std::vector<std::string> names = number_tokens(vocabulary, added, file);

    std::vector<normalizer::step> normal_steps;
    if (const auto field = root.find("normalizer")) { read_normalizer(*field, normal_steps); }
    std::vector<pre_tokenizer::step> cut_steps;
    if (const auto field = root.find("pre_tokenizer")) { read_pre_tokenizer(*field, cut_steps); }
    check_start(root, normal_steps, cut_steps);
    const spelling how = read_spelling(root, cut_steps);
    std::vector<token_entry> entries;
    for (const std::string& name : names) {
        entries.push_back(read_entry(name, how, model.flag("byte_fallback", false), file));
    }
    std::vector<bool> special(names.size());
    for (const added_token& token : added) {
        const auto id = static_cast<std::size_t>(token.id);
        entries[id] = {token.content, token.special, false};
        special[id] = token.special;
    }

    any_token_model merging = read_model(model, std::move(vocabulary), special, file);
    tokenizer_parts parts{.file = file,
                          .tokens = std::move(entries),
                          .added = std::move(added),
                          .normalize = normalizer(std::move(normal_steps)),
                          .cut = pre_tokenizer(std::move(cut_steps)),
                          .model = std::move(merging),
                          .drops_leading_space = how.drops_leading_space};
    const auto processor = root.find("post_processor");
    if (processor) { read_post_processor(*processor, parts); }
    if (!parts.prefix.empty()) { parts.bos = parts.prefix.front(); }
    beside.set_ends(names, parts, usual);
    return parts;
}

}  // namespace detail

XLENS_API tokenizer load_tokenizer_json(const std::filesystem::path& path) {
    const std::string file = printable(path.string(), 4096);
    return guarded(file, [&] {
        const detail::tokenizer_files beside(path.parent_path());
        return tokenizer(detail::read_tokenizer(read_json(path), file, beside));
    });
}
#endif

}  // namespace xlens
