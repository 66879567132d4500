// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE text_windows
#include <boost/test/unit_test.hpp>

#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_tokenizer.hpp>
#include <xlens/text/make_tokenizer.hpp>
#include <xlens/text/text_windows.hpp>
#include <xlens/text/tokenizer_json.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/temporary_directory.hpp"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

const tokenizer& smollm2() {
    static const gguf_file file(default_model());
    static const tokenizer text = make_tokenizer(read_tokenizer(file));
    return text;
}
std::string sample() {
    std::ifstream in(golden_path("smollm2/perplexity.txt"), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    return text +
           "\n\n1, 2, 34567;  two  spaces, caf\xc3\xa9s na\xc3\xafve \xe4\xb8\xad\xe5\x9b\xbd.\n" +
           text;
}
std::vector<token_id> rest_of(text_windows& windows, std::size_t window) {
    std::vector<token_id> out;
    for (auto part = windows.next(); !part.empty(); part = windows.next()) {
        BOOST_TEST(part.size() <= window);
        out.insert(out.end(), part.begin(), part.end());
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(pieces_of_any_size_give_the_tokens_of_the_whole_text) {
    const temporary_directory folder;
    const auto path = folder.write("text", sample());
    const std::vector<token_id> whole = smollm2().encode(sample());
    for (const std::size_t bytes : {7U, 50U, 333U, 1U << 20U}) {
        text_windows windows(path, smollm2(), 16, {}, bytes);
        BOOST_TEST(rest_of(windows, 16) == whole, boost::test_tools::per_element());
        BOOST_TEST(windows.cursor().tokens == whole.size());
        BOOST_TEST(windows.expected_tokens() == whole.size());
    }
}

BOOST_AUTO_TEST_CASE(text_without_spaces_is_cut_between_characters) {
    const temporary_directory folder;
    std::string text;
    for (std::size_t i = 0; i < 500; ++i) { text += "\xe4\xb8\xad"; }
    const auto path = folder.write("text", text);
    text_windows windows(path, smollm2(), 16, {}, 5);
    BOOST_TEST(smollm2().decode(rest_of(windows, 16)) == text);
    BOOST_TEST(windows.cursor().piece > 0U);
}

BOOST_AUTO_TEST_CASE(every_window_but_the_last_is_full) {
    const temporary_directory folder;
    const auto path = folder.write("text", sample());
    text_windows windows(path, smollm2(), 10, {}, 40);
    std::vector<std::size_t> sizes;
    for (auto part = windows.next(); !part.empty(); part = windows.next()) {
        sizes.push_back(part.size());
    }
    BOOST_TEST_REQUIRE(sizes.size() > 2U);
    const std::size_t last = sizes.back();
    sizes.pop_back();
    for (const std::size_t size : sizes) { BOOST_TEST(size == 10U); }
    BOOST_TEST(last == smollm2().encode(sample()).size() - 10 * sizes.size());
}

BOOST_AUTO_TEST_CASE(it_goes_on_from_a_cursor) {
    const temporary_directory folder;
    const auto path = folder.write("text", sample());
    const std::vector<token_id> whole = smollm2().encode(sample());
    for (const std::size_t read : {0U, 1U, 3U, 8U}) {
        text_windows first(path, smollm2(), 9, {}, 60);
        for (std::size_t i = 0; i < read; ++i) { static_cast<void>(first.next()); }
        text_windows second(path, smollm2(), 9, {}, 60);
        second.seek(first.cursor());
        const std::vector<token_id> expected(
            whole.begin() + static_cast<std::ptrdiff_t>(first.cursor().tokens), whole.end());
        BOOST_TEST(rest_of(second, 9) == expected, boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(a_text_that_changed_is_refused) {
    const temporary_directory folder;
    const auto path = folder.write("text", sample());
    text_windows first(path, smollm2(), 9, {}, 60);
    for (int i = 0; i < 8; ++i) { static_cast<void>(first.next()); }
    std::string changed = sample();
    changed[3] = 'x';
    text_windows other(folder.write("other", changed), smollm2(), 9, {}, 60);
    BOOST_TEST(error_message([&] {
                   other.seek(first.cursor());
               }).find("have changed since the run") != std::string::npos);
    text_windows shorter(folder.write("shorter", sample().substr(0, 70)), smollm2(), 9, {}, 60);
    BOOST_TEST(error_message([&] {
                   shorter.seek(first.cursor());
               }).find("have changed since the run") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_is_no_text_is_refused_with_its_place) {
    const temporary_directory folder;
    const auto read = [&](const std::string& bytes) {
        return error_message([&] {
            text_windows windows(folder.write("text", bytes), smollm2(), 4);
            static_cast<void>(windows.next());
        });
    };
    BOOST_TEST(error_message([] { text_windows("/no/such", smollm2(), 4); }) ==
               "/no/such: cannot be opened: No such file or directory");
    BOOST_TEST(read("").find("empty, expected a text") != std::string::npos);
    BOOST_TEST(read("some words\xff and more").find("byte 10 is 0xFF, which is not UTF-8") !=
               std::string::npos);
    BOOST_TEST(read("cut \xe4\xb8").find("byte 4 is 0xE4, which is not UTF-8") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(every_window_begins_with_what_the_model_expects) {
    const temporary_directory folder;
    const auto path = folder.write("text", sample());
    const tokenizer text = load_tokenizer_json(golden_path("text/llama3.json"));
    const std::vector<token_id> whole = text.encode(sample());
    BOOST_TEST_REQUIRE(text.prefix().size() == 1U);
    text_windows windows(path, text, 7);
    std::vector<token_id> read;
    std::size_t count = 0;
    for (auto part = windows.next(); !part.empty(); part = windows.next()) {
        BOOST_TEST(part.front() == text.prefix().front());
        BOOST_TEST(part.size() > 1U);
        read.insert(read.end(), part.begin() + 1, part.end());
        ++count;
    }
    BOOST_TEST(read == whole, boost::test_tools::per_element());
    BOOST_TEST(windows.cursor().tokens == whole.size() + count);
    text_windows plain(path, text, 7, {.bos = false});
    BOOST_TEST(plain.next() == std::vector<token_id>(whole.begin(), whole.begin() + 7),
               boost::test_tools::per_element());
    BOOST_TEST(error_message([&] { text_windows(path, text, 1); }) ==
               "window: expected more than the 1 tokens that begin it, got 1");
}
