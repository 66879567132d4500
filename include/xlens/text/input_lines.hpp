// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/json/write_value.hpp>
#include <xlens/text/input_text.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

// Files of many things of one kind, a line each: prompts, neurons.

namespace xlens {

/// Calls each(number, line) for the lines of a file ("-": of standard input) that are not empty, in
/// order, from 1. Where the first of them begins with "{", all are JSON objects, named "FILE: line
/// 3"; else they are text, and come as {KEY: text}: one way to read both. Throws xlens::error,
/// naming the line, for what is no JSON object, and for a file without lines. O(bytes) of memory.
template <class Each>
void each_line(const std::filesystem::path& path, std::string_view key, Each each) {
    const input_text file(path);
    std::string_view left = file.checked();
    std::optional<bool> is_json;
    for (std::size_t number = 1; !left.empty(); ++number) {
        std::string_view line = left.substr(0, left.find('\n'));
        left.remove_prefix(std::min(line.size() + 1, left.size()));
        if (line.ends_with('\r')) { line.remove_suffix(1); }
        if (line.empty()) { continue; }
        if (!is_json) { is_json = line.starts_with('{'); }
        const std::string place = fmt::format("{}: line {}", file.name(), number);
        json_members text;
        if (!*is_json) { text.emplace(key, json_value(std::string(line))); }
        const json_value value = *is_json ? parse_json(place, line) : json_value(std::move(text));
        each(number, json_object(place, value));
    }
    if (!is_json) { fail("{}: no {}s, expected at least 1 line", file.name(), key); }
}

/// A JSON object of the members of a line that are none of `keys`, or nothing if there are none.
inline std::string members_beside(const json_object& line, std::span<const std::string_view> keys) {
    std::string out;
    json_writer json(out);
    json.begin_object();
    bool any = false;
    for (const auto& [key, value] : line.value().object()) {
        if (std::ranges::find(keys, key) != keys.end()) { continue; }
        json.key(key);
        write_value(json, value);
        any = true;
    }
    json.end_object();
    return any ? out : std::string();
}

}  // namespace xlens
