// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/text/templates/conversation.hpp>
#include <xlens/text/templates/template_budget.hpp>
#include <xlens/text/tokenizer.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#if XLENS_DEFINES(text)
#include <xlens/core/error.hpp>
#include <xlens/text/templates/template_date.hpp>
#include <xlens/text/templates/template_methods.hpp>
#include <xlens/text/templates/template_program.hpp>
#include <xlens/text/templates/template_run.hpp>
#include <xlens/text/utf8.hpp>

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>
#endif

namespace xlens {

namespace detail {
struct template_program;
}

/// How a conversation is rendered.
struct chat_options {
    /// Ends ready for the model's answer.
    bool add_generation_prompt = true;
    /// Which of several templates; empty: "tool_use" for a conversation with tools if there is one,
    /// else the default.
    std::string name = {};
    /// The day that strftime_now shows, YYYY-MM-DD at midnight; empty: now.
    std::string date = {};
    template_limits limits = {};
};

/// The chat template of a model: the part of Jinja 3.1 that such templates use, set up as
/// transformers does (trim_blocks, lstrip_blocks, break and continue, a sandbox in which nothing
/// given is changed, its own tojson, raise_exception, strftime_now, generation). What Jinja has and
/// this has not is refused by name when the template is read, a method or a form of an argument
/// when it is used; nothing is skipped. Immutable once made.
///
/// Not supported: inheritance and inclusion (block, extends, include, import), autoescape; filters
/// batch, filesizeformat, forceescape, pprint, random, slice, striptags, truncate, urlencode,
/// urlize, wordcount, wordwrap, xmlattr; cycler, joiner, lipsum; whole numbers beyond 64 bits;
/// generators, ranges, macros and namespaces as text; upper and lower case of ß and its like.
class chat_template {
public:
    /// Throws xlens::error for a template that cannot be read, with its line.
    explicit chat_template(std::string_view source);

    /// The conversation as the model reads it. `special_tokens` are variables such as bos_token.
    /// Throws xlens::error where the template refuses the conversation (roles in a wrong order),
    /// where Jinja would fail, and for what goes over the limits.
    [[nodiscard]] std::string render(
        const conversation& messages, const chat_options& options = {},
        const std::map<std::string, std::string, std::less<>>& special_tokens = {}) const;

private:
    std::shared_ptr<const detail::template_program> m_program;
};

/// A conversation as the model's own template writes it. Throws xlens::error if the model has none
/// of the name that is asked for, and as chat_template does.
[[nodiscard]] XLENS_API std::string render_chat(const tokenizer& text, const conversation& messages,
                                                const chat_options& options = {});

#if XLENS_DEFINES(text)
XLENS_API chat_template::chat_template(std::string_view source) {
    constexpr std::size_t most = std::size_t{1} << 20U;
    if (source.size() > most) {
        fail("chat template: {} bytes, expected at most {}", source.size(), most);
    }
    m_program =
        std::make_shared<const detail::template_program>(detail::template_parser(source).program());
}

XLENS_API std::string chat_template::render(
    const conversation& messages, const chat_options& options,
    const std::map<std::string, std::string, std::less<>>& special_tokens) const {
    using detail::template_value;
    detail::template_run run(options.limits, detail::template_time(options.date),
                             detail::call_method);
    const auto set = [&](std::string_view name, template_value value) {
        const auto& names = m_program->names;
        for (std::size_t i = 0; i < names.size(); ++i) {
            if (names[i] == name) { run.frame().set(i, std::move(value)); }
        }
    };
    for (const auto& [name, text] : special_tokens) {
        if (!is_valid_utf8(text)) {
            fail("chat template: {}: expected UTF-8, got '{}'", printable(name), printable(text));
        }
        set(name, text);
    }
    const detail::conversation_values& values = messages.values();
    set("tools", nullptr);
    set("documents", nullptr);
    set("add_generation_prompt", options.add_generation_prompt);
    for (const auto& [name, value] : values.variables) { set(name, value); }
    set("messages", values.messages);
    return run.captured([&] { (void)detail::execute(run, m_program->root); });
}

namespace detail {

/// The template that is asked for.
inline const std::string& choose_template(const tokenizer& text, const std::string& name,
                                          bool has_tools) {
    const auto& named = text.chat_templates();
    const bool has_default = !text.chat_template().empty();
    const auto found = named.find(!name.empty() ? name : has_tools ? "tool_use" : "");
    if (found != named.end()) { return found->second; }
    if (has_default && (name.empty() || name == "default")) { return text.chat_template(); }
    if (!has_default && named.empty()) {
        fail("chat template: the model has none; give the whole text as a prompt");
    }
    std::vector<std::string> names;
    if (has_default) { names.emplace_back("default"); }
    for (const auto& [each, source] : named) { names.push_back(printable(each)); }
    fail("chat template: the model has none of the name '{}'; it has {}",
         name.empty() ? "default" : printable(name), joined(names, ", "));
}

}  // namespace detail

XLENS_API std::string render_chat(const tokenizer& text, const conversation& messages,
                                  const chat_options& options) {
    auto tokens = text.named_tokens();
    if (text.bos()) { tokens["bos_token"] = text.bytes(*text.bos()); }
    if (text.eos()) { tokens["eos_token"] = text.bytes(*text.eos()); }
    return chat_template(detail::choose_template(text, options.name, messages.has_tools()))
        .render(messages, options, tokens);
}
#endif

}  // namespace xlens
