// SPDX-License-Identifier: BSD-3-Clause
#include "engine/read.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/token.hpp>
#include <xlens/model/model.hpp>
#include <xlens/text/input_text.hpp>
#include <xlens/text/templates/chat_template.hpp>
#include <xlens/text/tokenizer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>

namespace xlens::program {

namespace {

std::vector<token_id> id_tokens(const std::string& ids, std::size_t vocabulary) {
    std::vector<token_id> out = parse_ids(ids);
    for (const token_id id : out) { check_token(id, vocabulary, "--ids"); }
    return out;
}

/// "#7042" or "7042".
std::optional<std::uint64_t> number_in(std::string_view text) {
    if (text.starts_with('#')) { text.remove_prefix(1); }
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end) { return std::nullopt; }
    return value;
}

[[noreturn]] void refuse_text(std::string_view flag, std::string_view text,
                              const tokenizer& words) {
    constexpr std::size_t shown = 8;
    const std::vector<token_id> ids = words.encode(text);
    if (ids.empty()) {
        fail("{}: expected the text of a token or its id, got '{}', which has no token", flag,
             printable(text));
    }
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < std::min(shown, ids.size()); ++i) {
        parts.push_back(fmt::format("'{}'", printable(words.bytes(ids[i]))));
    }
    if (ids.size() > shown) { parts.emplace_back("..."); }
    fail("{}: expected one token, got '{}', which is {}: {}", flag, printable(text), ids.size(),
         joined(parts, ", "));
}

}  // namespace

std::string read_chat(const engine& opened, const chat_flags& flags,
                      const std::optional<std::string>& text) {
    conversation messages;
    std::string file;
    if (flags.messages) {
        const input_text read{std::filesystem::path(*flags.messages)};
        file = read.name() + ": ";
        messages = conversation::from_json(read.name(), read.checked());
    }
    if (flags.system) { messages.add_first({"system", *flags.system}); }
    if (text) { messages.add({"user", *text}); }
    chat_options options;
    options.name = flags.name.value_or("");
    options.date = flags.date.value_or("");
    try {
        return render_chat(opened.text(), messages, options);
    } catch (const error& e) { fail("{}{}", file, e.what()); }
}

std::vector<token_id> chat_tokens(const engine& opened, std::string_view rendered) {
    return opened.text().encode(rendered, {.special = true});
}

std::vector<token_id> read_prompt(const engine& opened, const prompt_flags& prompt) {
    prompt.check();
    const hyperparameters& config = opened.config();
    std::vector<token_id> out =
        prompt.ids       ? id_tokens(*prompt.ids, config.vocabulary)
        : prompt.as.chat ? chat_tokens(opened, read_chat(opened, prompt.as, prompt.text))
                         : opened.text().encode_prompt(*prompt.text, prompt.how.options());
    if (out.empty()) {
        fail("--prompt: expected at least 1 token, got 0 ('{}'){}",
             printable(prompt.text.value_or("")),
             prompt.how.no_bos ? "" : "; the model has no start token");
    }
    if (out.size() > config.context) {
        fail("{}: {} tokens, the model reads at most {}", prompt.ids ? "--ids" : "--prompt",
             out.size(), config.context);
    }
    return out;
}

std::vector<file_prompt> read_prompts(const engine& opened, const prompt_flags& prompt) {
    if (!prompt.file) {
        return {{read_prompt(opened, prompt), 0, prompt.ids ? "--ids" : "--prompt", {}}};
    }
    prompt.check();
    prompts_options options;
    // A tokenizer that cannot be used says why.
    options.text = opened.model().has_tokenizer() ? &opened.text() : nullptr;
    options.vocabulary = opened.config().vocabulary;
    options.context = opened.config().context;
    options.how = prompt.how.options();
    options.chat = prompt.as.chat;
    options.system = prompt.as.system;
    options.chat_template = prompt.as.name.value_or("");
    options.date = prompt.as.date.value_or("");
    std::vector<file_prompt> out = xlens::read_prompts(*prompt.file, options);
    const auto flag = prompt.flag_of_text();
    if (flag && std::ranges::all_of(out, &file_prompt::ids)) {
        fail("{}: expected a text in {}, got ids alone", *flag, printable(*prompt.file, 1024));
    }
    return out;
}

run_record record_of(const engine& opened, const prompt_flags& flags, const file_prompt& prompt) {
    run_record out = record_of(opened);
    if (flags.file) { out.prompt = prompt_record{*flags.file, prompt.line, prompt.metadata}; }
    return out;
}

void begin_prompt(const prompt_flags& flags, const common_flags& common,
                  const file_prompt& prompt) {
    if (!flags.file || common.json) { return; }
    fmt::print("\n== {}{}{}\n", prompt.place, prompt.metadata.empty() ? "" : " ", prompt.metadata);
}

token_id read_token(const engine& opened, std::string_view flag, std::string_view text) {
    const bool has_text = opened.model().has_tokenizer();
    if (has_text && !text.empty()) {
        if (const auto id = opened.text().find(text)) { return *id; }
    }
    if (const auto number = number_in(text)) {
        check_token(*number, opened.config().vocabulary, flag);
        return static_cast<token_id>(*number);
    }
    if (!has_text) {
        fail("{}: expected a token's id, for the model has no tokenizer; got '{}'", flag,
             printable(text));
    }
    refuse_text(flag, text, opened.text());
}

std::vector<token_id> read_text(const engine& opened, const std::string& path,
                                const text_flags& how) {
    return read_text(opened, input_text{std::filesystem::path(path)}, how);
}

std::vector<token_id> read_text(const engine& opened, const input_text& file,
                                const text_flags& how) {
    std::vector<token_id> out = opened.text().encode(file.checked(), {.special = how.special});
    if (out.size() < 2) { fail("{}: {} tokens, expected at least 2", file.name(), out.size()); }
    return out;
}

std::vector<token_id> window_prefix(const engine& opened, const text_flags& how) {
    return how.no_bos ? std::vector<token_id>() : opened.model().prefix();
}

}  // namespace xlens::program
