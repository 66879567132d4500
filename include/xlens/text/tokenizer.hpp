// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/token.hpp>
#include <xlens/core/types.hpp>
#include <xlens/text/added_tokens.hpp>
#include <xlens/text/bpe.hpp>
#include <xlens/text/encode_options.hpp>
#include <xlens/text/normalizer.hpp>
#include <xlens/text/pre_tokenizer.hpp>
#include <xlens/text/sentencepiece.hpp>
#include <xlens/text/token_map.hpp>
#include <xlens/text/unigram.hpp>
#include <xlens/text/utf8.hpp>
#include <xlens/text/wordpiece.hpp>

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace xlens {

/// What a token is written as, and what it is.
struct token_entry {
    std::string bytes;         // exactly what it stands for in the text
    bool special = false;      // control token, as <|endoftext|>
    bool single_byte = false;  // a <0xHH> token of SentencePiece
};

/// The checked parts that a tokenizer is put together from; see make_tokenizer,
/// load_tokenizer_json and make_piece_parts.
struct tokenizer_parts {
    std::string file;
    std::vector<token_entry> tokens;  // (V)
    std::vector<added_token> added;
    normalizer normalize;
    pre_tokenizer cut;
    std::variant<bpe, sentencepiece, unigram, wordpiece> model;
    std::vector<token_id> prefix = {};  // what encode_prompt puts before the text
    std::vector<token_id> suffix = {};  // and after it
    std::optional<token_id> bos = {};
    std::optional<token_id> eos = {};
    std::vector<token_id> ends = {};   // of a generated text; see end_tokens.hpp
    bool drops_leading_space = false;  // decode() takes off the space that encode() put before
    std::string chat_template = {};
    std::map<std::string, std::string, std::less<>> chat_templates = {};  // others, by name
    std::map<std::string, std::string, std::less<>> named_tokens = {};    // "pad_token", ...
    std::vector<std::string> warnings = {};                               // see tokenizer::warnings
    bool marks_start_alone = false;  // no space before text that follows a special token
};

/// Text to tokens and back. Equal to Hugging Face's tokenizers on valid UTF-8; only characters that
/// are younger than one side's Unicode tables may be classed or normalised otherwise.
///
/// Any bytes may be encoded. A stretch of bytes that belong to no valid UTF-8 sequence is a piece
/// of its own: no normaliser or pattern sees it, and the text on both sides is cut as if it ended
/// there. With a byte-level vocabulary of all 256 bytes decode(encode(x)) == x for every x, unless
/// the tokenizer normalises (Qwen 2: NFC) or adds spaces. A byte that a vocabulary lacks is
/// dropped, as Hugging Face's tokenizers do (SmolLM2 lacks 21: C0, C1, F1, F2, F5 to FF and six
/// control characters).
///
/// Immutable: one object may be used by several threads at once.
class tokenizer {
public:
    explicit tokenizer(tokenizer_parts parts);

    /// The tokens of `text`; nothing is added before or after. Strings such as <|endoftext|> are
    /// plain text unless `how.special`. At most max_text bytes, else xlens::error; so are patterns
    /// of the tokenizer that need more than a match_budget for it. O(n log n) in the longest piece.
    [[nodiscard]] std::vector<token_id> encode(std::string_view text,
                                               encode_options how = {}) const;

    /// encode(text), with the special tokens around it that the model expects of a prompt (usually
    /// the beginning-of-sequence token or none). An empty text gives just these.
    [[nodiscard]] std::vector<token_id> encode_prompt(std::string_view text,
                                                      prompt_options how = {}) const;
    /// What encode_prompt puts before a text, and every window of a longer text begins with.
    [[nodiscard]] const std::vector<token_id>& prefix() const { return m_parts.prefix; }

    /// The bytes that the tokens stand for, one after another; they need not be valid UTF-8. Where
    /// encode() puts a space before the text, one leading space is taken off: for a continuation,
    /// join bytes() instead.
    [[nodiscard]] std::string decode(std::span<const token_id> tokens) const;

    /// The exact bytes of one token. Throws for an id outside [0, size()).
    [[nodiscard]] std::string bytes(token_id id) const { return entry(id).bytes; }

    /// bytes(id) as valid UTF-8, for JSON and tables: broken sequences become U+FFFD.
    [[nodiscard]] std::string text(token_id id) const { return replace_invalid(entry(id).bytes); }

    /// The token that stands for exactly these bytes.
    [[nodiscard]] std::optional<token_id> find(std::string_view bytes) const;

    /// V, the number of tokens; ids are [0, V). May be less than the rows of the embedding.
    [[nodiscard]] std::size_t size() const { return m_parts.tokens.size(); }
    [[nodiscard]] std::optional<token_id> bos() const { return m_parts.bos; }
    [[nodiscard]] std::optional<token_id> eos() const { return m_parts.eos; }
    /// All tokens that end a generated text: eos, and what chat models end a turn with.
    [[nodiscard]] const std::vector<token_id>& ends() const { return m_parts.ends; }
    [[nodiscard]] bool is_special(token_id id) const { return entry(id).special; }
    /// The model's chat template (Jinja), empty where it has none.
    [[nodiscard]] const std::string& chat_template() const { return m_parts.chat_template; }
    /// Its other chat templates, by name: "tool_use", "rag".
    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& chat_templates() const {
        return m_parts.chat_templates;
    }
    /// Special tokens that templates know by name, beside bos_token and eos_token: "pad_token",
    /// "unk_token".
    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& named_tokens() const {
        return m_parts.named_tokens;
    }

    /// What a user should know before trusting the tokens, a line each: that the file does not say
    /// how text is cut, and what was taken instead. Usually none.
    [[nodiscard]] const std::vector<std::string>& warnings() const { return m_parts.warnings; }

    /// The longest text that encode() takes: 1 GiB.
    static constexpr std::size_t max_text = std::size_t{1} << 30U;

private:
    [[nodiscard]] const token_entry& entry(token_id id) const;

    /// What the parts of one text share.
    struct encoding {
        bool parse_special;
        match_budget budget;
        std::vector<token_id> out;
    };

    void encode_section(std::string_view section, bool at_start, encoding& to) const;
    void encode_normalized(const std::string& text, bool at_start, encoding& to) const;
    void encode_plain(text_piece whole, encoding& to) const;

    tokenizer_parts m_parts;
    added_tokens m_added;
    added_tokens m_added_normalized;
    token_map m_by_bytes;
};

#if XLENS_DEFINES(text)
XLENS_API tokenizer::tokenizer(tokenizer_parts parts) : m_parts(std::move(parts)) {
    if (m_parts.ends.empty() && m_parts.eos) { m_parts.ends = {*m_parts.eos}; }
    std::vector<added_token> as_given;
    std::vector<added_token> normalized;
    for (const added_token& token : m_parts.added) {
        (token.normalized ? normalized : as_given).push_back(token);
    }
    for (added_token& token : normalized) { token.content = m_parts.normalize(token.content); }
    m_added = added_tokens(std::move(as_given));
    m_added_normalized = added_tokens(std::move(normalized));
    // A byte token stands for the same bytes as a plain one-letter token, which is preferred.
    for (const bool single_byte : {false, true}) {
        for (std::size_t i = 0; i < size(); ++i) {
            if (m_parts.tokens[i].single_byte == single_byte) {
                m_by_bytes.try_emplace(m_parts.tokens[i].bytes, static_cast<token_id>(i));
            }
        }
    }
}

XLENS_API std::vector<token_id> tokenizer::encode(std::string_view text, encode_options how) const {
    if (text.size() > max_text) {
        fail("text: {} bytes, expected at most {}", text.size(), max_text);
    }
    encoding to{how.special, match_budget(text.size()), {}};
    for (const text_section& section : m_added.split(text, how.special)) {
        if (section.token) {
            to.out.push_back(*section.token);
        } else {
            encode_section(section.text, section.text.data() == text.data(), to);
        }
    }
    return std::move(to.out);
}

XLENS_API std::vector<token_id> tokenizer::encode_prompt(std::string_view text,
                                                         prompt_options how) const {
    std::vector<token_id> out;
    if (how.bos) { out = m_parts.prefix; }
    const std::vector<token_id> tokens = encode(text, {.special = how.special});
    out.insert(out.end(), tokens.begin(), tokens.end());
    out.insert(out.end(), m_parts.suffix.begin(), m_parts.suffix.end());
    return out;
}

XLENS_API std::string tokenizer::decode(std::span<const token_id> tokens) const {
    std::string out;
    for (const token_id id : tokens) { out += entry(id).bytes; }
    if (m_parts.drops_leading_space && out.starts_with(' ')) { out.erase(0, 1); }
    return out;
}

XLENS_API std::optional<token_id> tokenizer::find(std::string_view bytes) const {
    return find_token(m_by_bytes, bytes);
}

XLENS_API const token_entry& tokenizer::entry(token_id id) const {
    check_token(id, size(), m_parts.file);
    return m_parts.tokens[static_cast<std::size_t>(id)];
}

XLENS_API void tokenizer::encode_section(std::string_view section, bool at_start,
                                         encoding& to) const {
    for_each_stretch(section, [&](std::string_view stretch, bool valid) {
        const bool begins_section = stretch.data() == section.data();
        if (valid) {
            const bool marks = begins_section && (at_start || !m_parts.marks_start_alone);
            const std::string text = m_parts.normalize(std::string(stretch), to.budget, marks);
            encode_normalized(text, at_start && begins_section, to);
        } else {
            encode_plain({std::string(stretch), true, at_start && begins_section}, to);
        }
    });
}

XLENS_API void tokenizer::encode_normalized(const std::string& text, bool at_start,
                                            encoding& to) const {
    for (const text_section& section : m_added_normalized.split(text, to.parse_special)) {
        if (section.token) {
            to.out.push_back(*section.token);
        } else {
            const bool first = at_start && section.text.data() == text.data();
            encode_plain({std::string(section.text), false, first}, to);
        }
    }
}

XLENS_API void tokenizer::encode_plain(text_piece whole, encoding& to) const {
    for (const text_piece& piece : m_parts.cut(std::move(whole), to.budget)) {
        std::visit([&](const auto& model) { model.encode(piece.text, piece.raw, to.out); },
                   m_parts.model);
    }
}
#endif

}  // namespace xlens
