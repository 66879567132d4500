// SPDX-License-Identifier: BSD-3-Clause
#include "engine/search_query.hpp"

#include "engine/read.hpp"

#include <xlens/core/comma_separated.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/text/find_tokens.hpp>
#include <xlens/text/regex.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace xlens::program {

namespace {

void keep_each_once(std::vector<token_id>& tokens) {
    std::ranges::sort(tokens);
    const auto same = std::ranges::unique(tokens);
    tokens.erase(same.begin(), same.end());
}

void read_words(const engine& opened, const std::string& list, search_query& to) {
    const auto words = comma_separated(list);
    for (word_tokens& one : find_words(opened.text(), {words.begin(), words.end()})) {
        to.tokens.insert(to.tokens.end(), one.tokens.begin(), one.tokens.end());
        to.words.push_back({std::move(one.word), std::move(one.tokens), one.pieces});
    }
}

void read_pattern(const engine& opened, const std::string& pattern, search_query& to) {
    to.pattern = pattern;
    to.tokens = find_pattern(opened.text(), regex(pattern, "--regex"));
    if (to.tokens.empty()) {
        fail("--regex: expected a pattern of at least 1 token, got '{}', which matches none",
             printable(pattern));
    }
}

}  // namespace

search_query read_query(const engine& opened, const query_flags& flags) {
    search_query out;
    if (flags.like) { out.like = parse_neuron(*flags.like, "--like"); }
    if (flags.ids) { out.tokens = read_prompt(opened, {.ids = flags.ids}); }
    if (flags.words) { read_words(opened, *flags.words, out); }
    if (flags.pattern) { read_pattern(opened, *flags.pattern, out); }
    keep_each_once(out.tokens);
    return out;
}

}  // namespace xlens::program
