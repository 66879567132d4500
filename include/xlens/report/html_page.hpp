// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/json/writer.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/text/utf8.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

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

// Colours come in pairs, for paper and for the dark; every text colour has a contrast of 4.5 or
// more on --paper, --panel and --raised. Charts take --series-1 to --series-4.
inline constexpr std::string_view page_style = R"css(
:root {
  color-scheme: light dark;
  --paper: #fbfaf7; --panel: #ffffff; --raised: #f1efe9; --line: #dedad0; --strong: #a8a294;
  --ink: #1f2328; --dim: #5d6067;
  --cool: #0b6e75; --cool-rgb: 21 139 146; --warm: #8f5a06; --warm-rgb: 214 152 46;
  --bad: #b3341f; --focus: #1d4ed8;
  --series-1: #0b6e75; --series-2: #b06a00; --series-3: #6b4fa0; --series-4: #b3341f;
  --text: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "Noto Sans Mono",
    "Liberation Mono", "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --panel: #1a1e22; --raised: #242a2f; --line: #333a41; --strong: #68727b;
    --ink: #e6e4de; --dim: #a2a8ae;
    --cool: #5fc7cc; --cool-rgb: 38 148 155; --warm: #e0ac5a; --warm-rgb: 176 117 24;
    --bad: #f08a75; --focus: #8ab4ff;
    --series-1: #5fc7cc; --series-2: #e0ac5a; --series-3: #b49ae6; --series-4: #f08a75;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 14px/1.45 var(--text); font-variant-numeric: tabular-nums; }
h1, h2, h3, p, dl, dd, ol, ul, figure { margin: 0; padding: 0; }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 1px; }
)css";

}  // namespace detail

/// `text` for HTML, in an element or in a quoted attribute: what is markup becomes references (the
/// ampersand, both angle brackets, both quotes), and what is no character U+FFFD. Marks that turn
/// the direction of text pass: put names in a `bdi` element, or through `visible` first
/// (text/visible.hpp).
inline std::string html_text(std::string_view text) {
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

/// `text` as a JSON string, quotes included, that may stand in a `script` element: angle brackets
/// and the ampersand are escaped, so that the text can neither end the element nor open a comment,
/// and the line ends of JavaScript.
inline std::string script_string(std::string_view text) {
    std::string plain;
    detail::each_plain_character(text, [&](char32_t, std::string_view utf8) { plain += utf8; });
    std::string out;
    append_json_string(out, plain, json_escapes::script);
    return out;
}

/// A page that needs nothing but itself: no network, no fonts, no files beside it.
struct html_page {
    std::string title{};        ///< plain text
    std::string_view style{};   ///< CSS, after what all pages share
    std::string body{};         ///< HTML; text in it has gone through html_text
    std::string data{};         ///< JSON made with script_string: the element #data; may be empty
    std::string_view script{};  ///< JavaScript, run when the body is there; may be empty
};

/// The page as one HTML document, light or dark as its reader prefers. A content security policy
/// in it refuses every request, so that it cannot reach out whatever its parts say.
inline std::string to_string(const html_page& page) {
    std::string out = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'\">\n"
        "<link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>{}{}</style>\n</head>\n"
        "<body>\n{}\n",
        html_text(page.title), detail::page_style, page.style, page.body);
    if (!page.data.empty()) {
        out += "<script type=\"application/json\" id=\"data\">";
        out += page.data;
        out += "</script>\n";
    }
    if (!page.script.empty()) { out += fmt::format("<script>{}</script>\n", page.script); }
    return out + "</body>\n</html>\n";
}

/// Writes the page and commits the file; returns the page's bytes. Throws xlens::error where it
/// cannot be written: make the atomic_file before the work that the page shows, so that a bad path
/// is told at once.
inline std::size_t write_page(atomic_file& file, const html_page& page) {
    const std::string text = to_string(page);
    file.write(std::as_bytes(std::span(text)));
    file.commit();
    return text.size();
}

}  // namespace xlens
