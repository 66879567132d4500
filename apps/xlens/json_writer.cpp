// SPDX-License-Identifier: BSD-3-Clause
#include "json_writer.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

namespace xlens::program {

void json_writer::key(std::string_view name) {
    comma();
    quote(name);
    m_buffer += ':';
    m_after_key = true;
}

void json_writer::value(std::string_view text) {
    comma();
    quote(text);
}

void json_writer::value(float number) {
    raw(std::isfinite(number) ? fmt::to_string(number) : "null");
}
void json_writer::value(double number) {
    raw(std::isfinite(number) ? fmt::to_string(number) : "null");
}

void json_writer::open(char bracket) {
    comma();
    m_buffer += bracket;
    m_first = true;
}

void json_writer::close(char bracket) {
    m_buffer += bracket;
    m_first = false;
    flush();
}

void json_writer::raw(std::string_view text) {
    comma();
    m_buffer += text;
}

void json_writer::comma() {
    if (!m_first && !m_after_key) { m_buffer += ','; }
    m_first = false;
    m_after_key = false;
}

void json_writer::quote(std::string_view text) {
    m_buffer += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            m_buffer += '\\';
            m_buffer += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            m_buffer += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
            m_buffer += c;
        }
    }
    m_buffer += '"';
}

void json_writer::flush() {
    constexpr std::size_t enough = 1U << 16U;
    if (m_buffer.size() < enough) { return; }
    put();
    m_buffer.clear();
}

void json_writer::put() {
    if (m_to != nullptr) {
        *m_to += m_buffer;
    } else {
        std::fwrite(m_buffer.data(), 1, m_buffer.size(), stdout);
    }
}

void json_writer::finish() {
    m_buffer += '\n';
    put();
}

}  // namespace xlens::program
