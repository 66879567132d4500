// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace xlens::program {

/// Declares the arguments of one subcommand. Values are parsed here and not by CLI11, so that every
/// message names the flag, what it expects and what it got; all of them are xlens::error.
class arguments {
public:
    explicit arguments(CLI::App& app) : m_app(&app) {}

    using reader = std::function<void(const std::string&)>;

    void positional(const std::string& name, std::string& to, const std::string& help);
    /// One or more.
    void positionals(const std::string& name, std::vector<std::string>& to, const std::string& help,
                     bool required = true);

    /// One that may be left out.
    void positional(const std::string& name, std::optional<std::string>& to,
                    const std::string& help);
    void flag(const std::string& name, bool& to, const std::string& help);
    /// `kind` is what --help calls the value: "TEXT".
    void text(const std::string& name, std::optional<std::string>& to, const std::string& kind,
              const std::string& help);
    void whole(const std::string& name, std::optional<std::size_t>& to, std::size_t least,
               std::size_t most, const std::string& help);
    void whole(const std::string& name, std::size_t& to, std::size_t least, std::size_t most,
               const std::string& help);
    /// A finite number.
    void number(const std::string& name, std::optional<float>& to, const std::string& help);
    /// One of some words; the first is the default.
    void choice(const std::string& name, std::string& to, const std::vector<std::string>& words,
                const std::string& help);
    /// One of some words, or nothing; `help` says what nothing means.
    void choice(const std::string& name, std::optional<std::string>& to,
                const std::vector<std::string>& words, const std::string& help);
    /// May be given many times; `read` is called for each in order.
    void repeated(const std::string& name, const std::string& kind, reader read,
                  const std::string& help);

private:
    CLI::App* m_app;
};

/// A finite decimal number, else an xlens::error that names the flag.
float parse_number(std::string_view flag, std::string_view text);
/// A whole number from `least` to `most`, else an xlens::error that names the flag.
std::uint64_t parse_whole(std::string_view flag, std::string_view text, std::uint64_t least,
                          std::uint64_t most);

/// The program: its subcommands, and what runs one of them.
class command_line {
public:
    command_line();
    ~command_line();
    command_line(const command_line&) = delete;
    command_line& operator=(const command_line&) = delete;

    /// `run` is called if this subcommand was asked for; `example` ends its --help.
    arguments add(const std::string& name, const std::string& help, const std::string& example,
                  std::function<void()> run);
    /// Parses and runs. Returns the exit code: 0, 2 for bad input, 1 for anything else; prints
    /// errors as one line. Never throws.
    int run(int count, const char* const* values) noexcept;

private:
    struct subcommand {
        std::string name;
        CLI::App* app;
        std::function<void()> run;
    };
    void check_subcommand(std::string_view given) const;
    void parse_and_run(int count, const char* const* values);

    std::unique_ptr<CLI::App> m_app;
    std::vector<subcommand> m_subcommands;
};

}  // namespace xlens::program
