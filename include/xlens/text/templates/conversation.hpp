// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(text)
#include <xlens/core/error.hpp>
#include <xlens/text/templates/template_json.hpp>
#include <xlens/text/templates/template_value.hpp>

#include <utility>
#endif

namespace xlens {

namespace detail {
struct conversation_values;
}

/// A turn of a conversation: `role` is "system", "user" or "assistant".
struct chat_message {
    std::string role;
    std::string content;
};

/// What a chat template is given: the messages so far, and what else it may look at, such as
/// `tools`. Cheap to copy.
class conversation {
public:
    conversation() : conversation(std::span<const chat_message>()) {}
    // NOLINTBEGIN(google-explicit-constructor): messages are a conversation.
    conversation(std::span<const chat_message> messages);
    conversation(const std::vector<chat_message>& messages)
        : conversation(std::span<const chat_message>(messages)) {}
    // NOLINTEND(google-explicit-constructor)

    /// From JSON: a list of messages, or an object with such a list as "messages", whose other
    /// members ("tools", "documents", "enable_thinking", ...) are variables of the template. A
    /// message is an object, usually of "role" and "content", which may be a list of parts such as
    /// {"type": "text", "text": ...}. `file` is for messages. Reasoning that a message has as
    /// reasoning_content, thinking or reasoning can be read as any of the first two, as in
    /// transformers. Throws xlens::error for anything else.
    static conversation from_json(std::string_view file, std::string_view text);

    /// Adds a message, at the end or before all.
    void add(const chat_message& message);
    void add_first(const chat_message& message);
    /// Sets a variable of the template to a JSON value.
    void set(const std::string& name, std::string_view json);

    /// How many messages it has.
    [[nodiscard]] std::size_t size() const;
    /// Are there tools that the model may call?
    [[nodiscard]] bool has_tools() const;
    [[nodiscard]] const detail::conversation_values& values() const { return *m_values; }

private:
    detail::conversation_values& change();

    std::shared_ptr<detail::conversation_values> m_values;
};

#if XLENS_DEFINES(text)
namespace detail {

struct conversation_values {
    template_values messages;  // of dicts
    std::vector<std::pair<std::string, template_value>> variables;

    [[nodiscard]] const template_value* find(std::string_view name) const {
        for (const auto& [key, value] : variables) {
            if (key == name) { return &value; }
        }
        return nullptr;
    }
};

inline template_value message_value(const chat_message& message) {
    for (const std::string* text : {&message.role, &message.content}) {
        if (!is_valid_utf8(*text)) {
            fail("chat template: a message of '{}': expected UTF-8, got '{}'",
                 printable(message.role), printable(*text));
        }
    }
    template_mapping out;
    out.entries = {{"role", message.role}, {"content", message.content}};
    return out;
}

/// `message` with its reasoning under both names that templates read, as transformers does.
inline template_value with_reasoning(const template_value& message) {
    const auto& entries = message.mapping().entries;
    const auto find = [&](std::string_view name) -> const template_value* {
        for (const auto& [key, value] : entries) {
            if (key.text() == name && !value.is_none()) { return &value; }
        }
        return nullptr;
    };
    const template_value* reasoning = nullptr;
    for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
        if (reasoning == nullptr) { reasoning = find(name); }
    }
    if (reasoning == nullptr) { return message; }
    template_mapping out;
    out.entries = {{"thinking", *reasoning}};
    const auto put = [&](const template_value& key, const template_value& value) {
        for (auto& [known, old] : out.entries) {
            if (known.text() == key.text()) {
                old = value;
                return;
            }
        }
        out.entries.emplace_back(key, value);
    };
    for (const auto& [key, value] : entries) { put(key, value); }
    put("reasoning_content", *reasoning);
    return out;
}

/// A list of objects.
inline const template_values& object_list(std::string_view file, const std::string& what,
                                          const template_value& v) {
    if (!v.is_row()) { fail("{}: {}: expected a list of objects", file, what); }
    for (std::size_t i = 0; i < v.row().items.size(); ++i) {
        if (!v.row().items[i].is_mapping()) {
            fail("{}: {}[{}]: expected an object", file, what, i);
        }
    }
    return v.row().items;
}

}  // namespace detail

XLENS_API conversation::conversation(std::span<const chat_message> messages)
    : m_values(std::make_shared<detail::conversation_values>()) {
    for (const chat_message& message : messages) { add(message); }
}

XLENS_API conversation conversation::from_json(std::string_view file, std::string_view text) {
    const detail::template_value document = detail::template_json_reader(file, text).whole();
    conversation out;
    auto& values = *out.m_values;
    const detail::template_value* messages = document.is_row() ? &document : nullptr;
    if (document.is_mapping()) {
        for (const auto& [key, value] : document.mapping().entries) {
            if (key.text() == "messages") {
                messages = &value;
                continue;
            }
            const bool listed = key.text() == "tools" || key.text() == "documents";
            if (listed && !value.is_none()) { detail::object_list(file, key.text(), value); }
            values.variables.emplace_back(key.text(), value);
        }
    }
    if (messages == nullptr) {
        fail("{}: expected a list of messages, or an object with one as \"messages\"", file);
    }
    for (const auto& message : detail::object_list(file, "messages", *messages)) {
        values.messages.push_back(detail::with_reasoning(message));
    }
    return out;
}

XLENS_API void conversation::add(const chat_message& message) {
    change().messages.push_back(detail::message_value(message));
}

XLENS_API void conversation::add_first(const chat_message& message) {
    auto& messages = change().messages;
    messages.insert(messages.begin(), detail::message_value(message));
}

XLENS_API void conversation::set(const std::string& name, std::string_view json) {
    detail::template_value value = detail::template_json_reader(name, json).whole();
    for (auto& [known, old] : change().variables) {
        if (known == name) {
            old = std::move(value);
            return;
        }
    }
    change().variables.emplace_back(name, std::move(value));
}

XLENS_API std::size_t conversation::size() const { return m_values->messages.size(); }

XLENS_API bool conversation::has_tools() const {
    const detail::template_value* tools = m_values->find("tools");
    return tools != nullptr && !tools->is_none();
}

XLENS_API detail::conversation_values& conversation::change() {
    if (m_values.use_count() > 1) {
        m_values = std::make_shared<detail::conversation_values>(*m_values);
    }
    return *m_values;
}
#endif

}  // namespace xlens
