// SPDX-License-Identifier: BSD-3-Clause
#include "output/progress.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace xlens::program {

progress_bar::progress_bar(std::string label)
    : m_label(std::move(label)),
      m_terminal(::isatty(STDERR_FILENO) != 0),
      m_next(clock::now() + std::chrono::seconds(1)) {}

progress_bar::~progress_bar() {
    if (m_drawn) { std::fputs("\r\x1b[K", stderr); }
}

void progress_bar::operator()(std::size_t done, std::size_t total) {
    if (!m_terminal || total == 0 || clock::now() < m_next) { return; }
    constexpr std::size_t width = 40;
    const std::size_t full = std::min(done * width / total, width);
    std::string bar;
    for (std::size_t i = 0; i < width; ++i) { bar += i < full ? "█" : "·"; }
    const std::string line = fmt::format("\r{} {} {}/{}\x1b[K", m_label, bar, done, total);
    std::fputs(line.c_str(), stderr);
    m_drawn = true;
    m_next = clock::now() + std::chrono::milliseconds(100);
}

}  // namespace xlens::program
