// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE same_tokens
#include <boost/test/unit_test.hpp>

#include <xlens/compare/same_tokens.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_hyperparameters.hpp>
#include <xlens/io/gguf_tokenizer.hpp>
#include <xlens/text/make_tokenizer.hpp>

#include "support/error_message.hpp"
#include "support/tiny_model.hpp"

#include <memory>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

/// A tiny model called `name` with the default model's tokenizer, after `change`.
template <class Change>
model named(const char* name, Change change) {
    auto arrays = read_tokenizer(gguf_file(default_model()));
    change(arrays);
    static const tiny_model<> parts("llama/hf");
    return {parts.model, name, nullptr,
            std::make_shared<const tokenizer>(make_tokenizer(std::move(arrays)))};
}
const auto same = [](auto&) {};

}  // namespace

BOOST_AUTO_TEST_CASE(the_first_token_that_is_spelt_otherwise_is_named) {
    const model a = named("a", same);
    BOOST_CHECK_NO_THROW(check_same_vocabulary(a, named("b", same)));
    const model b =
        named("b", [](auto& arrays) { std::swap(arrays.tokens[40000], arrays.tokens[40001]); });
    BOOST_TEST(error_message([&] { check_same_vocabulary(a, b); }) ==
               "a and b: token 40000: expected one spelling, got '" + a.tokenizer().bytes(40000) +
                   "' and '" + a.tokenizer().bytes(40001) + "'");
    const model longer = named("c", [](auto& arrays) {
        arrays.tokens.push_back("qqqq");
        if (!arrays.types.empty()) { arrays.types.push_back(arrays.types.back()); }
    });
    BOOST_TEST(error_message([&] { check_same_vocabulary(a, longer); }) ==
               "a and c: tokenizer: expected as many tokens in both, got 49152 and 49153");
}

BOOST_AUTO_TEST_CASE(vocabularies_of_different_sizes_are_refused) {
    const tiny_model<> llama("llama/hf");
    const tiny_model<> gpt2("gpt2/hf");
    BOOST_TEST(error_message([&] {
                   check_same_vocabulary({llama.model, "a", nullptr, nullptr},
                                         {gpt2.model, "b", nullptr, nullptr});
               }) == "a and b: vocabulary: expected as many tokens in both, got 288 and 300");
}

BOOST_AUTO_TEST_CASE(ids_of_one_text_are_the_same) {
    const model a = named("a", same);
    const std::vector<token_id> ids{1, 2, 3};
    BOOST_CHECK_NO_THROW(check_same_ids(a, ids, a, ids));
    BOOST_TEST(error_message([&] {
                   check_same_ids(a, ids, a, std::vector<token_id>{1, 5, 3});
               }) == "a and a: token 1 of the text: expected one id, got 2 and 5");
    BOOST_TEST(error_message([&] {
                   check_same_ids(a, ids, a, std::vector<token_id>{1, 2});
               }) == "a and a: the text: expected as many tokens, got 3 and 2");
}
