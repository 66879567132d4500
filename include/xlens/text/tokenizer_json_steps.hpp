// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/json/field.hpp>
#include <xlens/text/base64.hpp>
#include <xlens/text/charsmap.hpp>
#include <xlens/text/normalizer.hpp>
#include <xlens/text/old_categories.hpp>
#include <xlens/text/patterns.hpp>
#include <xlens/text/pre_tokenizer.hpp>
#include <xlens/text/space_mark.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The steps of a tokenizer.json, by their `type`. A type that is not known is an error that lists
/// those that are: a step left out would give other tokens without a word.
///
/// Whatever may throw is evaluated before an aggregate is begun: g++ 12 destroys members twice
/// where a later initialiser throws.
namespace xlens::detail {

/// `\w+|[^\w\s]+` in the syntax of the Rust crate that reads it in Hugging Face's tokenizers, whose
/// words are other ones than Oniguruma's.
inline constexpr std::string_view rust_words =
    R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\s]+)";

[[noreturn]] inline void unknown_type(const json_field& step, std::string_view known) {
    const json_field type = step.at("type");
    fail("{}: expected one of {}, got {}", type.place(), known, printable(type.string()));
}

/// {"String": text} or {"Regex": pattern}.
inline regex read_pattern(const json_field& field) {
    if (const auto text = field.find("String")) {
        text->expect(!text->string().empty(), "a non-empty string");
        return {escape_pattern(text->string()), text->place()};
    }
    const json_field pattern = field.at("Regex");
    return {pattern.string(), pattern.place()};
}

/// The table of a Precompiled normaliser, which the oldest files leave empty.
inline std::shared_ptr<const charsmap> read_charsmap(const json_field& field) {
    const auto text = field.find("precompiled_charsmap");
    if (!text || text->string().empty()) { return nullptr; }
    const auto bytes = from_base64(text->string());
    if (!bytes) { fail("{}: expected base64", text->place()); }
    return std::make_shared<const charsmap>(*bytes, text->place());
}

inline bert_cleaning read_bert(const json_field& field) {
    bert_cleaning out;
    out.clean = field.flag("clean_text", true);
    out.chinese = field.flag("handle_chinese_chars", true);
    out.lower = field.flag("lowercase", true);
    out.accents = field.flag("strip_accents", out.lower);
    return out;
}

inline void read_normalizer(const json_field& field, std::vector<normalizer::step>& out) {
    const std::string type = field.at("type").string();
    if (type == "Sequence") {
        for (const json_field& item : field.at("normalizers").items()) {
            read_normalizer(item, out);
        }
    } else if (type == "NFC" || type == "NFD") {
        out.emplace_back(normal_form{type == "NFC", false});
    } else if (type == "NFKC" || type == "NFKD") {
        out.emplace_back(normal_form{type == "NFKC", true});
    } else if (type == "Lowercase") {
        out.emplace_back(lower_case{});
    } else if (type == "Prepend") {
        std::string text = field.at("prepend").string();
        out.emplace_back(prepend{std::move(text)});
    } else if (type == "Replace") {
        regex pattern = read_pattern(field.at("pattern"));
        std::string text = field.at("content").string();
        out.emplace_back(replace_all{std::move(pattern), std::move(text)});
    } else if (type == "Strip") {
        const bool left = field.flag("strip_left", true);
        out.emplace_back(strip_space{left, field.flag("strip_right", true)});
    } else if (type == "StripAccents") {
        out.emplace_back(strip_accents{});
    } else if (type == "Nmt") {
        out.emplace_back(nmt_cleaning{});
    } else if (type == "BertNormalizer") {
        out.emplace_back(read_bert(field));
    } else if (type == "Precompiled") {
        if (auto map = read_charsmap(field)) { out.emplace_back(mapped_graphemes{std::move(map)}); }
    } else {
        unknown_type(field,
                     "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip, "
                     "StripAccents, Nmt, BertNormalizer, Precompiled");
    }
}

inline split_behavior read_behavior(const json_field& field) {
    const std::string name = field.string();
    if (name == "Removed") { return split_behavior::removed; }
    if (name == "Isolated") { return split_behavior::isolated; }
    if (name == "MergedWithPrevious") { return split_behavior::merged_with_previous; }
    if (name == "MergedWithNext") { return split_behavior::merged_with_next; }
    if (name == "Contiguous") { return split_behavior::contiguous; }
    fail("{}: expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous, got {}",
         field.place(), printable(name));
}

inline metaspace_step read_metaspace(const json_field& field) {
    const auto replacement = field.find("replacement");
    const std::string mark = replacement ? replacement->string() : std::string(space_mark);
    field.expect(!mark.empty(), "a replacement character");
    prepend_scheme scheme =
        field.flag("add_prefix_space", true) ? prepend_scheme::always : prepend_scheme::never;
    if (const auto given = field.find("prepend_scheme")) {
        const std::string name = given->string();
        given->expect(name == "always" || name == "first" || name == "never",
                      "always, first or never");
        scheme = name == "always"  ? prepend_scheme::always
                 : name == "first" ? prepend_scheme::first
                                   : prepend_scheme::never;
    }
    const bool split = field.flag("split", true);
    regex pattern(escape_pattern(mark), field.place());
    split_step cut{std::move(pattern), split_behavior::merged_with_next, false};
    return {mark, scheme, std::move(cut), split};
}

/// The patterns that group digits, which take a time that is quadratic in the digits.
inline std::optional<digit_grouping> read_digits(const json_field& pattern) {
    const auto regex = pattern.find("Regex");
    const std::string text = regex ? regex->string() : "";
    if (text == R"((?=(\d{3})+(?!\d)))") { return digit_grouping::inside; }
    if (text == R"(\d{1,3}(?=(?:\d{3})*\b))") { return digit_grouping::words; }
    return std::nullopt;
}

inline void read_pre_tokenizer(const json_field& field, std::vector<pre_tokenizer::step>& out) {
    const std::string type = field.at("type").string();
    const auto split = [&](std::string_view pattern, split_behavior behavior, bool invert = false) {
        out.emplace_back(split_step{regex(pattern, field.place()), behavior, invert});
    };
    if (type == "Sequence") {
        for (const json_field& item : field.at("pretokenizers").items()) {
            read_pre_tokenizer(item, out);
        }
    } else if (type == "Split") {
        const split_behavior behavior = read_behavior(field.at("behavior"));
        const bool invert = field.flag("invert", false);
        const auto digits = read_digits(field.at("pattern"));
        if (digits && behavior == split_behavior::isolated && !invert) {
            out.emplace_back(digit_step{*digits});
            return;
        }
        regex pattern = read_pattern(field.at("pattern"));
        out.emplace_back(split_step{std::move(pattern), behavior, invert});
    } else if (type == "ByteLevel") {
        byte_level_step step{field.flag("add_prefix_space", true), std::nullopt};
        if (field.flag("use_regex", true)) { step.pattern = regex(gpt2_pattern, field.place()); }
        out.emplace_back(std::move(step));
    } else if (type == "Digits") {
        split(R"(\p{N})", field.flag("individual_digits", false) ? split_behavior::isolated
                                                                 : split_behavior::contiguous);
    } else if (type == "Metaspace") {
        out.emplace_back(read_metaspace(field));
    } else if (type == "Whitespace") {
        split(rust_words, split_behavior::removed, true);
    } else if (type == "WhitespaceSplit") {
        split(R"(\s)", split_behavior::removed);
    } else if (type == "BertPreTokenizer") {
        split(R"(\s)", split_behavior::removed);
        split(old_punctuation, split_behavior::isolated);
    } else if (type == "CharDelimiterSplit") {
        split(escape_pattern(field.at("delimiter").string()), split_behavior::removed);
    } else if (type == "Punctuation") {
        const auto behavior = field.find("behavior");
        split(old_punctuation, behavior ? read_behavior(*behavior) : split_behavior::isolated);
    } else {
        unknown_type(field,
                     "Sequence, Split, ByteLevel, Digits, Metaspace, Whitespace, WhitespaceSplit, "
                     "Punctuation, BertPreTokenizer, CharDelimiterSplit");
    }
}

/// How tokens are spelt, which the decoder tells.
struct spelling {
    bool byte_level = false;           // in gpt2_alphabet
    std::string mark;                  // what stands for a space, if not empty
    std::optional<std::string> joint;  // WordPiece: tokens without this have a space before them
    bool drops_leading_space = false;  // the text's first space is the tokenizer's
};

inline void read_decoder(const json_field& field, spelling& out) {
    const std::string type = field.at("type").string();
    if (type == "Sequence") {
        for (const json_field& item : field.at("decoders").items()) { read_decoder(item, out); }
    } else if (type == "ByteLevel") {
        out.byte_level = true;
    } else if (type == "WordPiece") {
        const auto prefix = field.find("prefix");
        out.joint = prefix ? prefix->string() : "##";
        out.drops_leading_space = true;
    } else if (type == "Metaspace") {
        const metaspace_step step = read_metaspace(field);
        out.mark = step.mark;
        out.drops_leading_space = step.scheme != prepend_scheme::never;
    } else if (type == "Replace") {
        out.mark = field.at("pattern").at("String").string();
        const json_field content = field.at("content");
        content.expect(content.string() == " ", "one space");
    } else if (type == "Strip") {
        const json_field content = field.at("content");
        content.expect(content.string() == " ", "one space");
        field.expect(field.at("start").id() <= 1 && field.at("stop").id() == 0,
                     "start 0 or 1 and stop 0");
        out.drops_leading_space = field.at("start").id() == 1;
    } else if (type != "ByteFallback" && type != "Fuse") {
        unknown_type(
            field, "Sequence, ByteLevel, Metaspace, WordPiece, Replace, Strip, ByteFallback, Fuse");
    }
}

}  // namespace xlens::detail
