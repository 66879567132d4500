// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/text/templates/template_expression.hpp>
#include <xlens/text/templates/template_pieces.hpp>
#include <xlens/text/templates/template_scope.hpp>
#include <xlens/text/tokenizer.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// A turn of a conversation: `role` is "system", "user" or "assistant".
struct chat_message {
    std::string role;
    std::string content;
};

/// The chat template of a model: the part of Jinja that such templates use, with the settings of
/// transformers (the line end after a block tag and the spaces before it are dropped). Statements
/// for, if and set; expressions as in text/templates/template_expression.hpp. What it does not know
/// is refused, with its name, and never skipped. Immutable once made.
class chat_template {
public:
    /// Throws xlens::error for a template that cannot be read.
    explicit chat_template(std::string_view source);

    /// The conversation as the model reads it; with `add_generation_prompt` ready for its answer.
    /// Throws xlens::error where the template refuses the conversation (roles in a wrong order).
    [[nodiscard]] std::string render(std::span<const chat_message> messages,
                                     bool add_generation_prompt = true, const std::string& bos = {},
                                     const std::string& eos = {}) const;

private:
    using expression = detail::template_expression;
    using piece = detail::template_piece;

    struct node;
    using block = std::vector<std::shared_ptr<const node>>;
    struct branch {
        expression condition;
        block inside;
    };
    struct node {
        enum class kind { text, value, set, choose, loop };
        kind what = kind::text;
        std::string text;    // of a text, or the name that is set or looped over
        std::string member;  // of `set name.member`
        expression value;
        std::vector<branch> branches;  // of an if; of a loop its body, and its `if` as condition
        block otherwise;
    };
    // Putting the pieces together.

    /// The nodes up to a statement that begins with one of `ends`, which stays the next piece.
    block body(std::vector<std::string_view> ends) {
        constexpr std::size_t most_depth = 64;
        if (++m_depth > most_depth) { detail::fail_template("nested too deep"); }
        block out;
        while (m_next < m_pieces.size()) {
            const piece& p = m_pieces[m_next];
            if (p.what == piece::kind::statement) {
                const std::string_view word = first_word(p.content);
                if (std::find(ends.begin(), ends.end(), word) != ends.end()) {
                    --m_depth;
                    return out;
                }
            }
            ++m_next;
            auto made = std::make_shared<node>();
            if (p.what == piece::kind::text) {
                made->text = p.content;
            } else if (p.what == piece::kind::value) {
                made->what = node::kind::value;
                made->value = detail::expression_parser(p.content).whole();
            } else {
                statement(p.content, *made);
            }
            out.push_back(std::move(made));
        }
        if (!ends.empty()) {
            detail::fail_template("expected " + std::string(ends.back()) + ", got the end");
        }
        --m_depth;
        return out;
    }
    static std::string_view first_word(std::string_view text) {
        return text.substr(0, text.find_first_of(" \t\n"));
    }
    void statement(const std::string& content, node& to) {
        const std::string word(first_word(content));
        detail::expression_parser rest(std::string_view(content).substr(word.size()));
        if (word == "set") {
            to.what = node::kind::set;
            to.text = rest.name();
            if (rest.accept(".")) { to.member = rest.name(); }
            rest.expect("=");
            to.value = rest.whole();
        } else if (word == "if") {
            read_if(rest.whole(), to);
        } else if (word == "for") {
            read_for(rest, to);
        } else {
            detail::fail_template("statement '" + word + "' is not supported");
        }
    }
    void read_if(expression condition, node& to) {
        to.what = node::kind::choose;
        to.branches.push_back({std::move(condition), body({"elif", "else", "endif"})});
        while (true) {
            const std::string tag = m_pieces[m_next++].content;
            const std::string_view word = first_word(tag);
            if (word == "endif") { return; }
            if (word == "else") {
                to.otherwise = body({"endif"});
            } else {
                const std::string_view rest = std::string_view(tag).substr(word.size());
                expression next = detail::expression_parser(rest).whole();
                to.branches.push_back({std::move(next), body({"elif", "else", "endif"})});
            }
        }
    }
    void read_for(detail::expression_parser& rest, node& to) {
        to.what = node::kind::loop;
        to.text = rest.name();
        if (!rest.accept_word("in")) { rest.unexpected(); }
        to.value = rest.disjunction();
        if (!rest.at_end()) { rest.unexpected(); }  // `for .. in .. if ..` is not supported
        to.branches.push_back({{}, body({"else", "endfor"})});
        if (first_word(m_pieces[m_next++].content) == "else") {
            to.otherwise = body({"endfor"});
            ++m_next;
        }
    }

    // Running.

    static void run(const block& nodes, detail::template_scope& scope, std::string& out) {
        for (const auto& n : nodes) { run(*n, scope, out); }
    }
    static void run(const node& n, detail::template_scope& scope, std::string& out) {
        switch (n.what) {
            case node::kind::text: out += n.text; return;
            case node::kind::value: out += detail::text_of(n.value(scope)); return;
            case node::kind::set: return assign(n, scope);
            case node::kind::choose:
                for (const branch& b : n.branches) {
                    if (detail::truth(b.condition(scope))) { return run(b.inside, scope, out); }
                }
                return run(n.otherwise, scope, out);
            case node::kind::loop: return repeat(n, scope, out);
        }
    }
    static void assign(const node& n, detail::template_scope& scope) {
        if (n.member.empty()) { return scope.set(n.text, n.value(scope)); }
        detail::template_value value = n.value(scope);
        detail::template_value* to = scope.find(n.text);
        if (to == nullptr || !to->is_object()) {
            detail::fail_template("'" + n.text + "' has no members to set");
        }
        (*to)[n.member] = std::move(value);
    }
    static void repeat(const node& n, detail::template_scope& scope, std::string& out) {
        const detail::template_value items = n.value(scope);
        if (items.is_discarded() || items.is_null() || items.empty()) {
            return run(n.otherwise, scope, out);
        }
        if (!items.is_array()) { detail::fail_template("for: expected a list"); }
        for (std::size_t i = 0; i < items.size(); ++i) {
            scope.open();
            scope.set(n.text, items[i]);
            scope.set("loop", {{"index", i + 1},
                               {"index0", i},
                               {"first", i == 0},
                               {"last", i + 1 == items.size()},
                               {"length", items.size()}});
            run(n.branches.front().inside, scope, out);
            scope.close();
        }
    }

    block m_root;
    std::vector<piece> m_pieces;  // while it is made
    std::size_t m_next = 0;
    std::size_t m_depth = 0;
};

/// A conversation as the model's own template writes it. Throws xlens::error if the model has none.
[[nodiscard]] XLENS_API std::string render_chat(const tokenizer& text,
                                                std::span<const chat_message> messages,
                                                bool add_generation_prompt = true);

#if XLENS_DEFINES(text)
XLENS_API chat_template::chat_template(std::string_view source) {
    m_pieces = detail::template_cutter().cut(source);
    m_root = body({});
    m_pieces.clear();
}

XLENS_API std::string chat_template::render(std::span<const chat_message> messages,
                                            bool add_generation_prompt, const std::string& bos,
                                            const std::string& eos) const {
    detail::template_scope scope;
    auto list = detail::template_value::array();
    for (const chat_message& m : messages) {
        list.push_back({{"role", m.role}, {"content", m.content}});
    }
    scope.set("messages", std::move(list));
    scope.set("add_generation_prompt", add_generation_prompt);
    scope.set("bos_token", bos);
    scope.set("eos_token", eos);
    std::string out;
    run(m_root, scope, out);
    return out;
}

XLENS_API std::string render_chat(const tokenizer& text, std::span<const chat_message> messages,
                                  bool add_generation_prompt) {
    if (text.chat_template().empty()) {
        fail("chat template: the model has none; give the whole text as a prompt");
    }
    const auto of = [&](std::optional<token_id> id) {
        return id ? text.bytes(*id) : std::string();
    };
    return chat_template(text.chat_template())
        .render(messages, add_generation_prompt, of(text.bos()), of(text.eos()));
}
#endif

}  // namespace xlens
