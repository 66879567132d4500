// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/text/byte_tokens.hpp>
#include <xlens/text/byte_trie.hpp>
#include <xlens/text/charsmap.hpp>
#include <xlens/text/piece_model.hpp>
#include <xlens/text/piece_text.hpp>
#include <xlens/text/space_mark.hpp>
#include <xlens/text/tokenizer.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace xlens {

namespace detail {

using piece_bytes = std::array<std::optional<token_id>, 256>;

inline std::optional<token_id> piece_id(const piece_model& model, std::int64_t id) {
    const bool there = id >= 0 && id < static_cast<std::int64_t>(model.pieces.size());
    return there ? std::optional(static_cast<token_id>(id)) : std::nullopt;
}

/// The unknown token, which the library asks of every model: the one of that type.
inline token_id piece_unknown(const piece_model& model, const std::string& file) {
    for (std::size_t i = 0; i < model.pieces.size(); ++i) {
        if (model.pieces[i].type == token_type::unknown) { return static_cast<token_id>(i); }
    }
    fail("{}: expected a piece of the type unknown, got none", file);
}

inline token_entry piece_entry(const piece_model& model, const piece_model::piece& piece,
                               const std::string& file) {
    const bool control = piece.type == token_type::control || piece.type == token_type::unknown;
    if (piece.type == token_type::byte) {
        const auto byte = parse_byte_token(piece.text);
        if (!byte) {
            fail("{}: expected a byte token <0x00> to <0xFF>, got {}", file, printable(piece.text));
        }
        return {std::string(1, static_cast<char>(*byte)), false, true};
    }
    const bool as_is = control || !model.marks_spaces;
    return {as_is ? piece.text : unmark_spaces(piece.text), control, false};
}

/// The user-defined tokens, or nothing where there are none.
inline std::shared_ptr<const byte_trie> user_pieces(const piece_model& model) {
    std::vector<std::pair<std::string_view, token_id>> out;
    for (std::size_t i = 0; i < model.pieces.size(); ++i) {
        if (model.pieces[i].type == token_type::user_defined) {
            out.emplace_back(model.pieces[i].text, static_cast<token_id>(i));
        }
    }
    return out.empty() ? nullptr : std::make_shared<const byte_trie>(std::move(out));
}

inline unigram piece_unigram(const piece_model& model, const piece_bytes& bytes, token_id unknown,
                             const std::string& file) {
    std::vector<unigram_token> tokens;
    for (const piece_model::piece& piece : model.pieces) {
        unigram_token& token = tokens.emplace_back();
        token.text = piece.text;
        token.score = piece.score;
        token.user_defined = piece.type == token_type::user_defined;
        token.counts = piece.type == token_type::normal;
        token.found = token.counts || token.user_defined;
    }
    return {tokens, bytes, {unknown, model.byte_fallback, true, true}, file};
}

inline sentencepiece piece_merges(const piece_model& model, const piece_bytes& bytes,
                                  token_id unknown, std::shared_ptr<const byte_trie> keeps,
                                  const std::string& file) {
    token_map vocabulary;
    std::vector<float> scores;
    sentencepiece_marks marks{std::move(keeps), {}};
    for (const piece_model::piece& piece : model.pieces) {
        if (piece.type == token_type::normal || piece.type == token_type::user_defined ||
            piece.type == token_type::unused) {
            vocabulary.emplace(piece.text, static_cast<token_id>(scores.size()));
        }
        scores.push_back(piece.score);
        marks.unused.push_back(piece.type == token_type::unused);
    }
    return {std::move(vocabulary), std::move(scores), bytes, unknown, file, std::move(marks)};
}

}  // namespace detail

/// The parts of the tokenizer of a SentencePiece model, with the ids of the sentencepiece library
/// for every valid UTF-8: nothing is put around a prompt. Control tokens are special. Throws
/// xlens::error.
inline tokenizer_parts make_piece_parts(const piece_model& model, const std::string& file) {
    std::vector<token_entry> entries;
    std::vector<added_token> added;
    detail::piece_bytes bytes;
    token_map all;
    for (const piece_model::piece& piece : model.pieces) {
        const auto id = static_cast<token_id>(entries.size());
        if (!all.emplace(piece.text, id).second) {
            fail("{}: pieces[{}]: {} is there already", file, id, printable(piece.text));
        }
        const token_entry& entry = entries.emplace_back(detail::piece_entry(model, piece, file));
        if (entry.special) { added.push_back({id, piece.text, true}); }
        if (entry.single_byte) { bytes[static_cast<unsigned char>(entry.bytes[0])] = id; }
    }
    const auto keeps = detail::user_pieces(model);
    const token_id unknown = detail::piece_unknown(model, file);
    piece_text how{
        nullptr,           keeps, model.adds_space, model.removes_spaces, model.marks_spaces,
        model.space_behind};
    if (!model.charsmap.empty()) {
        how.map = std::make_shared<const charsmap>(model.charsmap,
                                                   file + ": normalizer_spec.precompiled_charsmap");
    }
    if (!model.byte_fallback) { bytes = {}; }
    using any_model = decltype(tokenizer_parts::model);
    any_model merging = model.model_type == 2
                            ? any_model(detail::piece_merges(model, bytes, unknown, keeps, file))
                            : any_model(detail::piece_unigram(model, bytes, unknown, file));
    return {.file = file,
            .tokens = std::move(entries),
            .added = std::move(added),
            .normalize = normalizer({std::move(how)}),
            .cut = {},
            .model = std::move(merging),
            .bos = detail::piece_id(model, model.bos),
            .eos = detail::piece_id(model, model.eos),
            .drops_leading_space = model.adds_space && !model.space_behind};
}

}  // namespace xlens
