// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/text/encode_options.hpp>
#include <xlens/trace/position_choice.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/core/hash.hpp>
#include <xlens/text/text_windows.hpp>
#include <xlens/text/tokenizer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#endif

namespace xlens {

class tokenizer;

/// A sequence that is read on its own: a prompt, or a window of a text.
struct source_sequence {
    std::vector<token_id> tokens;
    std::string what;           ///< for messages: "prompts.txt: line 3"
    std::string metadata = {};  ///< a JSON object of what else is said of it, or nothing
};

/// Where the sequences of a capture come from.
struct capture_source {
    using next_function = std::function<std::optional<source_sequence>()>;

    std::string name;                              ///< for messages
    std::string identity;                          ///< tells inputs apart
    std::size_t longest = 0;                       ///< tokens of the longest sequence
    std::size_t shortest = 0;                      ///< of the shortest prompt; of a text: longest
    std::function<next_function()> start;          ///< a walk over the sequences, from the first
    std::function<std::size_t()> expected_tokens;  ///< of all, or a guess
    /// Throws xlens::error if a sequence lacks one of the positions.
    std::function<void(const position_choice&)> check;
};

/// Sequences that are there: at least one, none empty.
XLENS_API capture_source capture_prompts(std::string name, std::vector<source_sequence> prompts);

/// A text in windows of `window` tokens, each begun by the tokens that the model expects before a
/// text (text/text_windows.hpp), up to `limit` tokens in all. The last window may be shorter: of
/// positions that it lacks there are no rows. Borrows the tokenizer.
XLENS_API capture_source capture_text(const std::filesystem::path& path, const tokenizer& text,
                                      std::size_t window, const prompt_options& how = {},
                                      std::size_t limit = std::numeric_limits<std::size_t>::max());

#if XLENS_DEFINES(trace)

XLENS_API capture_source capture_prompts(std::string name, std::vector<source_sequence> prompts) {
    if (prompts.empty()) { fail("{}: no prompts, expected at least 1", name); }
    const auto shared = std::make_shared<const std::vector<source_sequence>>(std::move(prompts));
    capture_source out;
    out.shortest = shared->front().tokens.size();
    fnv1a hash;
    std::size_t tokens = 0;
    for (const source_sequence& p : *shared) {
        if (p.tokens.empty()) { fail("{}: no tokens, expected at least 1", p.what); }
        hash.add(p.tokens.size());
        hash.add(std::as_bytes(std::span(p.tokens)));
        hash.add(std::as_bytes(std::span(p.metadata)));
        out.longest = std::max(out.longest, p.tokens.size());
        out.shortest = std::min(out.shortest, p.tokens.size());
        tokens += p.tokens.size();
    }
    out.name = std::move(name);
    out.identity =
        fmt::format("{} prompts of {} tokens, {:016x}", shared->size(), tokens, hash.value());
    out.expected_tokens = [tokens] { return tokens; };
    out.start = [shared] {
        return [shared, i = std::size_t{0}]() mutable -> std::optional<source_sequence> {
            if (i == shared->size()) { return std::nullopt; }
            return (*shared)[i++];
        };
    };
    out.check = [shared](const position_choice& positions) {
        for (const source_sequence& p : *shared) { positions.check(p.tokens.size(), p.what); }
    };
    return out;
}

XLENS_API capture_source capture_text(const std::filesystem::path& path, const tokenizer& text,
                                      std::size_t window, const prompt_options& how,
                                      std::size_t limit) {
    if (limit == 0) { fail("limit: expected at least 1 token, got 0"); }
    // One open text for all walks: a pipe can be read once.
    const auto windows = std::make_shared<text_windows>(path, text, window, how);
    const text_cursor begin = windows->cursor();
    capture_source out;
    out.name = windows->name();
    out.identity = fmt::format("text of {} bytes, {:016x}, windows of {}, {}, special tokens {}{}",
                               windows->bytes(), windows->hash(), window,
                               how.bos ? "begun by the model's start tokens" : "no start tokens",
                               how.special ? "parsed" : "plain text",
                               limit == std::numeric_limits<std::size_t>::max()
                                   ? std::string()
                                   : fmt::format(", the first {} tokens", limit));
    out.longest = std::min(windows->next().size(), limit);  // of the first, no other is longer
    out.shortest = out.longest;
    out.expected_tokens = [windows, limit] { return std::min(windows->expected_tokens(), limit); };
    out.start = [=] {
        windows->seek(begin);
        return [windows, limit, n = std::uint64_t{0}]() mutable -> std::optional<source_sequence> {
            const std::uint64_t first = windows->cursor().tokens;
            if (first >= limit) { return std::nullopt; }
            source_sequence s{windows->next(), fmt::format("{}: window {}", windows->name(), n++)};
            if (s.tokens.empty()) { return std::nullopt; }
            s.tokens.resize(std::min<std::uint64_t>(s.tokens.size(), limit - first));
            return s;
        };
    };
    const std::size_t longest = out.longest;
    out.check = [longest, name = out.name](const position_choice& positions) {
        positions.check(longest, name + ": a window");
    };
    return out;
}

#endif

}  // namespace xlens
