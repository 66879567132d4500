// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/text/encode_options.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#if XLENS_DEFINES(text)
#include <xlens/core/error.hpp>
#include <xlens/core/token.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/write_value.hpp>
#include <xlens/text/input_lines.hpp>
#include <xlens/text/templates/chat_template.hpp>
#include <xlens/text/tokenizer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#endif

namespace xlens {

class tokenizer;

/// A prompt of a file of prompts.
struct file_prompt {
    std::vector<token_id> tokens;
    std::size_t line = 0;  ///< from 1
    std::string place;     ///< for messages: "prompts.txt: line 3"
    std::string metadata;  ///< a JSON object of the members that are none of ours, or nothing
    bool ids = false;      ///< given as tokens, not as a text
};

/// How a file of prompts is read, and what its prompts must fit.
struct prompts_options {
    const tokenizer* text = nullptr;  ///< null where the model has none: then ids alone can be read
    std::size_t vocabulary = 0;
    std::size_t context = 0;  ///< the most tokens of a prompt
    prompt_options how = {};
    /// Prompts are a user's messages, unless a line says otherwise (`"chat": false`).
    bool chat = false;
    std::optional<std::string> system = {};  ///< before those that have none of their own
    std::string chat_template = {};          ///< its name (chat_options::name)
    std::string date = {};                   ///< that it may show (chat_options::date)
};

/// The prompts of a file ("-": of standard input), at least one, in order. Lines of text are a
/// prompt each. Where the first line that is not empty begins with "{", all lines are JSON objects:
///   "prompt"    the text, or
///   "ids"       the tokens, or
///   "messages"  a conversation (conversation::from_json), after which "prompt" may be its last
///               message; "tools" and "documents" beside it are the template's
///   "chat"      true: "prompt" is a user's message, by the model's chat template; or "messages"
///   "system"    the system message before it, which needs one of these
/// All other members are metadata, which is carried along. Empty lines are left out. Throws
/// xlens::error, naming the line, for what cannot be read, a prompt without tokens, and one that
/// the model cannot read. O(bytes) of memory.
XLENS_API std::vector<file_prompt> read_prompts(const std::filesystem::path& path,
                                                const prompts_options& options);

#if XLENS_DEFINES(text)

namespace detail {

inline constexpr std::array<std::string_view, 7> prompt_keys{"prompt", "ids",   "messages", "chat",
                                                             "system", "tools", "documents"};

/// One line of JSON.
class prompt_line {
public:
    prompt_line(const json_object& line, const prompts_options& options)
        : m_line(&line), m_options(&options) {
        if (line.has("chat") && line.value().find("chat")->is_boolean()) {
            m_chat = line.boolean("chat");
        } else if (line.has("chat")) {
            (void)line.at("chat").items();
            m_messages = line.value().find("chat");
        }
        if (line.has("messages")) {
            if (m_messages != nullptr) { fail("{}: messages, chat: two conversations", name()); }
            m_messages = line.value().find("messages");
        }
        check();
    }

    [[nodiscard]] std::vector<token_id> tokens() const {
        if (m_line->has("ids")) { return ids(); }
        const tokenizer& text = words();
        if (!is_chat()) { return text.encode_prompt(m_line->string("prompt"), m_options->how); }
        conversation messages;
        if (m_messages != nullptr) { messages = conversation::from_json(name(), messages_json()); }
        const std::optional<std::string> system =
            m_line->has("system") ? std::optional(m_line->string("system")) : m_options->system;
        if (system) { messages.add_first({"system", *system}); }
        if (m_line->has("prompt")) { messages.add({"user", m_line->string("prompt")}); }
        return rendered(messages);
    }
    [[nodiscard]] std::vector<token_id> rendered(const conversation& messages) const {
        chat_options how;
        how.name = m_options->chat_template;
        how.date = m_options->date;
        try {
            return words().encode(render_chat(words(), messages, how), {.special = true});
        } catch (const error& e) { fail("{}: {}", name(), e.what()); }
    }
    /// A JSON object of what is none of ours, or nothing.
    [[nodiscard]] std::string metadata() const { return members_beside(*m_line, prompt_keys); }

private:
    [[nodiscard]] const std::string& name() const { return m_line->file(); }
    [[nodiscard]] bool is_chat() const {
        return m_messages != nullptr || m_chat.value_or(m_options->chat);
    }
    [[nodiscard]] const tokenizer& words() const {
        if (m_options->text == nullptr) {
            fail("{}: expected ids, for the model has no tokenizer", name());
        }
        return *m_options->text;
    }
    void check() const {
        const bool text = m_line->has("prompt");
        const bool ids = m_line->has("ids");
        if (!text && !ids && m_messages == nullptr) {
            fail("{}: expected one of prompt, ids and messages, got none", name());
        }
        if (ids && (text || m_messages != nullptr || m_chat.value_or(false))) {
            fail("{}: ids: expected no {} with it", name(),
                 text                    ? "prompt"
                 : m_messages != nullptr ? "messages"
                                         : "chat");
        }
        if (m_line->has("system") && (ids || !is_chat())) {
            fail("{}: system: expected chat or messages with it, got none", name());
        }
        for (const char* key : {"tools", "documents"}) {
            if (m_line->has(key) && m_messages == nullptr) {
                fail("{}: {}: expected messages with it, got none", name(), key);
            }
        }
    }
    [[nodiscard]] std::vector<token_id> ids() const {
        std::vector<token_id> out;
        for (const json_field& id : m_line->at("ids").items()) {
            out.push_back(id.id());
            check_token(out.back(), m_options->vocabulary, id.place());
        }
        return out;
    }
    [[nodiscard]] std::string messages_json() const {
        std::string out;
        json_writer json(out);
        json.begin_object();
        json.key("messages");
        write_value(json, *m_messages);
        for (const char* key : {"tools", "documents"}) {
            if (!m_line->has(key)) { continue; }
            json.key(key);
            write_value(json, *m_line->value().find(key));
        }
        json.end_object();
        return out;
    }

    const json_object* m_line;
    const prompts_options* m_options;
    std::optional<bool> m_chat;
    const json_value* m_messages = nullptr;
};

inline void check_prompt(const file_prompt& p, const prompts_options& options) {
    if (p.tokens.empty()) {
        fail("{}: expected at least 1 token, got 0{}", p.place,
             options.how.bos ? "; the model has no start token" : "");
    }
    if (p.tokens.size() > options.context) {
        fail("{}: {} tokens, the model reads at most {}", p.place, p.tokens.size(),
             options.context);
    }
}

}  // namespace detail

XLENS_API std::vector<file_prompt> read_prompts(const std::filesystem::path& path,
                                                const prompts_options& options) {
    std::vector<file_prompt> out;
    each_line(path, "prompt", [&](std::size_t number, const json_object& line) {
        const detail::prompt_line read(line, options);
        file_prompt p{read.tokens(), number, line.file(), read.metadata(), line.has("ids")};
        detail::check_prompt(p, options);
        out.push_back(std::move(p));
    });
    return out;
}

#endif

}  // namespace xlens
