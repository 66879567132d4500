// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/json/writer.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/text/utf8.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#if XLENS_DEFINES(report)
#include <xlens/report/assets.hpp>
#include <xlens/report/fill.hpp>

#include <fmt/format.h>
#endif

namespace xlens {

namespace detail {

/// `text` as valid UTF-8, a character at a time: each(code point, its UTF-8). What is no character
/// of a text file (broken UTF-8, NUL, controls but tab and line end) becomes U+FFFD.
template <class Each>
void each_plain_character(std::string_view text, Each each) {
    for (std::size_t at = 0; at < text.size();) {
        const utf8_unit unit = read_utf8(text, at);
        const bool control = (unit.value < 0x20 && unit.value != '\t' && unit.value != '\n') ||
                             (unit.value >= 0x7f && unit.value < 0xa0);
        std::string utf8;
        append_utf8(utf8, control ? U'\xFFFD' : unit.value);
        each(control ? U'\xFFFD' : unit.value, std::string_view(utf8));
        at += unit.length;
    }
}

}  // namespace detail

/// `text` for HTML, in an element or in a quoted attribute: what is markup becomes references (the
/// ampersand, both angle brackets, both quotes), and what is no character U+FFFD. Marks that turn
/// the direction of text pass: put names in a `bdi` element, or through `visible` first
/// (text/visible.hpp).
XLENS_API std::string html_text(std::string_view text);

/// `text` as a JSON string, quotes included, that may stand in a `script` element: angle brackets
/// and the ampersand are escaped, so that the text can neither end the element nor open a comment,
/// and the line ends of JavaScript.
XLENS_API std::string script_string(std::string_view text);

/// A page that needs nothing but itself: no network, no fonts, no files beside it.
struct html_page {
    std::string title{};   ///< plain text
    std::string style{};   ///< CSS, after what all pages share
    std::string body{};    ///< HTML; text in it has gone through html_text
    std::string data{};    ///< JSON made with script_string: the element #data; may be empty
    std::string script{};  ///< JavaScript, run when the body is there; may be empty
};

/// The page as one HTML document (web/shared/page.html), light or dark as its reader prefers. A
/// content security policy in it refuses every request, so that it cannot reach out whatever its
/// parts say.
XLENS_API std::string to_string(const html_page& page);

/// Writes the page and commits the file; returns the page's bytes. Throws xlens::error where it
/// cannot be written: make the atomic_file before the work that the page shows, so that a bad path
/// is told at once.
XLENS_API std::size_t write_page(atomic_file& file, const html_page& page);

#if XLENS_DEFINES(report)

XLENS_API std::string html_text(std::string_view text) {
    std::string out;
    detail::each_plain_character(text, [&](char32_t value, std::string_view utf8) {
        switch (value) {
            case U'&': out += "&amp;"; break;
            case U'<': out += "&lt;"; break;
            case U'>': out += "&gt;"; break;
            case U'"': out += "&quot;"; break;
            case U'\'': out += "&#39;"; break;
            default: out += utf8;
        }
    });
    return out;
}

XLENS_API std::string script_string(std::string_view text) {
    std::string plain;
    detail::each_plain_character(text, [&](char32_t, std::string_view utf8) { plain += utf8; });
    std::string out;
    append_json_string(out, plain, json_escapes::script);
    return out;
}

XLENS_API std::string to_string(const html_page& page) {
    std::string scripts;
    if (!page.data.empty()) {
        scripts += "<script type=\"application/json\" id=\"data\">";
        scripts += page.data;
        scripts += "</script>\n";
    }
    if (!page.script.empty()) { scripts += fmt::format("<script>{}</script>\n", page.script); }
    const std::array values{
        placeholder{"title", html_text(page.title)},
        placeholder{"shared", std::string(assets::page_css)},
        placeholder{"style", page.style},
        placeholder{"body", page.body.ends_with('\n') ? page.body : page.body + '\n'},
        placeholder{"scripts", std::move(scripts)},
    };
    return fill(assets::page_html, values);
}

XLENS_API std::size_t write_page(atomic_file& file, const html_page& page) {
    const std::string text = to_string(page);
    file.write(std::as_bytes(std::span(text)));
    file.commit();
    return text.size();
}

#endif

}  // namespace xlens
