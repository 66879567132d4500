// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/json/field.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/text/tokenizer.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

// Where the folder of a model has its chat templates.

namespace xlens::detail {

/// Adds a template to those of a tokenizer; "default" is the one without a name.
inline void put_template(tokenizer_parts& to, const std::string& name, std::string source) {
    (name == "default" ? to.chat_template : to.chat_templates[name]) = std::move(source);
}

/// `chat_template` of tokenizer_config.json: a template, or several as
/// [{"name": ..., "template": ...}].
inline void read_template_field(const json_field& field, tokenizer_parts& to) {
    if (!field.value().is_list()) {
        to.chat_template = field.string();
        return;
    }
    for (const json_field& each : field.items()) {
        put_template(to, each.at("name").string(), each.at("template").string());
    }
}

/// chat_template.jinja and additional_chat_templates/NAME.jinja, which go before the configuration.
inline void read_template_files(const std::filesystem::path& folder, tokenizer_parts& to) {
    const auto source = [](const std::filesystem::path& path) {
        const mapped_file file(path);
        constexpr std::size_t most = std::size_t{1} << 20U;
        if (file.bytes().size() > most) {
            fail("{}: {} bytes, expected at most {}", file.name(), file.bytes().size(), most);
        }
        return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    };
    std::error_code ignored;
    const std::filesystem::path plain = folder / "chat_template.jinja";
    const std::filesystem::path others = folder / "additional_chat_templates";
    const bool has_plain = std::filesystem::exists(plain, ignored);
    const bool has_others = std::filesystem::is_directory(others, ignored);
    if (!has_plain && !has_others) { return; }
    to.chat_template.clear();
    to.chat_templates.clear();
    if (has_plain) { to.chat_template = source(plain); }
    if (!has_others) { return; }
    for (const auto& entry : std::filesystem::directory_iterator(others)) {
        const std::filesystem::path& path = entry.path();
        if (path.extension() == ".jinja") { put_template(to, path.stem().string(), source(path)); }
    }
}

}  // namespace xlens::detail
