// SPDX-License-Identifier: BSD-3-Clause
#include "flags/flags.hpp"

#include <xlens/core/comma_separated.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/number_ranges.hpp>

#include <fmt/format.h>

#include <limits>
#include <utility>

namespace xlens::program {

namespace {

edit_flags::change parse_change(std::string_view flag, std::string_view text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) {
        fail("{}: expected LAYER:INDEX=NUMBER such as 12:1033=1.5, got '{}'", flag,
             printable(text));
    }
    return {parse_neuron(text.substr(0, equals), flag),
            parse_number(flag, text.substr(equals + 1))};
}

/// "FOLDER:INDEX=NUMBER": the folder may have colons and equals signs itself.
edit_flags::feature parse_feature(std::string_view flag, std::string_view text) {
    const std::size_t equals = text.rfind('=');
    const std::size_t colon = text.substr(0, equals).rfind(':');
    if (equals == std::string_view::npos || colon == std::string_view::npos || colon == 0) {
        fail("{}: expected FOLDER:FEATURE=NUMBER, got '{}'", flag, printable(text));
    }
    constexpr std::uint64_t most = std::uint64_t{1} << 28U;
    return {std::string(text.substr(0, colon)),
            static_cast<std::size_t>(
                parse_whole(flag, text.substr(colon + 1, equals - colon - 1), 0, most)),
            parse_number(flag, text.substr(equals + 1))};
}

/// "FILE[:LAYERS][=NUMBER]": the file may have colons, and equals signs where a number follows.
edit_flags::steering parse_steering(std::string_view flag, std::string_view text) {
    constexpr std::size_t most_layers = std::size_t{1} << 16U;
    edit_flags::steering out;
    if (const std::size_t equals = text.rfind('='); equals != std::string_view::npos) {
        out.strength = parse_number(flag, text.substr(equals + 1));
        text = text.substr(0, equals);
    }
    const std::size_t colon = text.rfind(':');
    if (colon != std::string_view::npos) {
        const std::string_view layers = text.substr(colon + 1);
        if (layers == "all") {
            text = text.substr(0, colon);
        } else if (!layers.empty() &&
                   layers.find_first_not_of("0123456789,-") == std::string_view::npos) {
            out.layers = parse_ranges(flag, layers, most_layers);
            text = text.substr(0, colon);
        }
    }
    if (text.empty()) { fail("{}: expected FILE[:LAYERS][=NUMBER], got no file", flag); }
    out.file = text;
    return out;
}

}  // namespace

void common_flags::declare(arguments& to) {
    constexpr std::size_t most_threads = 1024;
    to.positional("MODEL", model, "A .gguf file, a Hugging Face folder, or the word default");
    to.whole("--threads", threads, 1, most_threads, "Threads to use (all processors)");
    to.flag("--json", json, "Print one JSON document and nothing else");
    to.choice("--precision", precision, {"f32", "native"},
              "Precision of products; native rounds inputs to 8 bits");
}

void common_flags::declare_cache(arguments& to) {
    to.choice("--cache", cache, {"f32", "f16", "q8_0"},
              "Numbers in which keys and values are kept; q8_0 rounds them to 8 bits");
}

void text_flags::declare(arguments& to) {
    to.flag("--special", special,
            "Strings such as <|endoftext|> in the text are those tokens, not plain text");
    to.flag("--no-bos", no_bos, "Leave out the start token that the model expects before a text");
}

void text_flags::check(const chat_flags& as) const {
    if (as.chat && no_bos) {
        fail("--no-bos: expected no --chat with it, got one: the template writes the start token");
    }
}

void prompt_flags::declare(arguments& to) {
    to.text("--prompt", text, "TEXT", "Text to read");
    to.text("--ids", ids, "1,2,3", "Token ids to read instead of a text");
    how.declare(to);
}

void chat_flags::declare(arguments& to, std::string_view text) {
    to.flag("--chat", chat,
            fmt::format("Read {} as a user's message, by the model's chat template", text));
    to.text("--system", system, "TEXT", "System message before it; needs --chat");
    to.text("--messages", messages, "FILE",
            "JSON of messages before it, which may then be left out: a list of\n"
            "{\"role\", \"content\"}, or an object with \"messages\", \"tools\" and\n"
            "what else the template reads; - is standard input; needs --chat");
    to.text("--chat-template", name, "NAME",
            "Which of the model's chat templates (the default; tool_use where there\n"
            "are tools)");
    to.text("--date", date, "YYYY-MM-DD", "The day that the template may show (now); needs --chat");
}

void chat_flags::check() const {
    if (chat) { return; }
    for (const auto& [flag, given] :
         {std::pair{"--system", system.has_value()}, std::pair{"--messages", messages.has_value()},
          std::pair{"--chat-template", name.has_value()}, std::pair{"--date", date.has_value()}}) {
        if (given) { fail("{}: expected --chat with it, got none", flag); }
    }
}

void prompt_flags::declare_chat(arguments& to) { as.declare(to, "the prompt"); }

void prompt_flags::declare_file(arguments& to) {
    to.text("--prompts", file, "FILE",
            "Many prompts, one a line, or JSON lines with \"prompt\", \"ids\" or\n"
            "\"messages\", \"chat\", \"system\" and what else is to be carried along;\n"
            "- is standard input");
}

void prompt_flags::check() const {
    if (file) {
        if (text || ids || as.messages) {
            fail("--prompts: expected no {} with it, got one", text  ? "--prompt"
                                                               : ids ? "--ids"
                                                                     : "--messages");
        }
        // What --chat belongs with may stand in the file.
        if (!as.chat && (as.name || as.date)) { return; }
    }
    as.check();
    if (file) { return how.check(as); }
    if (text.has_value() == ids.has_value() && !(as.messages && !text)) {
        fail("--prompt, --ids: expected one of the two, got {}", text ? "both" : "neither");
    }
    if (const auto flag = flag_of_text(); ids && flag) {
        fail("{}: expected --prompt, got --ids", *flag);
    }
    how.check(as);
}

std::optional<std::string_view> prompt_flags::flag_of_text() const {
    if (as.chat) { return "--chat"; }
    if (how.special) { return "--special"; }
    if (how.no_bos) { return "--no-bos"; }
    if (as.name) { return "--chat-template"; }
    if (as.date) { return "--date"; }
    return std::nullopt;
}

std::vector<std::uint64_t> parse_numbers(std::string_view flag, std::string_view text,
                                         std::uint64_t most) {
    std::vector<std::uint64_t> out;
    for (const std::string_view number : comma_separated(text)) {
        out.push_back(parse_whole(flag, number, 0, most));
    }
    return out;
}

std::vector<token_id> parse_ids(std::string_view text) {
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<token_id>::max());
    const std::vector<std::uint64_t> ids = parse_numbers("--ids", text, most);
    return {ids.begin(), ids.end()};
}

void edit_flags::declare(arguments& to) {
    to.repeated(
        "--set", "L:I=M",
        [this](const std::string& value) { set.push_back(parse_change("--set", value)); },
        "Set coefficient I of layer L to M, at every position; repeatable");
    to.repeated(
        "--scale", "L:I=A",
        [this](const std::string& value) { scale.push_back(parse_change("--scale", value)); },
        "Multiply coefficient I of layer L by A, after all --set; repeatable");
    to.text("--recipe", recipe, "FILE", "Interventions in a JSON file, after --set and --scale");
    to.repeated(
        "--steer-feature", "FOLDER:I=A",
        [this](const std::string& value) {
            features.push_back(parse_feature("--steer-feature", value));
        },
        "Add A times the direction of feature I of a sparse autoencoder (see 'xlens\n"
        "sae') where that reads; repeatable");
    to.repeated(
        "--steer", "FILE[:LAYERS][=A]",
        [this](const std::string& value) { steers.push_back(parse_steering("--steer", value)); },
        "Add A times (1) the directions of a file, of 'xlens direction' or a control\n"
        "vector of llama.cpp, at layers such as 12 or 10-14 (all that it has);\n"
        "repeatable");
}

void edit_flags::declare_ban(arguments& to) {
    to.repeated(
        "--ban", "WORD",
        [this](const std::string& value) {
            if (value.empty()) { fail("--ban: expected a word, got ''"); }
            bans.push_back(value);
        },
        "Never write this word, in small letters or capitals; repeatable");
}

}  // namespace xlens::program
