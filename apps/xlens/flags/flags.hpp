// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "flags/arguments.hpp"

#include <xlens/core/types.hpp>
#include <xlens/storage/precision.hpp>
#include <xlens/text/encode_options.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xlens::program {

/// What every subcommand takes.
struct common_flags {
    std::string model;
    std::optional<std::size_t> threads;
    std::string precision = "f32";
    std::string cache = "f32";
    bool json = false;

    void declare(arguments& to);
    /// --cache, for a subcommand that reads text.
    void declare_cache(arguments& to);
    [[nodiscard]] xlens::precision computed_in() const {
        return precision == "native" ? xlens::precision::native : xlens::precision::f32;
    }
};

struct chat_flags;

/// How a text becomes tokens.
struct text_flags {
    bool special = false;
    bool no_bos = false;

    void declare(arguments& to);
    /// Throws xlens::error for --no-bos beside --chat.
    void check(const chat_flags& as) const;
    [[nodiscard]] prompt_options options() const { return {.special = special, .bos = !no_bos}; }
};

/// Text as turns of a conversation, written as the model's chat template has it.
struct chat_flags {
    bool chat = false;
    std::optional<std::string> system = std::nullopt;
    std::optional<std::string> messages = std::nullopt;
    std::optional<std::string> name = std::nullopt;
    std::optional<std::string> date = std::nullopt;

    /// `text` is the flag that gives the user's message.
    void declare(arguments& to, std::string_view text);
    /// Throws xlens::error for flags that need --chat and stand without it.
    void check() const;
};

/// The text that a subcommand reads, as text or as token ids, or a file of such texts.
struct prompt_flags {
    std::optional<std::string> text = std::nullopt;
    std::optional<std::string> ids = std::nullopt;
    std::optional<std::string> file = std::nullopt;  ///< of many prompts
    chat_flags as = {};
    text_flags how = {};

    void declare(arguments& to);
    /// Flags that make the text a user's message, written as the model's chat template has it.
    void declare_chat(arguments& to);
    /// --prompts, for a subcommand that answers each.
    void declare_file(arguments& to);
    /// Throws xlens::error unless exactly one of them was given.
    void check() const;
    /// The first flag given that says how a text is read.
    [[nodiscard]] std::optional<std::string_view> flag_of_text() const;
};

/// "1,2,3" of `flag`. Throws xlens::error for anything but a list of numbers from 0 to `most`.
std::vector<std::uint64_t> parse_numbers(std::string_view flag, std::string_view text,
                                         std::uint64_t most);
/// --ids: numbers from 0 to 2^31 - 1.
std::vector<token_id> parse_ids(std::string_view text);

/// Interventions: first all --set in order, then all --scale, then those of the recipe, then
/// features, then files of directions, then the banned words.
struct edit_flags {
    struct change {
        neuron where;
        float value = 0.0F;
    };
    /// A feature of a sparse autoencoder, and what is added of its direction.
    struct feature {
        std::string sae;
        std::size_t index = 0;
        float value = 0.0F;
    };
    /// Directions of a file, the layers at which they are added, and how many times.
    struct steering {
        std::string file;
        std::vector<std::size_t> layers;  ///< none: all of the file's
        float strength = 1.0F;
    };
    std::vector<change> set;
    std::vector<change> scale;
    std::optional<std::string> recipe;
    std::vector<std::string> bans;
    std::vector<feature> features;
    std::vector<steering> steers;

    void declare(arguments& to);
    /// --ban, for a subcommand that writes a text.
    void declare_ban(arguments& to);
    [[nodiscard]] bool empty() const {
        return set.empty() && scale.empty() && !recipe && bans.empty() && features.empty() &&
               steers.empty();
    }
};

}  // namespace xlens::program
