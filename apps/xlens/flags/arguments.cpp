// SPDX-License-Identifier: BSD-3-Clause
#include "flags/arguments.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/version.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <exception>
#include <new>
#include <utility>

namespace xlens::program {

namespace {

constexpr int bad_input = 2;
constexpr int anything_else = 1;

CLI::Option* add_value(CLI::App& app, const std::string& name, const std::string& kind,
                       arguments::reader read, const std::string& help) {
    // The raw results: CLI11's own conversions read some strings as lists or flags.
    const auto take = [read = std::move(read), name](const CLI::results_t& values) {
        if (values.size() > 1) { fail("{}: expected once, got {} times", name, values.size()); }
        read(values.front());
        return true;
    };
    // All values reach us, so that the message about a second one is ours.
    return app.add_option(name, take, help)
        ->type_name(kind)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void check_word(std::string_view flag, const std::string& value,
                const std::vector<std::string>& words) {
    if (std::find(words.begin(), words.end(), value) == words.end()) {
        fail("{}: expected one of {}, got '{}'", flag, joined(words, ", "), printable(value));
    }
}

int report(int code, std::string_view message) {
    std::fflush(stdout);
    const std::string line = fmt::format("xlens: {}\n", printable(message, 2000));
    std::fputs(line.c_str(), stderr);
    return code;
}

}  // namespace

float parse_number(std::string_view flag, std::string_view text) {
    float value = 0.0F;
    const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
    const char* end = digits.data() + digits.size();
    const auto result = std::from_chars(digits.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end || !std::isfinite(value)) {
        fail("{}: expected a finite number, got '{}'", flag, printable(text));
    }
    return value;
}

std::uint64_t parse_whole(std::string_view flag, std::string_view text, std::uint64_t least,
                          std::uint64_t most) {
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end || value < least || value > most) {
        fail("{}: expected a whole number from {} to {}, got '{}'", flag, least, most,
             printable(text));
    }
    return value;
}

void arguments::positional(const std::string& name, std::string& to, const std::string& help) {
    add_value(
        *m_app, name, "", [&to](const std::string& value) { to = value; }, help)
        ->required();
}

void arguments::positionals(const std::string& name, std::vector<std::string>& to,
                            const std::string& help, bool required) {
    const auto take = [&to](const CLI::results_t& values) {
        to = values;
        return true;
    };
    m_app->add_option(name, take, help)
        ->type_name("")
        ->expected(required ? 1 : 0, -1)
        ->allow_extra_args()
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->required(required);
}

void arguments::positional(const std::string& name, std::optional<std::string>& to,
                           const std::string& help) {
    add_value(
        *m_app, name, "", [&to](const std::string& value) { to = value; }, help);
}

void arguments::flag(const std::string& name, bool& to, const std::string& help) {
    m_app->add_flag_function(
        name, [&to](std::int64_t) { to = true; }, help);
}

void arguments::text(const std::string& name, std::optional<std::string>& to,
                     const std::string& kind, const std::string& help) {
    add_value(
        *m_app, name, kind, [&to](const std::string& value) { to = value; }, help);
}

void arguments::whole(const std::string& name, std::optional<std::size_t>& to, std::size_t least,
                      std::size_t most, const std::string& help) {
    const auto read = [&to, least, most, name](const std::string& value) {
        to = static_cast<std::size_t>(parse_whole(name, value, least, most));
    };
    add_value(*m_app, name, "N", read, help);
}

void arguments::whole(const std::string& name, std::size_t& to, std::size_t least, std::size_t most,
                      const std::string& help) {
    const auto read = [&to, least, most, name](const std::string& value) {
        to = static_cast<std::size_t>(parse_whole(name, value, least, most));
    };
    add_value(*m_app, name, "N", read, fmt::format("{} ({})", help, to));
}

void arguments::number(const std::string& name, std::optional<float>& to, const std::string& help) {
    const auto read = [&to, name](const std::string& value) { to = parse_number(name, value); };
    add_value(*m_app, name, "X", read, help);
}

void arguments::choice(const std::string& name, std::optional<std::string>& to,
                       const std::vector<std::string>& words, const std::string& help) {
    const auto read = [&to, words, name](const std::string& value) {
        check_word(name, value, words);
        to = value;
    };
    add_value(*m_app, name, joined(words, "|"), read, help);
}

void arguments::choice(const std::string& name, std::string& to,
                       const std::vector<std::string>& words, const std::string& help) {
    to = words.front();
    const auto read = [&to, words, name](const std::string& value) {
        check_word(name, value, words);
        to = value;
    };
    add_value(*m_app, name, joined(words, "|"), read, fmt::format("{} ({})", help, to));
}

void arguments::repeated(const std::string& name, const std::string& kind, reader read,
                         const std::string& help) {
    const auto take = [read = std::move(read)](const CLI::results_t& values) {
        for (const std::string& value : values) { read(value); }
        return true;
    };
    m_app->add_option(name, take, help)
        ->type_name(kind)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

command_line::command_line()
    : m_app(std::make_unique<CLI::App>("Looks inside transformer language models: every "
                                       "feed-forward layer as a sum of sub-updates,\n"
                                       "each of which promotes concepts in the vocabulary (Geva et "
                                       "al. 2022, arXiv 2203.14680).")) {
    m_app->name("xlens");
    m_app->require_subcommand(1);
    m_app->set_version_flag("--version", fmt::format("xlens {}", version), "Print the version");
    m_app->get_formatter()->column_width(25);
    m_app->get_formatter()->label("Positionals", "Arguments");
    m_app->footer(
        "MODEL is a .gguf file, a Hugging Face folder, or the word default (fetched by ./demo).\n"
        "xlens SUBCOMMAND --help shows the flags of one and an example.\n"
        "Exit codes: 0 fine, 2 bad input, 1 anything else.\n\n"
        "Example:\n  xlens trace default --prompt \"The capital of France is\"");
}
command_line::~command_line() = default;

arguments command_line::add(const std::string& name, const std::string& help,
                            const std::string& example, std::function<void()> run) {
    CLI::App* app = m_app->add_subcommand(name, help);
    app->footer("Example:\n  " + example);
    app->allow_extras();  // refused in parse_and_run, with a message of ours
    m_subcommands.push_back({name, app, std::move(run)});
    return arguments(*app);
}

void command_line::check_subcommand(std::string_view given) const {
    std::vector<std::string_view> names;
    for (const subcommand& one : m_subcommands) { names.emplace_back(one.name); }
    const bool known = std::find(names.begin(), names.end(), given) != names.end();
    if (known || given == "-h" || given == "--help" || given == "--version") { return; }
    fail("expected one of {}, or --help; got {}", joined(names, ", "),
         given.empty() ? "nothing" : fmt::format("'{}'", printable(given)));
}

void command_line::parse_and_run(int count, const char* const* values) {
    check_subcommand(count > 1 ? values[1] : "");
    m_app->parse(count, values);
    for (const subcommand& one : m_subcommands) {
        if (!one.app->parsed()) { continue; }
        const std::vector<std::string> unknown = one.app->remaining();
        if (!unknown.empty()) {
            fail("{}: unknown argument '{}'; xlens {} --help lists them", one.name,
                 printable(unknown.front()), one.name);
        }
        one.run();
    }
    // Output that did not reach its file is an error, not a success.
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        throw std::runtime_error("standard output: cannot be written");
    }
}

int command_line::run(int count, const char* const* values) noexcept {
    try {
        parse_and_run(count, values);
        return 0;
    } catch (const CLI::Success& e) {  // --help
        return m_app->exit(e);
    } catch (const CLI::ArgumentMismatch& e) {
        const std::string_view what = e.what();
        return report(bad_input, fmt::format("{}: expected a value, got nothing",
                                             what.substr(0, what.find(':'))));
    } catch (const CLI::ParseError& e) {
        return report(bad_input, e.what());
    } catch (const error& e) { return report(bad_input, e.what()); } catch (const std::bad_alloc&) {
        return report(anything_else, "not enough memory");
    } catch (const std::exception& e) { return report(anything_else, e.what()); } catch (...) {
        return report(anything_else, "unknown failure");
    }
}

}  // namespace xlens::program
