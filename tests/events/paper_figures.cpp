// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE paper_figures
#include <boost/test/unit_test.hpp>

#include <xlens/events/paper_figures.hpp>

#include "support/golden.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

using namespace xlens;

namespace {

/// A cell of a table in Markdown, where | is \|.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) { out += c == '|' ? "\\|" : std::string(1, c); }
    return out;
}

/// First cells of the rows of the table under "## Beside the paper", as far as they are the
/// paper's.
std::vector<std::string> rows_of_findings(std::size_t length) {
    std::ifstream in(test::source_path("docs/findings.md"));
    std::vector<std::string> out;
    std::string line;
    while (std::getline(in, line) && line != "## Beside the paper") {}
    while (std::getline(in, line) && !line.starts_with("## ")) {
        if (line.starts_with("| ")) { out.push_back(line); }
    }
    BOOST_TEST_REQUIRE(out.size() == length + 1);  // the first one names the columns
    out.erase(out.begin());
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(findings_has_every_figure_word_for_word) {
    const auto rows = rows_of_findings(paper_figures::all.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const paper_figure& f = paper_figures::all[i];
        const std::string expected = "| " + cell(f.claim) + " | " + cell(f.both()) + " | " +
                                     cell(f.place) + "; " + cell(f.source) + " | ";
        BOOST_TEST(rows[i].substr(0, expected.size()) == expected);
    }
}

BOOST_AUTO_TEST_CASE(every_figure_says_where_it_comes_from) {
    for (const paper_figure& f : paper_figures::all) {
        for (const auto& part : {f.claim, f.gpt2, f.wikilm, f.place, f.source}) {
            BOOST_TEST(!part.empty(), f.claim);
        }
    }
    BOOST_TEST(paper_figures::saturation_largest.both() == "8.5, 1.2");
    BOOST_TEST(paper_figures::dominance_share.both() == "5–20 %");
}
