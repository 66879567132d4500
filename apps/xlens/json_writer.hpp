// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace xlens::program {

/// Writes one JSON document to standard output piece by piece: a trace of every position of a long
/// prompt would not fit in memory as a tree. Numbers are the shortest decimals that give back the
/// same bits (at most 9 digits for a float); NaN and infinities, which JSON lacks, become null.
class json_writer {
public:
    json_writer() = default;
    /// Into a text, which is whole when the writer goes.
    explicit json_writer(std::string& to) : m_to(&to) {}
    ~json_writer() { finish(); }
    json_writer(const json_writer&) = delete;
    json_writer& operator=(const json_writer&) = delete;

    void begin_object() { open('{'); }
    void end_object() { close('}'); }
    void begin_array() { open('['); }
    void end_array() { close(']'); }
    /// Before each value inside an object.
    void key(std::string_view name);

    /// `text` must be valid UTF-8.
    void value(std::string_view text);
    void value(const char* text) { value(std::string_view(text)); }
    void value(const std::string& text) { value(std::string_view(text)); }
    void value(bool truth) { raw(truth ? "true" : "false"); }
    void value(float number);
    void value(double number);
    template <class Integer>
        requires std::is_integral_v<Integer>
    void value(Integer number) {
        raw(std::to_string(number));
    }

    template <class T>
    void field(std::string_view name, const T& content) {
        key(name);
        value(content);
    }

private:
    void open(char bracket);
    void close(char bracket);
    void raw(std::string_view text);
    void comma();
    void quote(std::string_view text);
    void flush();
    void finish();

    void put();

    std::string* m_to = nullptr;  // standard output, without
    std::string m_buffer;
    bool m_first = true;  // nothing stands before in this object or array
    bool m_after_key = false;
};

}  // namespace xlens::program
