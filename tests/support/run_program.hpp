// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fcntl.h>
#include <pty.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/temporary_directory.hpp"

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::test {

/// What a run of the program left.
struct program_result {
    int exit_code = -1;  ///< -1: it did not exit by itself
    std::string out;
    std::string err;
    long peak_kib = 0;  ///< of memory that was resident
};

namespace detail {

[[noreturn]] inline void execute(const std::vector<std::string>& arguments) {
    const char* program = std::getenv("XLENS_PROGRAM");
    std::vector<char*> values;
    std::string name = "xlens";
    values.push_back(name.data());
    for (const std::string& argument : arguments) {
        values.push_back(const_cast<char*>(argument.c_str()));
    }
    values.push_back(nullptr);
    if (program != nullptr) { ::execv(program, values.data()); }
    ::_exit(127);
}

inline void wait_for(pid_t child, program_result& result) {
    int status = 0;
    rusage used{};
    if (::wait4(child, &status, 0, &used) != child || !WIFEXITED(status)) { return; }
    result.exit_code = WEXITSTATUS(status);
    result.peak_kib = used.ru_maxrss;
}

inline std::string contents(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace detail

/// Runs the program that XLENS_PROGRAM names, with both outputs going to files. `input`: what a
/// pipe gives it as standard input, 64 KiB at most, which the pipe holds.
inline program_result run_program(const std::vector<std::string>& arguments,
                                  std::optional<std::string_view> input = {}) {
    int pipe[2] = {-1, -1};
    if (input && (::pipe2(pipe, O_CLOEXEC) != 0 ||
                  ::write(pipe[1], input->data(), input->size()) != std::ssize(*input))) {
        throw std::runtime_error("no pipe");
    }
    if (input) { ::close(pipe[1]); }
    const temporary_directory folder;
    const auto out = folder.path() / "out";
    const auto err = folder.path() / "err";
    const pid_t child = ::fork();
    if (child < 0) { throw std::runtime_error("fork failed"); }
    if (child == 0) {
        const auto to_file = [](const std::filesystem::path& path, int number) {
            const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
            if (file < 0 || ::dup2(file, number) < 0) { ::_exit(126); }
        };
        if (input && ::dup2(pipe[0], STDIN_FILENO) < 0) { ::_exit(126); }
        to_file(out, STDOUT_FILENO);
        to_file(err, STDERR_FILENO);
        detail::execute(arguments);
    }
    if (input) { ::close(pipe[0]); }
    program_result result;
    detail::wait_for(child, result);
    result.out = detail::contents(out);
    result.err = detail::contents(err);
    return result;
}

/// Runs it on a terminal of 100 columns; `out` has both outputs, with \r\n at line ends.
inline program_result run_program_on_terminal(const std::vector<std::string>& arguments) {
    winsize size{};
    size.ws_row = 50;
    size.ws_col = 100;
    int terminal = -1;
    const pid_t child = ::forkpty(&terminal, nullptr, nullptr, &size);
    if (child < 0) { throw std::runtime_error("forkpty failed"); }
    if (child == 0) { detail::execute(arguments); }
    program_result result;
    std::array<char, 4096> buffer{};
    while (true) {
        const ssize_t count = ::read(terminal, buffer.data(), buffer.size());
        if (count <= 0) { break; }  // EIO: the child has closed its side
        result.out.append(buffer.data(), static_cast<std::size_t>(count));
    }
    detail::wait_for(child, result);
    ::close(terminal);
    return result;
}

}  // namespace xlens::test
