// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/text/tokenizer_data.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace xlens {

/// What a SentencePiece model file (`tokenizer.model`) says, a member a field.
/// Source: sentencepiece_model.proto; the defaults are those of that file.
struct piece_model {
    struct piece {
        std::string text;
        float score = 0;
        std::int32_t type = token_type::normal;  // its numbers are those of GGUF
    };
    std::vector<piece> pieces;
    std::uint64_t model_type = 1;  // 1 unigram, 2 BPE, 3 words, 4 characters
    bool byte_fallback = false;
    bool space_behind = false;  // treat_whitespace_as_suffix
    std::int64_t unknown = 0;
    std::int64_t bos = 1;
    std::int64_t eos = 2;
    std::string charsmap;
    bool adds_space = true;      // add_dummy_prefix
    bool removes_spaces = true;  // remove_extra_whitespaces
    bool marks_spaces = true;    // escape_whitespaces
};

namespace detail {

/// One field of a message in protobuf's wire format.
struct wire_field {
    std::uint64_t number = 0;
    unsigned kind = 0;        // 0 a number, 1 eight bytes, 2 bytes, 5 four bytes
    std::uint64_t value = 0;  // of a number
    std::string_view bytes;   // of the others
};

/// Reads a message front to back; a length is checked before anything is taken.
class wire_reader {
public:
    wire_reader(std::string_view bytes, std::string_view where) : m_bytes(bytes), m_where(where) {}

    [[nodiscard]] bool done() const { return m_at == m_bytes.size(); }

    wire_field next() {
        wire_field out;
        const std::uint64_t key = varint();
        out.number = key >> 3U;
        out.kind = static_cast<unsigned>(key & 7U);
        if (out.number == 0) { fail("{}: byte {}: field 0", m_where, m_at); }
        switch (out.kind) {
            case 0: out.value = varint(); break;
            case 1: out.bytes = take(8); break;
            case 2: out.bytes = take(varint()); break;
            case 5: out.bytes = take(4); break;
            default:
                fail("{}: byte {}: wire type {} of field {}, expected 0, 1, 2 or 5", m_where, m_at,
                     out.kind, out.number);
        }
        return out;
    }

private:
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (done()) { fail("{}: byte {}: a number without end", m_where, m_at); }
            const auto byte = static_cast<unsigned char>(m_bytes[m_at++]);
            value |= std::uint64_t{byte & 0x7FU} << shift;
            if (byte < 0x80) { return value; }
        }
        fail("{}: byte {}: a number of more than 10 bytes", m_where, m_at);
    }

    std::string_view take(std::uint64_t count) {
        if (count > m_bytes.size() - m_at) {
            fail("{}: byte {}: expected {} more bytes, got {}", m_where, m_at, count,
                 m_bytes.size() - m_at);
        }
        const std::string_view out = m_bytes.substr(m_at, static_cast<std::size_t>(count));
        m_at += out.size();
        return out;
    }

    std::string_view m_bytes;
    std::string_view m_where;
    std::size_t m_at = 0;
};

inline piece_model::piece parse_piece(std::string_view bytes, std::string_view where) {
    piece_model::piece out;
    for (wire_reader reader(bytes, where); !reader.done();) {
        const wire_field field = reader.next();
        if (field.number == 1 && field.kind == 2) { out.text = field.bytes; }
        if (field.number == 2 && field.kind == 5) {
            std::memcpy(&out.score, field.bytes.data(), sizeof out.score);
        }
        if (field.number == 3 && field.kind == 0) {
            out.type = static_cast<std::int32_t>(field.value);
        }
    }
    if (out.text.empty() || !std::isfinite(out.score) || out.type < token_type::normal ||
        out.type > token_type::byte) {
        fail("{}: expected a piece with text, a finite score and a type of 1 to 6, got {}, {}, {}",
             where, out.text.empty() ? "no text" : printable(out.text), out.score, out.type);
    }
    return out;
}

inline void parse_trainer(std::string_view bytes, std::string_view where, piece_model& out) {
    for (wire_reader reader(bytes, where); !reader.done();) {
        const wire_field field = reader.next();
        if (field.kind != 0) { continue; }
        const auto id = static_cast<std::int32_t>(field.value);  // int32, -1 for none
        switch (field.number) {
            case 3: out.model_type = field.value; break;
            case 24: out.space_behind = field.value != 0; break;
            case 35: out.byte_fallback = field.value != 0; break;
            case 40: out.unknown = id; break;
            case 41: out.bos = id; break;
            case 42: out.eos = id; break;
            default: break;
        }
    }
}

inline void parse_normalizer(std::string_view bytes, std::string_view where, piece_model& out) {
    for (wire_reader reader(bytes, where); !reader.done();) {
        const wire_field field = reader.next();
        if (field.number == 2 && field.kind == 2) { out.charsmap = field.bytes; }
        if (field.kind != 0) { continue; }
        if (field.number == 3) { out.adds_space = field.value != 0; }
        if (field.number == 4) { out.removes_spaces = field.value != 0; }
        if (field.number == 5) { out.marks_spaces = field.value != 0; }
    }
}

}  // namespace detail

/// Reads a model file's bytes; `file` begins every error. Fields that do not concern the tokens of
/// a text are passed over.
inline piece_model parse_piece_model(std::string_view bytes, const std::string& file) {
    piece_model out;
    for (detail::wire_reader reader(bytes, file); !reader.done();) {
        const detail::wire_field field = reader.next();
        if (field.kind != 2) { continue; }
        if (field.number == 1) {
            out.pieces.push_back(detail::parse_piece(
                field.bytes, fmt::format("{}: pieces[{}]", file, out.pieces.size())));
        }
        if (field.number == 2) { detail::parse_trainer(field.bytes, file + ": trainer_spec", out); }
        if (field.number == 3) {
            detail::parse_normalizer(field.bytes, file + ": normalizer_spec", out);
        }
    }
    if (out.pieces.empty()) { fail("{}: expected a SentencePiece model, got no pieces", file); }
    if (out.model_type != 1 && out.model_type != 2) {
        fail("{}: trainer_spec.model_type: expected 1 (unigram) or 2 (BPE), got {}", file,
             out.model_type);
    }
    return out;
}

}  // namespace xlens
