// SPDX-License-Identifier: BSD-3-Clause
#include "flags/query_flags.hpp"

#include "flags/flags.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/text/regex.hpp>

namespace xlens::program {

void query_flags::declare(arguments& to) {
    to.text("--words", words, "A,B,C",
            "Words: tokens that are one, in any case, with a space before it or not");
    to.text("--regex", pattern, "R", "Tokens in which a regular expression (PCRE2) matches");
    to.text("--ids", ids, "1,2,3", "Token ids");
    to.text("--like", like, "L:I", "A neuron: those whose vectors are like its value vector");
}

void query_flags::check() const {
    const int given = (words ? 1 : 0) + (pattern ? 1 : 0) + (ids ? 1 : 0) + (like ? 1 : 0);
    if (given != 1) {
        fail("--words, --regex, --ids, --like: expected one of them, got {}",
             given == 0 ? "none" : std::to_string(given));
    }
    if (like) { static_cast<void>(parse_neuron(*like, "--like")); }
    if (ids) { static_cast<void>(parse_ids(*ids)); }
    if (pattern) { static_cast<void>(regex(*pattern, "--regex")); }
}

}  // namespace xlens::program
