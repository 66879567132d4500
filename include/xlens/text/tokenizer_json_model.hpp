// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/json/field.hpp>
#include <xlens/text/bpe.hpp>
#include <xlens/text/sentencepiece.hpp>
#include <xlens/text/token_map.hpp>
#include <xlens/text/unigram.hpp>
#include <xlens/text/wordpiece.hpp>

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// The model of a tokenizer.json, by its `type`.
namespace xlens::detail {

/// model.vocab, each id once; of Unigram a list of [token, score]. Whether the ids leave gaps shows
/// only with the added tokens.
inline token_map read_vocabulary(const json_field& model) {
    const json_field field = model.at("vocab");
    token_map out;
    if (field.value().is_list()) {
        for (const json_field& item : field.items()) {
            const std::vector<json_field> pair = item.items();
            item.expect(pair.size() == 2, "a token and its score");
            const auto id = static_cast<token_id>(out.size());
            if (!out.emplace(pair[0].string(), id).second) {
                fail("{}: {} is there already", item.place(), printable(pair[0].string()));
            }
        }
        return out;
    }
    field.expect(field.value().is_object(), "an object");
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

/// `special`: the tokens that are taken for what they are spelt as only where that is asked for.
inline unigram read_unigram(const json_field& model, const token_map& vocabulary,
                            const std::vector<bool>& special) {
    std::vector<unigram_token> tokens;
    for (const json_field& item : model.at("vocab").items()) {
        const std::vector<json_field> pair = item.items();
        unigram_token& token = tokens.emplace_back();
        token.text = pair[0].string();
        token.score = pair[1].number();
        token.found = !special[tokens.size() - 1];
    }
    model.at("vocab").expect(!tokens.empty(), "tokens");
    unigram_options options;
    if (const auto unknown = model.find("unk_id")) {
        options.unknown = unknown->id();
        unknown->expect(static_cast<std::size_t>(*options.unknown) < tokens.size(),
                        fmt::format("an id below {}", tokens.size()));
        tokens[static_cast<std::size_t>(*options.unknown)].found = false;
    }
    options.byte_fallback = model.flag("byte_fallback", false);
    unigram::byte_table bytes;
    for (std::size_t b = 0; b < bytes.size(); ++b) {
        bytes[b] = find_token(vocabulary, fmt::format("<0x{:02X}>", b));
    }
    return {tokens, bytes, options, model.place() + ".unk_id"};
}

inline wordpiece read_wordpiece(const json_field& model, token_map vocabulary,
                                const std::vector<bool>& special) {
    const json_field name = model.at("unk_token");
    const auto unknown = find_token(vocabulary, name.string());
    name.expect(unknown.has_value(), "a token of model.vocab");
    wordpiece_spelling how;
    if (const auto prefix = model.find("continuing_subword_prefix")) {
        how.next = prefix->string();
    }
    if (const auto longest = model.find("max_input_chars_per_word")) {
        how.longest = static_cast<std::size_t>(longest->id());
    }
    std::erase_if(vocabulary,
                  [&](const auto& item) { return special[static_cast<std::size_t>(item.second)]; });
    return {vocabulary, *unknown, how};
}

using any_token_model = std::variant<bpe, sentencepiece, unigram, wordpiece>;

inline any_token_model read_model(const json_field& model, token_map vocabulary,
                                  const std::vector<bool>& special, const std::string& file) {
    const auto named = model.find("type");
    // The oldest files have no type.
    const std::string type = named                                 ? named->string()
                             : model.at("vocab").value().is_list() ? "Unigram"
                             : model.find("merges")                ? "BPE"
                                                                   : "WordPiece";
    const bool list = model.at("vocab").value().is_list();
    if (type == "Unigram") { model.at("vocab").expect(list, "a list"); }
    if (type == "BPE" || type == "WordPiece") { model.at("vocab").expect(!list, "an object"); }
    if (type == "BPE") { return read_bpe(model, std::move(vocabulary), file); }
    if (type == "Unigram") { return read_unigram(model, vocabulary, special); }
    if (type == "WordPiece") { return read_wordpiece(model, std::move(vocabulary), special); }
    named->expect(false, "BPE, Unigram or WordPiece");
    return read_bpe(model, std::move(vocabulary), file);  // never: expect() has thrown
}

}  // namespace xlens::detail
