// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/text/tokenizer.hpp>

#include <filesystem>
#include <optional>

#if XLENS_DEFINES(text)
#include <xlens/core/error.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/storage/guarded.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/text/patterns.hpp>
#include <xlens/text/piece_tokenizer.hpp>
#include <xlens/text/tokenizer_files.hpp>
#include <xlens/text/tokenizer_json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>
#endif

namespace xlens {

/// The tokenizer of a Hugging Face folder: its tokenizer.json; else vocab.json and merges.txt, of
/// the classes whose patterns are known (GPT-2, GPT-NeoX, Qwen 2 and those that use theirs); else
/// tokenizer.model or spiece.model, a SentencePiece model. Nothing where there is none of them.
/// Throws xlens::error for one that cannot be used.
XLENS_API std::optional<tokenizer> load_folder_tokenizer(const std::filesystem::path& folder);

/// The tokenizer of a SentencePiece model file, with what the files beside it add to it.
XLENS_API tokenizer load_piece_model(const std::filesystem::path& path);

#if XLENS_DEFINES(text)
namespace detail {

/// A kind of folder with vocab.json and merges.txt: a class of transformers, or, where the folder
/// names none, the `model_type` of its config.json.
struct vocabulary_class {
    std::string_view name;
    bool composes;             // NFC first
    std::string_view pattern;  // empty: GPT-2's, as ByteLevel itself has it
    std::string_view bos;      // unless the folder names another
    std::string_view eos;
};

inline const vocabulary_class* find_vocabulary_class(std::string_view name) {
    static constexpr std::string_view end = "<|endoftext|>";
    static constexpr std::array<vocabulary_class, 3> classes{{
        {"GPT2Tokenizer", false, "", end, end},
        {"GPTNeoXTokenizer", true, "", end, end},
        {"Qwen2Tokenizer", true, qwen2_pattern, "", end},
    }};
    constexpr std::array<std::pair<std::string_view, std::size_t>, 12> others{{
        {"CodeGenTokenizer", 0},
        {"gpt2", 0},
        {"gpt_neo", 0},
        {"gptj", 0},
        {"codegen", 0},
        {"opt", 0},
        {"gpt_bigcode", 0},
        {"gpt_neox", 1},
        {"qwen2", 2},
        {"qwen2_moe", 2},
        {"qwen3", 2},
        {"qwen3_moe", 2},
    }};
    for (const vocabulary_class& known : classes) {
        if (known.name == name) { return &known; }
    }
    for (const auto& [other, index] : others) {
        if (other == name) { return &classes[index]; }
    }
    return nullptr;
}

/// merges.txt, a merge a line, as model.merges of a tokenizer.json.
inline json_value merges_json(const std::filesystem::path& path) {
    const mapped_file file(path);
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                                file.bytes().size());
    json_list out;
    for (std::size_t at = 0, line = 1; at < text.size(); ++line) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view merge = text.substr(at, end - at);
        at = end + 1;
        if (merge.starts_with("#version") || (merge.empty() && at >= text.size())) { continue; }
        static_cast<void>(parse_merge(merge, fmt::format("{}: line {}", file.name(), line)));
        out.emplace_back(std::string(merge));
    }
    return json_value(std::move(out));
}

inline std::string class_of(const std::filesystem::path& folder, const tokenizer_files& beside) {
    std::string name = beside.tokenizer_class();
    std::error_code ignored;
    const auto config = folder / "config.json";
    if (!name.empty() || !std::filesystem::exists(config, ignored)) { return name; }
    const json_value document = read_json(config);
    const json_field root(document, printable(config.string(), 4096), ": ");
    if (const auto type = root.find("model_type")) { name = type->string(); }
    return name;
}

/// vocab.json and merges.txt, as the tokenizer.json that they stand for.
inline tokenizer read_vocabulary_files(const std::filesystem::path& folder,
                                       const tokenizer_files& beside) {
    const std::string name = class_of(folder, beside);
    const vocabulary_class* known = find_vocabulary_class(name);
    const std::string file = printable((folder / "vocab.json").string(), 4096);
    if (known == nullptr) {
        fail(
            "{}: expected a tokenizer.json beside it, for tokenizer_class or model_type {} says "
            "not how text is cut",
            file, name.empty() ? "(missing)" : printable(name));
    }
    const auto steps = [&](std::string_view json) { return parse_json(file, json); };
    const bool prefix = beside.flag("add_prefix_space", false);
    json_value bytes =
        steps(fmt::format(R"({{"type":"ByteLevel","add_prefix_space":{},"use_regex":{}}})", prefix,
                          known->pattern.empty()));
    json_members root;
    if (known->composes) { root.emplace("normalizer", steps(R"({"type":"NFC"})")); }
    if (known->pattern.empty()) {
        root.emplace("pre_tokenizer", std::move(bytes));
    } else {
        json_value split = steps(R"({"type":"Split","pattern":{},"behavior":"Isolated"})");
        split.object().find("pattern")->second.object().emplace(
            "Regex", json_value(std::string(known->pattern)));
        json_value all = steps(R"({"type":"Sequence","pretokenizers":[]})");
        json_list& list = all.object().find("pretokenizers")->second.list();
        list.push_back(std::move(split));
        list.push_back(std::move(bytes));
        root.emplace("pre_tokenizer", std::move(all));
    }
    json_members model;
    model.emplace("type", json_value(std::string("BPE")));
    model.emplace("vocab", read_json(folder / "vocab.json"));
    model.emplace("merges", merges_json(folder / "merges.txt"));
    root.emplace("model", json_value(std::move(model)));
    tokenizer_parts parts =
        read_tokenizer(json_value(std::move(root)), file, beside, {known->bos, known->eos});
    parts.prefix.clear();
    parts.suffix.clear();
    beside.add_flagged(false, parts);
    return tokenizer(std::move(parts));
}

/// A SentencePiece model and what the files beside it add to it.
inline tokenizer read_piece_file(const std::filesystem::path& path, const tokenizer_files& beside) {
    const std::string file = printable(path.string(), 4096);
    const mapped_file bytes(path);
    const auto all = bytes.bytes();
    const piece_model model =
        parse_piece_model({reinterpret_cast<const char*>(all.data()), all.size()}, file);
    tokenizer_parts parts = make_piece_parts(model, file);
    token_map vocabulary;
    std::vector<std::string> names;
    for (const piece_model::piece& piece : model.pieces) {
        vocabulary.emplace(piece.text, static_cast<token_id>(names.size()));
        names.push_back(piece.text);
    }
    beside.add_tokens(vocabulary, parts.added);
    // The library's normaliser puts a space before each: they stand in the text as it is given.
    for (added_token& token : parts.added) { token.normalized = false; }
    names = number_tokens(vocabulary, parts.added, file);
    parts.tokens.resize(names.size());
    for (const added_token& token : parts.added) {
        parts.tokens[static_cast<std::size_t>(token.id)] = {token.content, token.special, false};
    }
    if (const auto bos = beside.named(names, "bos_token")) { parts.bos = bos; }
    if (const auto eos = beside.named(names, "eos_token")) { parts.eos = eos; }
    constexpr std::array<std::string_view, 3> begin_with_bos{"LlamaTokenizer", "CodeLlamaTokenizer",
                                                             "GemmaTokenizer"};
    const std::string name = beside.tokenizer_class();
    beside.add_flagged(std::ranges::find(begin_with_bos, name) != begin_with_bos.end(), parts);
    if (name == "T5Tokenizer" && parts.suffix.empty() && parts.eos) {
        parts.suffix.push_back(*parts.eos);
    }
    parts.marks_start_alone = !beside.flag("legacy", true);
    beside.set_chat(parts);
    return tokenizer(std::move(parts));
}

}  // namespace detail

XLENS_API std::optional<tokenizer> load_folder_tokenizer(const std::filesystem::path& folder) {
    std::error_code ignored;
    const auto exists = [&](std::string_view name) {
        return std::filesystem::exists(folder / name, ignored);
    };
    if (exists("tokenizer.json")) { return load_tokenizer_json(folder / "tokenizer.json"); }
    return guarded(printable(folder.string(), 4096), [&]() -> std::optional<tokenizer> {
        if (exists("vocab.json") && exists("merges.txt")) {
            return detail::read_vocabulary_files(folder, detail::tokenizer_files(folder));
        }
        for (const std::string_view name : {"tokenizer.model", "spiece.model"}) {
            if (exists(name)) { return load_piece_model(folder / name); }
        }
        return std::nullopt;
    });
}

XLENS_API tokenizer load_piece_model(const std::filesystem::path& path) {
    return guarded(printable(path.string(), 4096), [&] {
        return detail::read_piece_file(path, detail::tokenizer_files(path.parent_path()));
    });
}
#endif

}  // namespace xlens
