// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/core.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace xlens {

/// The one exception that leaves xlens. Its message is a single line that names the file (or flag),
/// the field, and both values: what was expected and what was found.
class error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Text from outside, made safe for a one-line message: control bytes and non-ASCII bytes are
/// escaped as `\xNN`, and anything over `limit` bytes is cut and marked with "...".
inline std::string printable(std::string_view text, std::size_t limit = 80) {
    std::string out;
    for (const char byte : text.substr(0, limit)) {
        const auto c = static_cast<unsigned char>(byte);
        if (c < 0x20 || c > 0x7e) {
            out += fmt::format("\\x{:02x}", c);
        } else {
            out += byte;
        }
    }
    if (text.size() > limit) { out += "..."; }
    return out;
}

/// "a, b, c" of strings or whole numbers. Lists of a message: fmt::join compiles a formatter for
/// each kind of list, half a second in a program that reads a model.
template <class Range>
std::string joined(const Range& items, std::string_view separator) {
    std::string out;
    std::string_view before;
    for (const auto& item : items) {
        out += std::exchange(before, separator);
        if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(item)>>) {
            out += std::to_string(item);
        } else {
            out += item;
        }
    }
    return out;
}

/// What stands for a {} of a message: text or a number, seen as one of few types.
class message_argument {
public:  // NOLINTBEGIN(google-explicit-constructor): it is one of them.
    message_argument(std::string_view text) : m_kind(kind::text), m_text(text) {}
    message_argument(const std::string& text) : message_argument(std::string_view(text)) {}
    message_argument(const char* text) : message_argument(std::string_view(text)) {}
    message_argument(bool truth) : message_argument(truth ? "true" : "false") {}
    message_argument(float number) : m_kind(kind::single), m_single(number) {}
    message_argument(double number) : m_kind(kind::real), m_real(number) {}
    template <std::signed_integral Integer>
    message_argument(Integer number) : m_kind(kind::integer), m_integer(number) {}
    template <std::unsigned_integral Integer>
    message_argument(Integer number) : m_kind(kind::natural), m_natural(number) {}
    message_argument(char) = delete;  // a number? NOLINTEND(google-explicit-constructor)

    void append_to(std::string& out) const {
        switch (m_kind) {
            case kind::text: out += m_text; return;
            case kind::integer: out += std::to_string(m_integer); return;
            case kind::natural: out += std::to_string(m_natural); return;
            case kind::single: out += fmt::format("{}", m_single); return;
            case kind::real: out += fmt::format("{}", m_real); return;
        }
    }

private:
    enum class kind : unsigned char { text, integer, natural, single, real };
    kind m_kind;
    union {
        std::string_view m_text;
        std::int64_t m_integer;
        std::uint64_t m_natural;
        float m_single;
        double m_real;
    };
};

namespace detail {
// Called, neither is constexpr: the compiler names it.
void braces_other_than_a_pair();
void another_number_of_braces_than_arguments();
}  // namespace detail

/// The text of a message in which {} stands `Arguments` times, which is checked when it is
/// compiled, and no other brace.
template <std::size_t Arguments>
class message_format {
public:
    consteval message_format(const char* text) : m_text(text) {  // NOLINT: it is one
        std::size_t found = 0;
        for (const char* c = text; *c != '\0'; ++c) {
            if (*c != '{' && *c != '}') { continue; }
            if (c[0] != '{' || c[1] != '}') { detail::braces_other_than_a_pair(); }
            ++found;
            ++c;
        }
        if (found != Arguments) { detail::another_number_of_braces_than_arguments(); }
    }
    [[nodiscard]] const char* text() const { return m_text; }

private:
    const char* m_text;
};

namespace detail {

using message_part = const message_argument&;

[[noreturn, gnu::cold]] inline void throw_error(
    std::string_view format, std::initializer_list<const message_argument*> arguments) {
    std::string out;
    for (const message_argument* argument : arguments) {
        const std::size_t place = format.find("{}");
        out += format.substr(0, place);
        argument->append_to(out);
        format.remove_prefix(place + 2);
    }
    throw error(out.append(format));
}

}  // namespace detail

/// Throws xlens::error with a formatted message: `fail("{}: {} is {}, expected {}", file, ...)`. {}
/// stands for text or a number; whatever else is given as fmt::format writes it. One function a
/// number of arguments, no template of their types: a program that reads a model has 300 messages.
[[noreturn, gnu::noinline, gnu::cold]] inline void fail(message_format<0> format) {
    detail::throw_error(format.text(), {});
}
[[noreturn, gnu::noinline, gnu::cold]] inline void fail(message_format<1> format,
                                                        detail::message_part a) {
    detail::throw_error(format.text(), {&a});
}
[[noreturn, gnu::noinline, gnu::cold]] inline void fail(message_format<2> format,
                                                        detail::message_part a,
                                                        detail::message_part b) {
    detail::throw_error(format.text(), {&a, &b});
}
[[noreturn, gnu::noinline, gnu::cold]] inline void fail(message_format<3> format,
                                                        detail::message_part a,
                                                        detail::message_part b,
                                                        detail::message_part c) {
    detail::throw_error(format.text(), {&a, &b, &c});
}
[[noreturn, gnu::noinline, gnu::cold]] inline void fail(message_format<4> format,
                                                        detail::message_part a,
                                                        detail::message_part b,
                                                        detail::message_part c,
                                                        detail::message_part d) {
    detail::throw_error(format.text(), {&a, &b, &c, &d});
}
[[noreturn, gnu::noinline, gnu::cold]] inline void fail(
    message_format<5> format, detail::message_part a, detail::message_part b,
    detail::message_part c, detail::message_part d, detail::message_part e) {
    detail::throw_error(format.text(), {&a, &b, &c, &d, &e});
}
[[noreturn, gnu::noinline, gnu::cold]] inline void fail(
    message_format<6> format, detail::message_part a, detail::message_part b,
    detail::message_part c, detail::message_part d, detail::message_part e,
    detail::message_part f) {
    detail::throw_error(format.text(), {&a, &b, &c, &d, &e, &f});
}
[[noreturn, gnu::noinline, gnu::cold]] inline void fail(
    message_format<7> format, detail::message_part a, detail::message_part b,
    detail::message_part c, detail::message_part d, detail::message_part e, detail::message_part f,
    detail::message_part g) {
    detail::throw_error(format.text(), {&a, &b, &c, &d, &e, &f, &g});
}
[[noreturn, gnu::noinline, gnu::cold]] inline void fail(
    message_format<8> format, detail::message_part a, detail::message_part b,
    detail::message_part c, detail::message_part d, detail::message_part e, detail::message_part f,
    detail::message_part g, detail::message_part h) {
    detail::throw_error(format.text(), {&a, &b, &c, &d, &e, &f, &g, &h});
}

}  // namespace xlens
