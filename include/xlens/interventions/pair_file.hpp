// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <filesystem>
#include <string>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/text/input_text.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#endif

namespace xlens {

/// Two texts, as a file has them, and where.
struct written_pair {
    std::string positive;
    std::string negative;
    std::string place;  ///< "pairs.jsonl: line 3", for messages
};

/// Pairs in a file of JSON lines, {"positive": TEXT, "negative": TEXT} each; empty lines are passed
/// over. Throws xlens::error, naming the line, for anything else, and for a file without a pair.
[[nodiscard]] XLENS_API std::vector<written_pair> read_pairs(const std::filesystem::path& path);

/// Pairs in two files of lines, the i-th of each being pair i. Throws xlens::error where they have
/// different numbers of lines, and for an empty line.
[[nodiscard]] XLENS_API std::vector<written_pair> read_pairs(const std::filesystem::path& positive,
                                                             const std::filesystem::path& negative);

#if XLENS_DEFINES(interventions)

namespace detail {

/// The lines of a text, without their ends; of CRLF likewise.
inline std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) { line.remove_suffix(1); }
        out.push_back(line);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

inline std::string line_place(const input_text& file, std::size_t line) {
    return fmt::format("{}: line {}", file.name(), line + 1);
}

inline void check_pair(const written_pair& pair) {
    for (const auto& [side, text] :
         {std::pair{"positive", &pair.positive}, std::pair{"negative", &pair.negative}}) {
        if (text->empty()) { fail("{}: {}: expected a text, got ''", pair.place, side); }
    }
}

}  // namespace detail

XLENS_API std::vector<written_pair> read_pairs(const std::filesystem::path& path) {
    const input_text file(path);
    const std::vector<std::string_view> lines = detail::lines_of(file.checked());
    std::vector<written_pair> out;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].find_first_not_of(" \t") == std::string_view::npos) { continue; }
        const std::string place = detail::line_place(file, i);
        const json_value value = parse_json(place, lines[i]);
        const json_field line(value, place, ": ");
        line.expect(value.is_object(), "an object");
        for (const auto& item : value.object()) {
            if (item.first != "positive" && item.first != "negative") {
                fail("{}: unknown key '{}', expected positive and negative", place,
                     printable(item.first));
            }
        }
        out.push_back({line.at("positive").string(), line.at("negative").string(), place});
        detail::check_pair(out.back());
    }
    if (out.empty()) { fail("{}: expected at least 1 pair, got 0", file.name()); }
    return out;
}

XLENS_API std::vector<written_pair> read_pairs(const std::filesystem::path& positive,
                                               const std::filesystem::path& negative) {
    const input_text first(positive);
    const input_text second(negative);
    const std::vector<std::string_view> texts = detail::lines_of(first.checked());
    const std::vector<std::string_view> others = detail::lines_of(second.checked());
    if (texts.size() != others.size()) {
        fail("{}: {} lines, {} has {}", first.name(), texts.size(), second.name(), others.size());
    }
    std::vector<written_pair> out;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        out.push_back(
            {std::string(texts[i]), std::string(others[i]), detail::line_place(first, i)});
        detail::check_pair(out.back());
    }
    return out;
}

#endif

}  // namespace xlens
