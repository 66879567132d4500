// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE events
#include <boost/test/unit_test.hpp>

#include <xlens/core/parallel.hpp>
#include <xlens/events/events.hpp>
#include <xlens/events/functional.hpp>
#include <xlens/events/functional_clusters.hpp>
#include <xlens/events/functional_rows.hpp>
#include <xlens/io/gguf_hyperparameters.hpp>
#include <xlens/io/gguf_tokenizer.hpp>
#include <xlens/io/open_checkpoint.hpp>
#include <xlens/text/make_tokenizer.hpp>

#include "support/error_message.hpp"
#include "support/plain_events.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_model.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

struct smollm2 {
    checkpoint file{gguf_file(default_model())};
    transformer<> model = assemble(file);
    tokenizer text = make_tokenizer(read_tokenizer(*file.origin<gguf_file>()));
    static const smollm2& get() {
        static const smollm2 m;
        return m;
    }
};

std::vector<text_event> read(const transformer<>& model, std::span<const token_id> tokens,
                             const event_options& options, event_statistics* found = nullptr) {
    std::vector<text_event> out;
    event_reader reader(model, options);
    for (std::size_t at = 0; at < tokens.size(); at += options.window) {
        reader.read(tokens.subspan(at, std::min(options.window, tokens.size() - at)), at,
                    [&](const text_event& e) { out.push_back(e); });
    }
    if (found != nullptr) { *found = reader.statistics(); }
    return out;
}

void check_close(double got, double expected, double scale = 1.0) {
    BOOST_TEST(std::abs(got - expected) <= 2e-4 * std::max({std::abs(expected), scale, 1.0}),
               got << " is not " << expected);
}

/// Every event and every number of one, by plain loops.
void check_by_plain_loops(const std::string& name, projection form) {
    const tiny_model<> tiny(name);
    event_options options;
    options.window = 16;
    options.sub_updates = 5;
    options.measured = 1;
    options.form = form;
    const auto tokens = std::span(tiny.ids).first(16);
    const plain_events plain(tiny.model, tokens);
    std::size_t next = 0;
    const std::vector<text_event> events = read(tiny.model, tokens, options);
    const std::size_t layers = tiny.model.config.layers;
    const auto expect = [&](event_kind kind, std::size_t l, std::size_t t, token_id w,
                            token_id other) {
        BOOST_TEST_REQUIRE(next < events.size());
        const text_event& e = events[next++];
        BOOST_TEST((e.what == found_event{kind, l, w, other}));
        BOOST_TEST(e.position == t);
        const update_measures& u = e.measures;
        check_close(u.log_before, plain.log_before(l, t, w));
        check_close(u.log_after, plain.log_after(l, t, w));
        const bool fold = form == projection::folded;
        check_close(u.whole.score, plain.whole(l, t, w, fold, false));
        check_close(u.whole.centred, plain.whole(l, t, w, fold, true));
        check_close(u.other.centred, plain.whole(l, t, other, fold, true));
        const auto neurons = plain.dominant(l, t, 5);
        const auto all = plain.dominances(l, t);
        double part = 0.0;
        double sum = 0.0;
        for (const double d : all) { sum += d; }
        for (const std::size_t i : neurons) { part += all[i]; }
        check_close(u.dominance_share, part / sum);
        check_close(u.norm_share, plain.norm_share(l, t, 5));
        for (const bool folded : {true, false}) {
            for (const bool centred : {false, true}) {
                const auto f = static_cast<score_form>((folded ? 0 : 2) + (centred ? 1 : 0));
                const score_summary& got = u.scores.of(score_group::dominant, f);
                const auto expected = plain.scores(l, t, w, neurons, folded, centred);
                check_close(got.mean, expected.mean);
                check_close(got.max, expected.max);
                check_close(got.min, expected.min);
            }
        }
    };
    for (std::size_t t = 1; t < tokens.size(); ++t) {
        const token_id final_token = plain.tops(layers - 1, t).after;
        std::size_t saturation = layers - 1;
        while (saturation > 0 && plain.tops(saturation - 1, t).after == final_token) {
            --saturation;
        }
        for (std::size_t l = 0; l < layers; ++l) {
            const auto [before, after] = plain.tops(l, t);
            if (l == saturation && l + 1 < layers && before != final_token) {
                expect(event_kind::saturation, l, t, final_token, before);
            }
            if (before != after) { expect(event_kind::elimination, l, t, before, after); }
        }
    }
    BOOST_TEST(next == events.size());
    BOOST_TEST(next >= 5U);
}

std::string contents(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// All numbers of a run, to compare bits.
std::vector<double> numbers(event_statistics s) {
    std::vector<double> out{static_cast<double>(s.tokens), static_cast<double>(s.positions),
                            static_cast<double>(s.windows)};
    for (update_means& m : s.means) {
        for (const clustered_mean& c : m.state()) {
            out.insert(out.end(), {c.count, c.sum, c.counts2, c.sums2, c.products, c.windows});
        }
    }
    for (const neuron_counts& n : s.neurons) {
        out.insert(out.end(), {double(n.dominant), double(n.in_extreme), double(n.promotes),
                               double(n.suppresses)});
    }
    for (const auto n : s.extreme_updates) { out.push_back(static_cast<double>(n)); }
    for (const auto n : s.saturation_layers) { out.push_back(static_cast<double>(n)); }
    for (const auto n : s.settled_counts) { out.push_back(static_cast<double>(n)); }
    for (const auto& n : s.by_part) {
        out.insert(out.end(), {double(n.active), double(n.extreme)});
    }
    for (const auto n : s.part_positions) { out.push_back(static_cast<double>(n)); }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(events_of_a_position_by_hand) {
    using tokens = std::vector<token_id>;
    // 7 comes on top in the update of layer 1 and stays.
    const auto promoted = find_events(tokens{3, 3, 7, 7}, tokens{3, 7, 7, 7});
    BOOST_TEST((promoted.how == settled::by_ffn));
    BOOST_TEST(promoted.saturation_layer == 1U);
    BOOST_TEST((promoted.events == std::vector<found_event>{
                                       {event_kind::saturation, 1, 7, 3},
                                       {event_kind::elimination, 1, 3, 7},
                                   }));
    // Attention of layer 1 brought it.
    const auto attended = find_events(tokens{3, 7, 7}, tokens{3, 7, 7});
    BOOST_TEST((attended.how == settled::by_attention));
    BOOST_TEST(attended.events.empty());
    // In the last layer: no saturation event, but 3 is eliminated.
    const auto late = find_events(tokens{3, 3}, tokens{3, 7});
    BOOST_TEST((late.how == settled::at_the_end));
    BOOST_TEST((late.events == std::vector<found_event>{{event_kind::elimination, 1, 3, 7}}));
    // On top after layer 0, lost in layer 1, back in layer 2: saturation is the last time.
    const auto twice = find_events(tokens{3, 7, 5, 7}, tokens{7, 5, 7, 7});
    BOOST_TEST(twice.saturation_layer == 2U);
    BOOST_TEST(twice.events.size() == 4U);
}

// Behind a norm or a multiplier too: all sub-updates are the update, in length and in score.
BOOST_AUTO_TEST_CASE(all_sub_updates_score_as_the_whole_update) {
    for (const std::string name : {"gemma2", "gemma3_text", "olmo2", "glm4", "granite"}) {
        BOOST_TEST_CONTEXT(name) {
            const checkpoint file = open_checkpoint(golden_path("families/" + name + "/hf"));
            const transformer<> model = assemble(file);
            const auto ids = read_golden(golden_path("families/" + name + "/golden.json"))["ids"]
                                 .get<std::vector<token_id>>();
            event_options options;
            options.window = 16;
            options.sub_updates = model.config.inner_width;
            const auto events = read(model, std::span(ids).first(16), options);
            BOOST_TEST(events.size() >= 5U);
            for (const text_event& e : events) {
                const update_measures& u = e.measures;
                check_close(u.norm_share, 1.0);
                const score_summary& folded =
                    u.scores.of(score_group::dominant, static_cast<score_form>(0));
                check_close(folded.mean * static_cast<double>(options.sub_updates), u.whole.score);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_clustered_mean_is_the_ratio_estimator) {
    const std::vector<std::vector<double>> windows{{1.0, 2.0, 6.0}, {4.0}, {}, {0.5, 3.0}, {7.0}};
    clustered_mean m;
    double sum = 0.0;
    double count = 0.0;
    for (const auto& w : windows) {
        double s = 0.0;
        for (const double x : w) { s += x; }
        m.add(static_cast<double>(w.size()), s);
        sum += s;
        count += static_cast<double>(w.size());
    }
    const double mean = sum / count;
    double rest = 0.0;
    for (const auto& w : windows) {
        double s = 0.0;
        for (const double x : w) { s += x - mean; }
        rest += s * s;
    }
    BOOST_TEST(m.mean() == mean);
    BOOST_TEST(m.margin() == 1.959963984540054 * std::sqrt(4.0 / 3.0 * rest) / count,
               boost::test_tools::tolerance(1e-12));
    clustered_mean one;
    one.add(3, 6.0);
    BOOST_TEST(std::isnan(one.margin()));
    BOOST_TEST(std::isnan(clustered_mean().mean()));
}

BOOST_AUTO_TEST_CASE(llama_events_by_plain_loops) {
    check_by_plain_loops("llama/hf", projection::folded);
    check_by_plain_loops("llama/hf", projection::raw);
}
BOOST_AUTO_TEST_CASE(gpt2_events_by_plain_loops) {
    check_by_plain_loops("gpt2/hf", projection::folded);
}
BOOST_AUTO_TEST_CASE(wikilm_events_by_plain_loops) {
    check_by_plain_loops("wikilm/hf", projection::folded);
}

BOOST_AUTO_TEST_CASE(results_depend_neither_on_batches_nor_on_threads) {
    const tiny_model<> tiny("llama/hf");
    event_options options;
    options.window = 9;
    options.measured = 3;
    options.threshold = 0.05F;
    event_statistics expected;
    const auto events = read(tiny.model, tiny.ids, options, &expected);
    const std::size_t threads = max_threads();
    for (const std::size_t batch : {1U, 4U, 9U}) {
        for (const std::size_t team : {1U, 3U}) {
            set_threads(team);
            options.batch = batch;
            event_statistics found;
            const auto again = read(tiny.model, tiny.ids, options, &found);
            BOOST_TEST_REQUIRE(again.size() == events.size());
            for (std::size_t i = 0; i < again.size(); ++i) {
                BOOST_TEST(event_row(again[i], projection::folded, "") ==
                           event_row(events[i], projection::folded, ""));
            }
            BOOST_TEST(numbers(found) == numbers(expected), boost::test_tools::per_element());
        }
    }
    set_threads(threads);
}

BOOST_AUTO_TEST_CASE(gaussian_vectors_have_the_mean_and_variance_of_what_they_stand_for) {
    const tiny_model<> tiny("llama/hf");
    const auto& ffn = tiny.model.blocks[0].ffn;
    xt::xtensor<float, 2> values = xt::empty<float>({ffn.inner_width(), ffn.width()});
    for (std::size_t i = 0; i < ffn.inner_width(); ++i) { ffn.value(i, rows<float>(values)[i]); }
    constexpr std::size_t count = 4000;
    const auto vectors = detail::gaussian_like(values, count, 5, 0);
    const auto moments = [](const xt::xtensor<float, 2>& x, std::size_t d) {
        double mean = 0.0;
        double square = 0.0;
        const auto n = static_cast<double>(x.shape(0));
        for (std::size_t i = 0; i < x.shape(0); ++i) { mean += double{x(i, d)} / n; }
        for (std::size_t i = 0; i < x.shape(0); ++i) {
            square += (double{x(i, d)} - mean) * (double{x(i, d)} - mean) / n;
        }
        return std::pair(mean, std::sqrt(square));
    };
    for (std::size_t d = 0; d < ffn.width(); ++d) {
        const auto [mean, deviation] = moments(values, d);
        const auto [got_mean, got_deviation] = moments(vectors, d);
        BOOST_TEST(std::abs(got_mean - mean) < 5.0 * deviation / std::sqrt(double{count}));
        BOOST_TEST(std::abs(got_deviation / deviation - 1.0) < 0.06);
    }
}

BOOST_AUTO_TEST_CASE(every_event_of_smollm2_is_that_of_pytorch) {
    const auto golden = read_golden(golden_path("smollm2/events.json"));
    const auto ids = golden["ids"].get<std::vector<token_id>>();
    event_options options;
    options.window = golden["settings"]["window"];
    options.measured = golden["settings"]["measured"];
    const auto events = read(smollm2::get().model, ids, options);
    BOOST_TEST_REQUIRE(events.size() == golden["events"].size());
    for (std::size_t i = 0; i < events.size(); ++i) {
        const auto& g = golden["events"][i];
        const text_event& e = events[i];
        BOOST_TEST(e.position == g["position"].get<std::size_t>());
        BOOST_TEST(e.what.layer == g["layer"].get<std::size_t>());
        BOOST_TEST(update_sets[static_cast<std::size_t>(e.what.kind)] ==
                   g["kind"].get<std::string>());
        BOOST_TEST(e.what.token == g["token"].get<token_id>());
        BOOST_TEST(e.what.other == g["other"].get<token_id>());
        const update_measures& u = e.measures;
        BOOST_TEST(std::isnan(u.log_before) == g["log"].empty());
        if (!g["log"].empty()) {
            check_close(u.log_before, g["log"][0]);
            check_close(u.log_after, g["log"][1]);
        }
        check_close(u.dominance_share, g["shares"][0]);
        check_close(u.norm_share, g["shares"][1]);
        const float whole[] = {u.whole.score, u.whole.centred, u.other.score, u.other.centred};
        for (std::size_t c = 0; c < 4; ++c) { check_close(whole[c], g["whole"][c], 10.0); }
        const auto values = update_columns::values(u);
        for (std::size_t c = 0; c < g["scores"].size(); ++c) {
            check_close(values[c], g["scores"][c], 10.0);
        }
    }
}

BOOST_AUTO_TEST_CASE(screened_top_tokens_are_those_of_a_full_scan) {
    const auto& model = smollm2::get().model;
    const auto ids =
        read_golden(golden_path("smollm2/events.json"))["ids"].get<std::vector<token_id>>();
    record_updates seen(model, 1, 0);
    sequence_state state = model.start();
    state.wanted = logit_rows::none;
    model.forward(state, ids, seen);
    xt::xtensor<float, 2> all = xt::empty<float>({std::size_t{1080}, model.config.width});
    for (std::size_t l = 0; l < 30; ++l) {
        std::copy(seen.layers()[l].before.begin(), seen.layers()[l].before.end(),
                  all.begin() + static_cast<std::ptrdiff_t>(l * 36 * model.config.width));
    }
    const logit_lens lens(model);
    const auto screened = top_tokens(model, lens, all);
    const auto full = lens.read(all, 1);
    for (std::size_t n = 0; n < full.size(); ++n) { BOOST_TEST(screened[n] == full[n].top[0].id); }
}

namespace {

struct stopped {};

/// A run over some text, in windows of 8 tokens; stops after some windows if asked to.
event_statistics run(const event_run& what, std::size_t windows = SIZE_MAX) {
    return events(smollm2::get().model, smollm2::get().text, what, [&](std::size_t, std::size_t) {
        if (--windows == 0) { throw stopped(); }
    });
}
event_run short_run(const std::filesystem::path& text, const std::filesystem::path& folder) {
    event_run out;
    out.text = text;
    out.folder = folder;
    out.limit = 37;
    out.between_checkpoints = std::chrono::seconds(0);
    out.options.window = 8;
    out.options.measured = 2;
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_run_that_was_interrupted_ends_like_one_that_was_not) {
    const temporary_directory folder;
    const auto text = golden_path("smollm2/perplexity.txt");
    const event_statistics whole = run(short_run(text, folder.path() / "whole"));
    BOOST_TEST(whole.tokens == 37U);
    BOOST_TEST(whole.positions == 32U);
    const event_run parts = short_run(text, folder.path() / "parts");
    BOOST_CHECK_THROW(run(parts, 1), stopped);
    BOOST_CHECK_THROW(run(parts, 2), stopped);
    {  // what was written after the last checkpoint does not count
        std::ofstream out(folder.path() / "parts" / "events.csv.part", std::ios::app);
        out << "half a row";
    }
    const event_statistics found = run(parts);
    BOOST_TEST(numbers(found) == numbers(whole), boost::test_tools::per_element());
    const std::string rows = contents(folder.path() / "parts" / "events.csv");
    BOOST_TEST((rows == contents(folder.path() / "whole" / "events.csv")));
    const auto rows_of = [&](const std::string& kind) {
        std::size_t count = 0;
        for (auto at = rows.find(kind); at != std::string::npos; at = rows.find(kind, at + 1)) {
            ++count;
        }
        return count;
    };
    BOOST_TEST(rows_of(",saturation,") == found.of(update_set::saturation).count(30));
    BOOST_TEST(rows_of(",elimination,") == found.of(update_set::elimination).count(30));
    // Asked again, it reads no window.
    BOOST_TEST(numbers(run(parts, 1)) == numbers(whole), boost::test_tools::per_element());
    BOOST_TEST((contents(folder.path() / "parts" / "events.csv") == rows));
}

BOOST_AUTO_TEST_CASE(a_checkpoint_of_another_run_is_refused) {
    const temporary_directory folder;
    const auto text = golden_path("smollm2/perplexity.txt");
    const event_run made = short_run(text, folder.path() / "run");
    BOOST_CHECK_THROW(run(made, 1), stopped);
    const auto refusal = [&](auto change) {
        event_run other = made;
        change(other);
        return error_message([&] { run(other); });
    };
    BOOST_TEST(refusal([](event_run& r) { r.model = 1; })
                   .find("belongs to a run with model 0000000000000000, this one has "
                         "0000000000000001") != std::string::npos);
    BOOST_TEST(refusal([](event_run& r) { r.options.seed = 3; }).find("seed 0, this one has 3") !=
               std::string::npos);
    BOOST_TEST(refusal([](event_run& r) {
                   r.options.window = 9;
               }).find("window 8, this one has 9") != std::string::npos);
    BOOST_TEST(refusal([](event_run& r) { r.limit = 5; }).find("5 tokens, but the run in") !=
               std::string::npos);
    BOOST_TEST(refusal([&](event_run& r) {
                   r.text = folder.write("other", "Other words here.");
               }).find("text of bytes") != std::string::npos);
    const auto path = folder.path() / "run" / "events.checkpoint";
    std::string bytes = contents(path);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    std::ofstream(path, std::ios::binary) << bytes;
    BOOST_TEST(error_message([&] { run(made); }).find("damaged") != std::string::npos);
    std::ofstream(path, std::ios::binary) << "something else";
    BOOST_TEST(error_message([&] { run(made); }).find("expected a checkpoint") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(functional_vectors_by_hand) {
    event_statistics found(2, 3);
    found.positions = 1000;
    found.neurons[4] = {50, 40, 10, 30};  // 1:1
    found.neurons[0] = {9, 9, 5, 0};
    found.neurons[5] = {2, 1, 0, 0};
    found.extreme_updates = {5, 40};
    const functional_vectors f = find_functional(found);
    BOOST_TEST(f.any == 2U);
    BOOST_TEST(f.half == 1U);
    BOOST_TEST(f.nine_tenths == 2U);
    BOOST_TEST(f.promoting == 15U);
    BOOST_TEST(f.suppressing == 30U);
    BOOST_TEST(f.extreme_updates == 45U);
    BOOST_TEST_REQUIRE(f.often.size() == 2U);
    BOOST_TEST((f.often[0].where == neuron{1, 1}));
    BOOST_TEST(f.by_layer == (std::vector<std::size_t>{1, 1}), boost::test_tools::per_element());
}

namespace {

/// How often the value vectors of a run are extreme and active, in windows w with w % 10 == part,
/// or in all: full sorts and scores in double, from the definitions.
struct plain_counts {
    std::vector<double> extreme;
    std::vector<double> active;
    double positions = 0.0;
};
std::vector<plain_counts> plain_extremes(const transformer<>& model,
                                         std::span<const token_id> tokens, const event_options& o) {
    const std::size_t width = model.config.inner_width;
    const std::vector<double> none(model.config.layers * width, 0.0);
    std::vector<plain_counts> out(11, {none, none, 0.0});
    for (std::size_t w = 0; w * o.window < tokens.size(); ++w) {
        const std::size_t at = w * o.window;
        const auto part = tokens.subspan(at, std::min(o.window, tokens.size() - at));
        const plain_events plain(model, part);
        for (std::size_t t = 1; t < part.size(); ++t) {
            for (const std::size_t to : {w % 10, std::size_t{10}}) { out[to].positions += 1.0; }
            for (std::size_t l = 0; l < model.config.layers; ++l) {
                std::vector<double> scores;
                const auto neurons = plain.dominant(l, t, o.sub_updates);
                for (const std::size_t i : neurons) {
                    const std::size_t one[] = {i};
                    scores.push_back(
                        plain.scores(l, t, plain.tops(l, t).before, one, true, false).mean);
                }
                const bool any = std::ranges::any_of(
                    scores, [&](double s) { return std::abs(s) >= double{o.threshold}; });
                for (std::size_t k = 0; k < neurons.size(); ++k) {
                    for (const std::size_t to : {w % 10, std::size_t{10}}) {
                        const std::size_t n = l * width + neurons[k];
                        out[to].active[n] += any ? 1.0 : 0.0;
                        out[to].extreme[n] +=
                            std::abs(scores[k]) >= double{o.threshold} ? 1.0 : 0.0;
                    }
                }
            }
        }
    }
    return out;
}

/// Shares of clusters and of value vectors where the members' mean reaches 1 in 1000.
std::pair<double, double> plain_shares(const std::vector<double>& counts, double positions,
                                       const clusters& of) {
    double found = 0.0;
    double vectors = 0.0;
    for (const cluster& c : of.all()) {
        double sum = 0.0;
        for (const neuron& n : c.neurons) {
            sum += counts[n.layer * of.origin().inner_width + n.index];
        }
        const auto size = static_cast<double>(c.neurons.size());
        if (sum == 0.0 || sum / size * 1000.0 < positions) { continue; }
        found += 1.0;
        vectors += size;
    }
    return {found / static_cast<double>(of.count()), vectors / static_cast<double>(counts.size())};
}

/// Clusters of the neurons whose numbers have the same remainder; those of the last are in none.
clusters by_remainder(std::size_t layers, std::size_t width, std::size_t count) {
    std::vector<cluster> out(count - 1);
    for (std::size_t i = 0; i < layers * width; ++i) {
        if (i % count + 1 < count) { out[i % count].neurons.push_back({i / width, i % width}); }
    }
    return {{.layers = layers, .inner_width = width}, out};
}

}  // namespace

BOOST_AUTO_TEST_CASE(functional_clusters_by_plain_loops) {
    const tiny_model<> tiny("llama/hf");
    const std::size_t width = tiny.model.config.inner_width;
    event_options options;
    options.window = 4;
    options.sub_updates = 5;
    options.threshold = 0.2F;
    event_statistics found;
    read(tiny.model, tiny.ids, options, &found);
    const auto plain = plain_extremes(tiny.model, tiny.ids, options);
    BOOST_TEST(static_cast<double>(found.positions) == plain[10].positions);
    std::size_t parts = 0;
    for (std::size_t p = 0; p < 10; ++p) {
        BOOST_TEST(static_cast<double>(found.part_positions[p]) == plain[p].positions);
        parts += plain[p].positions > 0.0 ? 1 : 0;
        for (std::size_t i = 0; i < found.neurons.size(); ++i) {
            const neuron_part_counts& n = found.by_part[p * found.neurons.size() + i];
            BOOST_TEST(double(n.extreme) == plain[p].extreme[i]);
            BOOST_TEST(double(n.active) == plain[p].active[i]);
        }
    }
    BOOST_TEST_REQUIRE(parts >= 3U);
    const clusters of = by_remainder(tiny.model.config.layers, width, 30);
    const functional_clusters f = find_functional(found, of, 1);
    const auto [groups, vectors] = plain_shares(plain[10].extreme, plain[10].positions, of);
    BOOST_TEST(groups > 0.0);
    BOOST_TEST(groups < 1.0);
    BOOST_TEST(f.own.groups == groups, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(f.own.vectors == vectors, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(static_cast<double>(f.often) == groups * 29.0, boost::test_tools::tolerance(1e-12));
    const auto active = plain_shares(plain[10].active, plain[10].positions, of);
    BOOST_TEST(f.active.groups == active.first, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(f.active.vectors == active.second, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(f.active.groups >= f.own.groups);
    std::size_t members = 0;
    for (const std::size_t n : f.by_layer) { members += n; }
    BOOST_TEST(static_cast<double>(members) == vectors * static_cast<double>(found.neurons.size()),
               boost::test_tools::tolerance(1e-12));
    for (std::size_t i = 0; i < f.ranked.size(); ++i) {
        const functional_cluster& c = f.ranked[i];
        double sum = 0.0;
        for (const neuron& n : of.members(c.id)) {
            sum += plain[10].extreme[n.layer * width + n.index];
        }
        BOOST_TEST(static_cast<double>(c.extremes()) == sum);
        BOOST_TEST(c.size == of.members(c.id).size());
        const double rate = sum / static_cast<double>(c.size);
        if (i > 0) {
            const functional_cluster& b = f.ranked[i - 1];
            BOOST_TEST(static_cast<double>(b.extremes()) / static_cast<double>(b.size) >= rate);
        }
        BOOST_TEST((i < f.often) == (rate * 1000.0 >= plain[10].positions));
    }
    // The jackknife: each part left out in its turn.
    std::vector<double> without;
    double mean = 0.0;
    for (std::size_t p = 0; p < 10; ++p) {
        if (plain[p].positions == 0.0) { continue; }
        std::vector<double> rest = plain[10].extreme;
        for (std::size_t i = 0; i < rest.size(); ++i) { rest[i] -= plain[p].extreme[i]; }
        without.push_back(plain_shares(rest, plain[10].positions - plain[p].positions, of).second);
        mean += without.back() / static_cast<double>(parts);
    }
    double squares = 0.0;
    for (const double x : without) { squares += (x - mean) * (x - mean); }
    const double t_975[] = {0, 0, 0, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.30600, 2.26216};
    const double degrees = static_cast<double>(parts) - 1.0;
    BOOST_TEST(f.own.vectors_margin ==
                   t_975[parts - 1] * std::sqrt(degrees / static_cast<double>(parts) * squares),
               boost::test_tools::tolerance(1e-4));
}

BOOST_AUTO_TEST_CASE(a_cluster_of_one_is_a_functional_vector) {
    const tiny_model<> tiny("llama/hf");
    event_options options;
    options.window = 8;
    options.threshold = 0.2F;
    event_statistics found;
    read(tiny.model, tiny.ids, options, &found);
    const std::size_t width = tiny.model.config.inner_width;
    std::vector<cluster> alone(found.neurons.size());
    for (std::size_t i = 0; i < alone.size(); ++i) { alone[i].neurons = {{i / width, i % width}}; }
    const clusters of({.layers = found.layers, .inner_width = width}, alone);
    const functional_clusters f = find_functional(found, of, 0);
    const functional_vectors v = find_functional(found);
    BOOST_TEST(f.ranked.size() == v.any);
    BOOST_TEST(f.half == v.half);
    BOOST_TEST(f.half_vectors == v.half);
    BOOST_TEST(f.nine_tenths == v.nine_tenths);
    BOOST_TEST_REQUIRE(f.often == v.often.size());
    for (std::size_t i = 0; i < f.often; ++i) {
        BOOST_TEST(f.ranked[i].extremes() == v.often[i].extremes());
        BOOST_TEST(f.ranked[i].functional_members == 1U);
    }
    BOOST_TEST(f.by_layer == v.by_layer, boost::test_tools::per_element());
    BOOST_TEST(f.own.vectors == v.own.vectors);
    BOOST_TEST(f.own.vectors_margin == v.own.vectors_margin);
    BOOST_TEST(f.active.groups == v.active.groups);
    // Shuffled, a cluster of one still is one.
    BOOST_TEST(f.shuffled.groups == f.own.groups, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(functional_clusters_by_hand) {
    event_statistics found(2, 3);
    found.positions = 10'000;
    found.neurons[4] = {500, 400, 5, 30};  // 1:1
    found.neurons[0] = {90, 80, 6, 0};
    found.neurons[5] = {20, 10, 0, 0};
    const clusters of({.layers = 2, .inner_width = 3},
                      {{{{1, 1}, {0, 2}, {1, 2}}, 1.0, {}, {{{7, 1.0F}, {8, 0.5F}}, {}}},
                       {{{0, 0}}, 1.0, {}, {{{9, 1.0F}}, {}}},
                       {{{0, 1}}, 1.0, {}, {}}});
    const functional_clusters f = find_functional(found, of, 0);
    BOOST_TEST(f.clusters == 3U);
    BOOST_TEST(f.vectors == 5U);
    BOOST_TEST_REQUIRE(f.ranked.size() == 2U);
    BOOST_TEST(f.ranked[0].id == 0U);  // 35 of 3 members, before 6 of 1
    BOOST_TEST(f.ranked[0].promotes == 5U);
    BOOST_TEST(f.ranked[0].suppresses == 30U);
    BOOST_TEST(f.ranked[0].dominant == 520U);
    BOOST_TEST(f.ranked[0].in_extreme == 410U);
    BOOST_TEST(f.ranked[0].functional_members == 1U);
    BOOST_TEST(f.ranked[0].by_layer == (std::vector<std::size_t>{1, 2}),
               boost::test_tools::per_element());
    BOOST_TEST(f.often == 1U);
    BOOST_TEST(f.by_layer == (std::vector<std::size_t>{1, 2}), boost::test_tools::per_element());
    BOOST_TEST(f.half == 1U);
    BOOST_TEST(f.half_vectors == 3U);
    BOOST_TEST(f.nine_tenths == 2U);
    BOOST_TEST(f.nine_tenths_vectors == 4U);
    BOOST_TEST(f.own.groups == 1.0 / 3.0);
    BOOST_TEST(f.own.vectors == 0.5);
    BOOST_TEST(f.active.groups == 2.0 / 3.0);  // 410 and 80 of 10,000
    BOOST_TEST(std::isnan(f.own.groups_margin));
    // 0:0 and 1:1 may land together, apart, or alone: with 1:1 in the cluster of three it is
    // functional (35 of 3), alone too; with 0:0 it is not (6 of 3) unless 1:1 is there.
    BOOST_TEST(f.shuffled.groups > 0.0);
    BOOST_TEST(f.shuffled.groups <= 1.0 / 3.0 + 1e-12);
    BOOST_TEST(functional_rows(found, &of) ==
               "neuron,dominant,in_extreme,promotes,suppresses,cluster\n"
               "0:0,90,80,6,0,1\n1:1,500,400,5,30,0\n1:2,20,10,0,0,0\n");
    BOOST_TEST(functional_rows(found).starts_with(
        "neuron,dominant,in_extreme,promotes,suppresses\n0:0,90,80,6,0\n"));
    BOOST_TEST(functional_cluster_rows(f, of, [](token_id id) { return std::to_string(id); }) ==
               "cluster,size,layers,functional,functional_members,dominant,in_extreme,promotes,"
               "suppresses,concept\n0,3,0-1,1,1,520,410,5,30,\"7 8\"\n1,1,0,0,0,90,80,6,0,\"9\"\n");
    BOOST_TEST(error_message([&] { find_functional(event_statistics(2, 4), of, 0); }) ==
               "clusters: of 2 layers of 3 neurons, the events are of 2 layers of 4");
}
