// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE early_exit_fit
#include <boost/test/unit_test.hpp>

#include <xlens/early_exit/cluster_rule.hpp>
#include <xlens/early_exit/evaluate.hpp>
#include <xlens/early_exit/evaluate_words.hpp>
#include <xlens/early_exit/exit_policy.hpp>
#include <xlens/early_exit/fit.hpp>
#include <xlens/early_exit/paper_table.hpp>
#include <xlens/early_exit/would_exit.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/io/load.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/rows_of_floats.hpp"
#include "support/temporary_directory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

// The library's functions from a text to a file and to figures, on a tiny model.

using namespace xlens;
using namespace xlens::test;

namespace {

const model& llama() {
    static const model m = load(golden_path("models/llama/hf"));
    return m;
}
std::vector<token_id> text(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<token_id> out(count);
    for (token_id& t : out) { t = static_cast<token_id>(random() % 288); }
    return out;
}
/// Every neuron in one of three clusters.
early_exit::cluster_match three_clusters(const model& m) {
    std::vector<cluster> found(3);
    for (std::size_t l = 0; l < m.config.layers; ++l) {
        for (std::size_t i = 0; i < m.config.inner_width; ++i) {
            found[(l + i) % 3].neurons.push_back({l, i});
        }
    }
    const clusters_origin origin{.layers = m.config.layers, .inner_width = m.config.inner_width};
    return early_exit::cluster_rule(m, clusters(origin, found));
}
early_exit::exit_options options(const model& m) {
    early_exit::exit_options out{.agreement = 0.05};
    out.window = 32;
    out.clusters = three_clusters(m);
    return out;
}
void same(const early_exit::exit_report& a, const early_exit::exit_report& b) {
    BOOST_TEST(a.rule == b.rule);
    BOOST_TEST(a.threshold == b.threshold);
    BOOST_TEST(a.seen.positions == b.seen.positions);
    BOOST_TEST(a.seen.agreeing == b.seen.agreeing);
    BOOST_TEST(a.seen.exits == b.seen.exits, boost::test_tools::per_element());
    BOOST_TEST(a.agreement_bound == b.agreement_bound);
}
/// Makes all of the residual of one position one number.
struct far_away {
    static constexpr hook hooks = hook::before;
    std::size_t position = 0;
    float value = 0.0F;
    void before(const site& where, rows<float> x) const {
        const std::size_t last = where.first_position + x.count() - 1;
        if (last == position) { std::ranges::fill(x[x.count() - 1], value); }
    }
};
model with_a_broken_norm() {
    model out = llama();
    out.final_norm->gain(3) = std::numeric_limits<float>::quiet_NaN();
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_rule_is_fitted_saved_loaded_and_measured) {
    const std::vector<token_id> fitted_on = text(500, 1);
    const std::vector<token_id> other = text(160, 2);
    const temporary_directory folder;
    for (const early_exit::rule_facts& facts : early_exit::all_rules) {
        BOOST_TEST_CONTEXT(facts.name) {
            const std::string name(facts.name);
            if (facts.told) { continue; }
            const auto found = early_exit::fit(llama(), fitted_on, name, options(llama()));
            const auto path = folder.path() / name;
            early_exit::save(found.exit, path, llama());
            const early_exit::fitted_exit again = early_exit::load(path, llama());
            const auto seen = early_exit::evaluate(llama(), other, again, options(llama()));
            same(seen, early_exit::evaluate(llama(), other, found.exit, options(llama())));
            BOOST_TEST(seen.rule == name);
            BOOST_TEST(seen.seen.positions == other.size());
            BOOST_TEST(seen.agreement_bound <= seen.seen.agreement());

            // The held-back fifth is what the report is of, and what the threshold came from.
            BOOST_TEST(found.held_back.fitted == 400U);
            BOOST_TEST(found.held_back.seen.positions == 100U);
            early_exit::any_rule rule = found.exit.rule;
            const auto trials =
                early_exit::exit_trials(llama(), std::span(fitted_on).last(100), 32, rule, {});
            const float threshold = facts.yes_or_no ? 1.0F : early_exit::calibrate(trials, 0.05);
            BOOST_TEST(found.exit.threshold == threshold);
            BOOST_TEST(found.held_back.seen.agreeing ==
                       early_exit::summarise(trials, threshold, 2).agreeing);

            // By name: the file's figures; several at once: those of each alone.
            const std::vector<std::string> words{path.string(), name, "oracle"};
            const auto many =
                early_exit::evaluate_words(llama(), other, words, options(llama()), fitted_on);
            same(many[0], seen);
            same(many[1], seen);
            BOOST_TEST(many[1].fitted == 500U);
            BOOST_TEST(many[2].seen.agreement() == 1.0);
        }
    }
}

BOOST_AUTO_TEST_CASE(parts_of_a_text_have_nothing_in_common) {
    const std::vector<token_id> all = text(123, 3);
    for (const early_exit::text_split parts :
         {early_exit::four_fifths(all), early_exit::halves(all)}) {
        BOOST_TEST(parts.first.data() == all.data());
        BOOST_TEST(parts.first.data() + parts.first.size() == parts.second.data());
        BOOST_TEST(parts.first.size() + parts.second.size() == all.size());
    }
    BOOST_TEST(early_exit::four_fifths(all).first.size() == 96U);
    BOOST_TEST(early_exit::halves(all).first.size() == 61U);

    // Without a text of its own, a rule by name is fitted on the first half.
    const std::vector<std::string> words{"confidence"};
    const auto halved = early_exit::evaluate_words(llama(), all, words, options(llama()));
    const auto apart = early_exit::evaluate_words(llama(), early_exit::halves(all).second, words,
                                                  options(llama()), early_exit::halves(all).first);
    same(halved.front(), apart.front());
}

BOOST_AUTO_TEST_CASE(no_figures_on_the_text_of_the_fit) {
    const std::vector<token_id> seen = text(100, 4);
    const auto found = early_exit::fit(llama(), seen, "confidence", options(llama()));
    const std::string refused = "text: the rule was fitted on this very text; measure on another";
    BOOST_TEST(error_message([&] {
                   early_exit::evaluate(llama(), seen, found.exit, options(llama()));
               }) == refused);
    const std::vector<std::string> words{"confidence"};
    BOOST_TEST(error_message([&] {
                   early_exit::evaluate_words(llama(), seen, words, options(llama()), seen);
               }) == refused);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_fitted_is_refused) {
    const std::vector<token_id> seen = text(100, 4);
    const auto message = [&](const std::string& name, const early_exit::exit_options& o) {
        return error_message([&] { early_exit::fit(llama(), seen, name, o); });
    };
    early_exit::exit_options o = options(llama());
    BOOST_TEST(message("gates", o) ==
               "exit rule: expected gate, confidence, margin, stable, similarity, classifier, "
               "cluster, oracle, got 'gates'");
    BOOST_TEST(message("oracle", o) == "exit fit: 'oracle' knows the answers and cannot be fitted");
    BOOST_TEST(message("cluster", {.window = 32}) ==
               "clusters: the rule 'cluster' needs them, got none");
    o.layers = {0, 1};
    BOOST_TEST(message("gate", o) == "layers: expected ascending layers below 1, got 0,1");
    BOOST_TEST(message("gate", {.agreement = 1.0}) == "agreement: expected between 0 and 1, got 1");
    BOOST_TEST(message("gate", {.window = 0}) == "window: expected at least 1 token, got 0");
    BOOST_TEST(error_message([&] {
                   early_exit::fit(llama(), std::span(seen).first(63), "gate");
               }) == "text: 63 tokens, expected at least 64");
    BOOST_TEST(error_message([&] { early_exit::unfitted(llama(), "gate"); }) ==
               "exit rule 'gate': expected one that needs no fit");
    BOOST_TEST(early_exit::unfitted(llama(), "margin").threshold == 0.9F);
}

BOOST_AUTO_TEST_CASE(the_table_of_rules_is_what_messages_are_made_of) {
    std::set<std::string_view> names;
    for (const early_exit::rule_facts& r : early_exit::all_rules) {
        names.insert(r.name);
        BOOST_TEST(early_exit::find_rule(r.name) == &r);
    }
    BOOST_TEST(names.size() == early_exit::all_rules.size());
    BOOST_TEST((early_exit::find_rule("any") == nullptr));
    BOOST_TEST(early_exit::rule_names(&early_exit::rule_facts::lens, " and ") ==
               "confidence, margin, stable, similarity and oracle");
    BOOST_TEST(early_exit::rule_names(&early_exit::rule_facts::told, " and ") == "oracle");
}

// No answer is an error that says where, and never token -1.
BOOST_AUTO_TEST_CASE(a_final_norm_that_is_no_number_is_refused) {
    const model broken = with_a_broken_norm();
    const std::vector<token_id> seen = text(200, 5);
    // The lens says which number it cannot read.
    const auto refused = [](const std::string& message) {
        return message.ends_with("is nan, expected a finite number") ||
               message.ends_with("no token has a score that is a number");
    };
    for (const early_exit::rule_facts& facts : early_exit::all_rules) {
        BOOST_TEST_CONTEXT(facts.name) {
            const std::vector<std::string> words{std::string(facts.name)};
            for (const early_exit::exit_lens lens :
                 {early_exit::exit_lens::plain, early_exit::exit_lens::tuned}) {
                early_exit::exit_options o = options(broken);
                o.lens = lens;
                const auto message = [&](auto work) { return error_message(work); };
                BOOST_TEST(
                    refused(message([&] { early_exit::evaluate_words(broken, seen, words, o); })));
                if (facts.told) { continue; }
                BOOST_TEST(refused(message([&] { early_exit::fit(broken, seen, words[0], o); })));
            }
        }
    }
    const auto rule = early_exit::unfitted(broken, "stable");
    BOOST_TEST(
        refused(error_message([&] { early_exit::evaluate(broken, seen, rule, options(broken)); })));
    BOOST_TEST(refused(error_message(
        [&] { early_exit::paper_table(broken, seen, three_clusters(broken), {.window = 32}); })));
}

// A length whose square overflows reads as zeros, of which token 0 is the best.
BOOST_AUTO_TEST_CASE(a_residual_that_cannot_be_read_is_refused) {
    const std::vector<token_id> ids = text(6, 6);
    for (const float size : {1e20F, std::numeric_limits<float>::quiet_NaN()}) {
        far_away push{5, size};
        const auto rule = early_exit::unfitted(llama(), "stable");
        early_exit::exit_policy leave(rule.rule, 1.0F);
        early_exit::would_exit marks(rule.rule, 1.0F);
        const std::string which = size > 0.0F ? "inf" : "nan";
        const std::string expected = "layer 0, position 5: the mean square of the residual is ";
        BOOST_TEST(error_message([&] {
                       sequence_state state = llama().start();
                       llama().forward(state, std::span(ids).first(5));
                       llama().forward(state, std::span(ids).subspan(5), push, leave);
                   }).starts_with(expected),
                   which);
        BOOST_TEST(error_message([&] {
                       sequence_state state = llama().start();
                       llama().forward(state, ids, push, marks);
                   }).starts_with(expected),
                   which);
    }
}

BOOST_AUTO_TEST_CASE(the_papers_table_has_a_row_a_rule_and_a_figure_a_seed) {
    std::size_t told = 0;
    const auto table = early_exit::paper_table(
        llama(), text(120, 7), three_clusters(llama()),
        {.seeds = {1, 2}, .window = 32, .progress = [&](std::size_t, std::size_t) { ++told; }});
    BOOST_TEST_REQUIRE(table.size() == 4U);
    for (const early_exit::split_row& row : table) {
        BOOST_TEST_REQUIRE(row.splits.size() == 2U);
        for (const early_exit::exit_summary& s : row.splits) { BOOST_TEST(s.positions == 12U); }
    }
    BOOST_TEST(table.back().rule == "cluster");
    BOOST_TEST(told > 8U);
}

BOOST_AUTO_TEST_CASE(clusters_must_hold_every_neuron) {
    const hyperparameters& config = llama().config;
    const clusters_origin origin{.layers = config.layers, .inner_width = config.inner_width};
    std::vector<cluster> some(1);
    some[0].neurons.push_back({0, 0});
    BOOST_TEST(error_message([&] { early_exit::cluster_rule(llama(), clusters(origin, some)); }) ==
               "clusters: neuron 0:1 is in none");
    BOOST_TEST(error_message([&] {
                   early_exit::cluster_rule(llama(), clusters({.layers = 1, .inner_width = 2}, {}));
               }).starts_with("clusters: expected 2 layers of "));
}
