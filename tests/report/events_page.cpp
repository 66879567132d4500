// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE events_page
#include <boost/test/unit_test.hpp>

#include <xlens/report/events_page.hpp>

#include "support/outside_reference.hpp"

#include <cstddef>
#include <string>
#include <string_view>

using namespace xlens;

// `xlens events -o` from outside: tests/cli/events.cpp.

namespace {

/// Two layers of three neurons, ten positions in two windows, every number made up.
event_statistics statistics() {
    event_statistics out(2, 3);
    out.tokens = 12;
    out.positions = 10;
    out.windows = 2;
    out.settled_counts = {4, 3, 3};
    out.extreme_updates = {1, 5};
    update_measures u;
    u.dominance_share = 0.0826F;
    u.scores.all[0][0] = {.mean = 1.0F, .max = 2.5F, .min = -1.5F};
    for (update_means& means : out.means) {
        for (const std::size_t layer : {0U, 1U, 1U}) { means.add(layer, u); }
        means.end_window();
        means.add(0, u);
        means.end_window();
    }
    out.neurons[4] = {.dominant = 9, .in_extreme = 7, .promotes = 5, .suppresses = 1};
    return out;
}
functional_clusters clustered() {
    functional_clusters out;
    functional_cluster one;
    one.id = 6;
    one.size = 2;
    one.promotes = 5;
    one.by_layer = {0, 2};
    out.ranked.push_back(one);
    out.often = 1;
    out.by_layer = {0, 2};
    out.clusters = 77;
    return out;
}
struct run {
    event_statistics found = statistics();
    functional_vectors functional = find_functional(found);
    functional_clusters by_cluster = clustered();

    [[nodiscard]] event_report report(std::string model = "a model") const {
        return {.model = std::move(model),
                .text = "text.txt",
                .manifest = "seed 0",
                .options = {},
                .found = found,
                .functional = functional,
                .promoted = {"cat, <dog>"}};
    }
};

bool holds(std::string_view page, std::string_view part) { return page.find(part) != page.npos; }

std::string row(const std::string& what, const std::string& ours, const paper_figure& paper) {
    return "<tr><th>" + what + "</th><td>" + ours + "</td><td>" + html_text(paper.gpt2) +
           "</td><td>" + html_text(paper.wikilm) + "</td></tr>";
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_page_holds_the_run) {
    const std::string page = event_report_page(run().report());
    BOOST_TEST(page.starts_with("<!DOCTYPE html>"));
    BOOST_TEST(
        holds(page, "a model, on text.txt: 10 positions in 2 windows of 512;\nfolded scores"));
    BOOST_TEST(holds(page,
                     "6 scores of ±10 or more: 5 promote the top candidate,\n1 suppress it. "
                     "Of 6 value vectors 1 ever give one"));
    BOOST_TEST(holds(page,
                     "<tr><th>1:1</th><td>9</td><td>5</td><td>1</td><td class=\"tokens\">"
                     "<bdi>cat, &lt;dog&gt;</bdi></td></tr>"));
    BOOST_TEST(holds(page, "<title>layer 1: largest 2.5"));
    BOOST_TEST(holds(page, "<title>layer 1: extreme updates 50</title>"));
    BOOST_TEST(holds(page, "<title>layer 1: saturations 20</title>"));
}

BOOST_AUTO_TEST_CASE(figures_of_the_paper_are_those_of_the_table) {
    using namespace paper_figures;
    const std::string page = event_report_page(run().report());
    BOOST_TEST(holds(page, row("dominant sub-updates&#39; share of a layer&#39;s |m|·‖v‖",
                               "8.26 ± 0.00 %", dominance_share)));
    BOOST_TEST(holds(page, row("saturations: largest score of the promoted token", "2.50 ± 0.00",
                               saturation_largest)));
    BOOST_TEST(holds(page, row("eliminations: largest score of the dropped token", "2.50 ± 0.00",
                               elimination_largest)));
    BOOST_TEST(holds(page, row("eliminations: mean score", "1.00 ± 0.00", elimination_mean)));
    BOOST_TEST(holds(page, row("random sub-updates: mean, saturations", "0.00 ± 0.00",
                               paper_figures::random_scores)));
    BOOST_TEST(holds(page, "GPT-2&#39;s layers " + std::string(peak_layers.gpt2) +
                               " and WikiLM&#39;s " + std::string(peak_layers.wikilm) +
                               "; smallest " + std::string(last_layers.gpt2)));
    BOOST_TEST(holds(page, "<td>" + std::string(paper_figures::functional_share.gpt2) +
                               " (clusters)</td><td>" +
                               std::string(paper_figures::functional_share.wikilm)));
}

BOOST_AUTO_TEST_CASE(clusters_are_there_if_they_were_counted) {
    const run r;
    event_report report = r.report();
    BOOST_TEST(!holds(event_report_page(report), "cluster</h2>"));
    report.by_cluster = &r.by_cluster;
    report.cluster_concepts = {"cats"};
    const std::string page = event_report_page(report);
    BOOST_TEST(holds(page, "<h2>The same by cluster</h2>\n<p>Of 77 clusters 1 give"));
    BOOST_TEST(holds(page, "value vectors in functional clusters (77 clusters)"));
    BOOST_TEST(holds(page, "<tr><th>6</th><td>2</td><td>0</td>"));
    BOOST_TEST(holds(page, "<bdi>cats</bdi>"));
}

BOOST_AUTO_TEST_CASE(nothing_from_outside_is_markup) {
    const std::string page = event_report_page(run().report("</h1><b>{{text}}"));
    BOOST_TEST(!holds(page, "<b>"));
    BOOST_TEST(holds(page, "<p class=\"dim\">&lt;/h1&gt;&lt;b&gt;{{text}}, on text.txt"));
}

BOOST_AUTO_TEST_CASE(the_page_asks_for_nothing) {
    const run r;
    event_report report = r.report();
    report.by_cluster = &r.by_cluster;
    BOOST_TEST(test::outside_reference(event_report_page(report)) == "");
}
