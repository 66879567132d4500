// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE unigram
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>

#include <xlens/text/unigram.hpp>

#include <string>
#include <vector>

namespace {

using xlens::token_id;
using ids = std::vector<token_id>;

/// <unk>, then "a" of the given score, "ab" of -20, and "c" of -1.
ids encode(double score_of_a, const std::string& text, xlens::unigram_options options,
           const xlens::unigram::byte_table& bytes = {}, bool raw = false) {
    const xlens::unigram model(
        {{"<unk>", 0, false, false, false}, {"a", score_of_a}, {"ab", -20}, {"c", -1}}, bytes,
        options, "f: unk_id");
    ids out;
    model.encode(text, raw, out);
    return out;
}

xlens::unigram_options unknown() {
    xlens::unigram_options out;
    out.unknown = 0;
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_largest_sum_wins) {
    // "b" alone is unknown: -20 - 10, so that "a" and "b" cost 5 - 30 or 11 - 30.
    BOOST_TEST((encode(5, "abc", unknown()) == ids{2, 3}));
    BOOST_TEST((encode(11, "abc", unknown()) == ids{1, 0, 3}));
    BOOST_TEST(encode(5, "", unknown()).empty());
}

BOOST_AUTO_TEST_CASE(what_is_unknown) {
    BOOST_TEST((encode(-1, "axxc<unk>", unknown()) == ids{1, 0, 3, 0}));
    xlens::unigram_options apart = unknown();
    apart.fuse_unknown = false;
    BOOST_TEST((encode(-1, "axxc", apart) == ids{1, 0, 0, 3}));
    BOOST_TEST((encode(-1, "\xFF\xFE", unknown(), {}, true) == ids{0}));
    xlens::unigram_options spelt = unknown();
    spelt.byte_fallback = true;
    xlens::unigram::byte_table bytes;
    bytes[0xC3] = 7;
    bytes[0xA9] = 8;
    BOOST_TEST((encode(-1, "a\xC3\xA9", spelt, bytes) == ids{1, 7, 8}));
    // Neighbours are spelt together or not at all, as in Hugging Face's tokenizers.
    BOOST_TEST((encode(-1, "a\xC3\xA9x", spelt, bytes) == ids{1, 0}));
    BOOST_TEST(xlens::test::error_message([] { encode(-1, "x", {}); }) ==
               "f: unk_id: the text needs the unknown token");
}
