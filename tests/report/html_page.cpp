// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE html_page
#include <boost/test/unit_test.hpp>

#include <xlens/report/html_page.hpp>

#include "support/error_message.hpp"
#include "support/json_document.hpp"
#include "support/outside_reference.hpp"
#include "support/temporary_directory.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

using namespace xlens;
using namespace std::string_view_literals;

namespace {

const std::array hostile{"</script><script>alert(1)</script>"sv,
                         "<!--<script>"sv,
                         "<img src=x onerror=alert(1)>"sv,
                         "\" onload='x' &amp;"sv,
                         "back\\slash \\u003c"sv,
                         "a\tb\nc"sv,
                         "\u2028\u2029\u202e"sv,
                         "日本 שלום 😀"sv};

/// HTML with its five references read back: the test's own reader.
std::string unescaped(std::string_view html) {
    std::string out;
    for (std::size_t at = 0; at < html.size();) {
        bool found = false;
        for (const auto& [name, value] :
             {std::pair{"&amp;"sv, '&'}, std::pair{"&lt;"sv, '<'}, std::pair{"&gt;"sv, '>'},
              std::pair{"&quot;"sv, '"'}, std::pair{"&#39;"sv, '\''}}) {
            if (html.substr(at).starts_with(name)) {
                out += value;
                at += name.size();
                found = true;
                break;
            }
        }
        if (!found) { out += html[at++]; }
    }
    return out;
}

std::size_t occurrences(std::string_view text, std::string_view part) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) { ++count; }
    return count;
}

std::string contents(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(html_text_reads_back_and_holds_no_markup) {
    for (const std::string_view text : hostile) {
        const std::string html = html_text(text);
        BOOST_TEST(html.find_first_of("<>\"'") == html.npos);
        BOOST_TEST(unescaped(html) == text);
    }
    BOOST_TEST(html_text("a\0b\x1b\x7f\xc2\x85"sv) == "a\uFFFDb\uFFFD\uFFFD\uFFFD");
    BOOST_TEST(html_text("\xe6\x97|\xff"sv) == "\uFFFD|\uFFFD");
}

BOOST_AUTO_TEST_CASE(script_string_is_json_that_cannot_end_its_element) {
    for (const std::string_view text : hostile) {
        const std::string json = script_string(text);
        BOOST_TEST(json.find_first_of("<>&\n") == json.npos);
        BOOST_TEST(json.find("\u2028") == json.npos);
        BOOST_TEST(xlens::test::json_document(json).get<std::string>() == text);
    }
    const auto broken = xlens::test::json_document(script_string("\xe6\x97|\0"sv));
    BOOST_TEST(broken.get<std::string>() == "\uFFFD|\uFFFD");
}

BOOST_AUTO_TEST_CASE(a_page_has_its_parts_and_asks_for_nothing) {
    const std::string page = to_string(html_page{.title = "a <b> & c",
                                                 .style = "p{}",
                                                 .body = "<p>text</p>",
                                                 .data = "[" + script_string("</script>") + "]",
                                                 .script = "go();"});
    BOOST_TEST(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
    BOOST_TEST(page.find("<title>a &lt;b&gt; &amp; c</title>") != page.npos);
    BOOST_TEST(page.find("p{}</style>") != page.npos);
    BOOST_TEST(page.find("<script type=\"application/json\" id=\"data\">[\"\\u003c/script\\u003e\"]"
                         "</script>") != page.npos);
    BOOST_TEST(page.find("<script>go();</script>") != page.npos);
    BOOST_TEST(page.find("default-src 'none'") != page.npos);
    BOOST_TEST(page.find("://") == page.npos);
    BOOST_TEST(test::outside_reference(page) == "");
    BOOST_TEST(occurrences(page, "</script>") == 2U);
    const std::string plain = to_string(html_page{.title = "t", .body = "b"});
    BOOST_TEST(occurrences(plain, "<script") == 0U);
}

BOOST_AUTO_TEST_CASE(a_page_is_written_whole_or_not_at_all) {
    const test::temporary_directory folder;
    const auto path = folder.path() / "page.html";
    const html_page page{.title = "t", .body = "b"};
    {
        atomic_file file(path);
        BOOST_TEST(!std::filesystem::exists(path));
        BOOST_TEST(write_page(file, page) == to_string(page).size());
    }
    BOOST_TEST(contents(path) == to_string(page));
    BOOST_TEST(test::error_message([&] { atomic_file(folder.path() / "no" / "page.html"); }) ==
               (folder.path() / "no" / "page.html").string() +
                   ": cannot be written: No such file or directory");
}
