// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_value.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::detail {

/// A part of a template: text, {{ value }} or {% statement %}.
struct template_piece {
    enum class kind { text, value, statement };
    kind what;
    std::string content;
};

/// Cuts a template into pieces, with the white space settings of transformers: a line end after a
/// statement or comment is dropped, and so are spaces before it in its line.
class template_cutter {
public:
    std::vector<template_piece> cut(std::string_view source) {
        bool trims = false;  // the tag before ended with -
        bool drops_line_end = false;
        while (true) {
            const std::size_t open = next_tag(source);
            std::string text(source.substr(0, open));
            if (trims) { text = strip(text, true, false); }
            if (drops_line_end && text.starts_with('\n')) { text.erase(0, 1); }
            if (open == std::string_view::npos) {
                add_text(std::move(text));
                return std::move(m_pieces);
            }
            const char kind = source[open + 1];
            source.remove_prefix(open + 2);
            const bool strips = source.starts_with('-');
            const bool keeps = source.starts_with('+');
            if (strips) {
                text = strip(text, false, true);
            } else if (kind != '{' && !keeps) {
                drop_indentation(text);
            }
            add_text(std::move(text));
            const std::string_view close = kind == '{' ? "}}" : kind == '%' ? "%}" : "#}";
            const std::size_t end = closing(source, close, kind != '#');
            std::string_view inside = source.substr(0, end);
            if (strips || keeps) { inside.remove_prefix(1); }
            trims = inside.ends_with('-');
            if (trims) { inside.remove_suffix(1); }
            drops_line_end = kind != '{' && !trims;
            if (kind != '#') {
                m_pieces.push_back(
                    {kind == '{' ? template_piece::kind::value : template_piece::kind::statement,
                     strip(inside, true, true)});
            }
            source.remove_prefix(end + 2);
        }
    }

private:
    static std::size_t next_tag(std::string_view source) {
        for (std::size_t at = source.find('{'); at != std::string_view::npos;
             at = source.find('{', at + 1)) {
            if (at + 1 < source.size() &&
                std::string_view("{%#").find(source[at + 1]) != std::string_view::npos) {
                return at;
            }
        }
        return std::string_view::npos;
    }
    /// Where the tag ends; a string inside may hold what would end it.
    static std::size_t closing(std::string_view source, std::string_view close, bool has_strings) {
        char quote = 0;
        for (std::size_t at = 0; at < source.size(); ++at) {
            const char c = source[at];
            if (quote != 0) {
                if (c == '\\') { ++at; }
                if (c == quote) { quote = 0; }
            } else if (has_strings && (c == '\'' || c == '"')) {
                quote = c;
            } else if (source.substr(at).starts_with(close)) {
                return at;
            }
        }
        fail_template("expected " + std::string(close) + ", got the end");
    }
    static void drop_indentation(std::string& text) {
        const std::size_t line = text.find_last_not_of(" \t");
        if (line == std::string::npos) {
            text.clear();
        } else if (text[line] == '\n') {
            text.erase(line + 1);
        }
    }
    void add_text(std::string text) {
        if (!text.empty()) { m_pieces.push_back({template_piece::kind::text, std::move(text)}); }
    }

    std::vector<template_piece> m_pieces;
};

}  // namespace xlens::detail
