// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE find_examples
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/core/parallel.hpp>
#include <xlens/io/load.hpp>
#include <xlens/trace/find_examples.hpp>

#include "support/check_examples.hpp"
#include "support/error_message.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

using namespace xlens;
using namespace xlens::test;
namespace data = boost::unit_test::data;

// Gemma 3's golden: tests/model/gemma3.cpp.

namespace {

model tiny(const std::string& name) { return load(golden_path(name)); }

/// Tokens that follow each other without an order, some of them often.
std::vector<token_id> some_text(std::size_t count) {
    std::vector<token_id> out;
    std::uint32_t x = 7;
    for (std::size_t i = 0; i < count; ++i) {
        x = x * 1664525U + 1013904223U;
        out.push_back(static_cast<token_id>(2 + (x >> 16U) % (i % 3 == 0 ? 5U : 60U)));
    }
    return out;
}

example_options small_windows(std::vector<token_id> prefix = {1}) {
    example_options out;
    out.keep = {4, 2, 3, 1, 0.25F};
    out.window = 21;
    out.prefix = std::move(prefix);
    out.pass = 8;
    return out;
}

/// Keeps every coefficient of a pass.
struct keep_all {
    static constexpr hook hooks = hook::coefficients;
    std::map<std::size_t, std::vector<std::vector<float>>> m;  // by layer and position
    void coefficients(const site& where, rows<float> x) {
        for (std::size_t t = 0; t < x.count(); ++t) {
            m[where.layer].emplace_back(x[t].begin(), x[t].end());
        }
    }
};

struct plain_hit {
    std::size_t row = 0;
    float m = 0.0F;
};

/// m of a neuron by row, window by window in one pass each.
std::map<neuron, std::vector<float>> plain_coefficients(const model& model,
                                                        std::span<const token_id> text,
                                                        const example_options& o) {
    std::map<neuron, std::vector<float>> out;
    const std::size_t room = o.window - o.prefix.size();
    for (std::size_t at = 0; at < text.size(); at += room) {
        std::vector<token_id> window = o.prefix;
        for (std::size_t i = at; i < std::min(at + room, text.size()); ++i) {
            window.push_back(text[i]);
        }
        keep_all kept;
        sequence_state state = model.start();
        model.forward(state, window, kept);
        for (const auto& layer : kept.m) {
            for (const auto& row : layer.second) {
                for (std::size_t i = 0; i < row.size(); ++i) {
                    out[{layer.first, i}].push_back(row[i]);
                }
            }
        }
    }
    return out;
}

std::vector<plain_hit> plain_hits(const std::vector<float>& m, const example_options& o,
                                  float sign) {
    std::vector<plain_hit> best;  // of each stretch
    for (std::size_t row = 0; row < m.size(); ++row) {
        const std::size_t position = row % o.window;
        if (position < o.keep.skipped || sign * m[row] <= 0.0F) { continue; }
        const auto same = [&](const plain_hit& h) {
            return h.row / o.window == row / o.window &&
                   h.row % o.window / o.keep.apart == position / o.keep.apart;
        };
        const auto found = std::ranges::find_if(best, same);
        if (found == best.end()) {
            best.push_back({row, m[row]});
        } else if (sign * m[row] > sign * found->m) {
            *found = {row, m[row]};
        }
    }
    std::ranges::stable_sort(best, [&](const plain_hit& a, const plain_hit& b) {
        return sign * a.m > sign * b.m || (a.m == b.m && a.row < b.row);
    });
    best.resize(std::min(best.size(), o.keep.top));
    return best;
}

void check_plain(const text_examples& run, const std::vector<neuron_example>& found,
                 const std::vector<float>& m, const example_options& o, float sign) {
    const std::vector<plain_hit> expected = plain_hits(m, o, sign);
    BOOST_TEST_REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        BOOST_TEST(found[i].row == expected[i].row);
        BOOST_TEST(found[i].coefficient == expected[i].m);
        const std::size_t begin =
            found[i].row - std::min(found[i].row % run.window, o.keep.context);
        const std::size_t end =
            std::min(found[i].row + o.keep.context + 1, run.window_end(found[i].row));
        const std::vector<float> around(m.begin() + static_cast<std::ptrdiff_t>(begin),
                                        m.begin() + static_cast<std::ptrdiff_t>(end));
        if (o.keep.context > 0) {
            BOOST_TEST(found[i].first == begin);
            BOOST_TEST(found[i].around == around, boost::test_tools::per_element());
        }
    }
}

coefficient_counts plain_counts(const std::vector<float>& m, const example_options& o) {
    coefficient_counts out;
    for (std::size_t row = 0; row < m.size(); ++row) {
        if (row % o.window < o.keep.skipped) { continue; }
        out.over += std::abs(m[row]) > o.keep.threshold ? 1 : 0;
        out.positive += m[row] > 0.0F ? 1 : 0;
        out.zero += m[row] == 0.0F ? 1 : 0;
        const double size = std::max(std::abs(double{m[row]}), 1e-30);  // 0 has no logarithm
        const int octave = std::clamp(static_cast<int>(std::floor(std::log2(size))) + 16, -1, 31);
        const int bin = octave < 0 ? 32 : m[row] > 0.0F ? 33 + octave : 31 - octave;
        ++out.histogram[static_cast<std::size_t>(bin)];
    }
    return out;
}

void check_all(const text_examples& run, const std::map<neuron, std::vector<float>>& plain,
               const example_options& o) {
    for (std::size_t n = 0; n < run.found.neurons().size(); ++n) {
        const std::vector<float>& m = plain.at(run.found.neurons()[n]);
        BOOST_TEST_REQUIRE(m.size() == run.tokens.size());
        const coefficient_counts found = run.found.counts(n);
        const coefficient_counts expected = plain_counts(m, o);
        BOOST_TEST(found.over == expected.over);
        BOOST_TEST(found.positive == expected.positive);
        BOOST_TEST(found.zero == expected.zero);
        BOOST_TEST(found.histogram == expected.histogram, boost::test_tools::per_element());
        check_plain(run, run.found.largest(n), m, o, 1.0F);
        check_plain(run, run.found.lowest(n), m, o, -1.0F);
    }
}

const std::vector<std::string> tiny_models = {"models/llama/hf", "models/gpt2/hf",
                                              "families/gpt2_relu/hf", "families/mixtral/hf",
                                              "families/gpt_oss/hf"};

}  // namespace

BOOST_DATA_TEST_CASE(examples_are_those_of_plain_loops, data::make(tiny_models), name) {
    const model m = tiny(name);
    const std::vector<token_id> text = some_text(130);
    for (const std::vector<token_id>& prefix : {std::vector<token_id>{}, {1}, {3, 1}}) {
        example_options o = small_windows(prefix);
        const auto plain = plain_coefficients(m, text, o);
        check_all(find_examples(m, text, all_neurons(m.sizes()), o), plain, o);
        o.keep.context = 0;
        o.keep.skipped = 0;
        o.keep.apart = 1;
        check_all(find_examples(m, text, {{1, 5}, {0, 3}, {0, 0}}, o), plain, o);
    }
}

BOOST_AUTO_TEST_CASE(of_experts_that_were_not_chosen_the_coefficient_is_zero) {
    const model m = tiny("families/mixtral/hf");
    const text_examples run =
        find_examples(m, some_text(130), all_neurons(m.sizes()), small_windows());
    std::size_t zeros = 0;
    for (std::size_t n = 0; n < run.found.neurons().size(); ++n) {
        zeros += run.found.counts(n).zero;
    }
    // 2 of 4 experts a position, which all have as many neurons.
    const double share = static_cast<double>(zeros) /
                         static_cast<double>(run.found.neurons().size() * run.found.positions());
    const double chosen =
        static_cast<double>(m.config.experts_used) / static_cast<double>(m.config.experts);
    BOOST_TEST(share == 1.0 - chosen, boost::test_tools::tolerance(1e-3));
}

BOOST_AUTO_TEST_CASE(rows_are_positions_of_the_text) {
    const model m = tiny("models/llama/hf");
    const std::vector<token_id> text = some_text(50);
    const text_examples run = find_examples(m, text, {{0, 0}}, small_windows({3, 1}));
    BOOST_TEST(run.tokens.size() == 50U + 3 * 2);
    BOOST_TEST(run.found.positions() == 50U + 3 * 2 - 3 * 1);
    std::size_t next = 0;
    for (std::size_t row = 0; row < run.tokens.size(); ++row) {
        const auto position = run.position(row);
        BOOST_TEST(position.has_value() == (row % 21 >= 2));
        if (!position) { continue; }
        BOOST_TEST(*position == next++);
        BOOST_TEST(run.tokens[row] == text[*position]);
    }
    BOOST_TEST(run.window_end(0) == 21U);
    BOOST_TEST(run.window_end(42) == 56U);
}

BOOST_AUTO_TEST_CASE(threads_and_passes_change_nothing) {
    const model m = tiny("models/llama/hf");
    const std::vector<token_id> text = some_text(400);
    example_options o = small_windows();
    o.window = 64;
    o.keep.context = 0;
    set_threads(1);
    o.pass = 64;
    const text_examples one = find_examples(m, text, all_neurons(m.sizes()), o);
    set_threads(3);
    o.pass = 7;
    const text_examples three = find_examples(m, text, all_neurons(m.sizes()), o);
    set_threads(2);
    for (std::size_t n = 0; n < one.found.neurons().size(); ++n) {
        BOOST_TEST(one.found.counts(n).histogram == three.found.counts(n).histogram);
        const auto a = one.found.largest(n);
        const auto b = three.found.largest(n);
        BOOST_TEST_REQUIRE(a.size() == b.size());
        for (std::size_t i = 0; i < a.size(); ++i) {
            BOOST_TEST(a[i].row == b[i].row);
            BOOST_TEST(a[i].coefficient == b[i].coefficient);
        }
    }
}

BOOST_AUTO_TEST_CASE(what_two_halves_find_adds_up_to_the_whole) {
    const model m = tiny("models/gpt2/hf");
    const std::vector<token_id> text = some_text(126);  // 6 windows
    const example_options o = small_windows({});
    const auto neurons = all_neurons(m.sizes());
    const text_examples whole = find_examples(m, text, neurons, o);
    const auto half = [&](std::size_t first) {
        coefficient_examples found(m.sizes(), neurons, o.keep);
        for (std::size_t row = first; row < first + 63; row += 21) {
            sequence_state state = m.start();
            found.begin_window(row, 21);
            m.forward(state, std::span(text).subspan(row, 21), found);
            found.end_window();
        }
        return found;
    };
    for (const bool turned : {false, true}) {
        coefficient_examples sum = half(turned ? 63 : 0);
        sum.merge(half(turned ? 0 : 63));
        BOOST_TEST(sum.positions() == whole.found.positions());
        for (std::size_t n = 0; n < neurons.size(); ++n) {
            BOOST_TEST(sum.counts(n).histogram == whole.found.counts(n).histogram);
            BOOST_TEST(sum.counts(n).over == whole.found.counts(n).over);
            const auto a = sum.lowest(n);
            const auto b = whole.found.lowest(n);
            BOOST_TEST_REQUIRE(a.size() == b.size());
            for (std::size_t i = 0; i < a.size(); ++i) {
                BOOST_TEST(a[i].row == b[i].row);
                BOOST_TEST(a[i].around == b[i].around);
            }
        }
    }
    coefficient_examples other(m.sizes(), {{0, 1}}, o.keep);
    BOOST_TEST(error_message([&] { other.merge(whole.found); }) ==
               "examples: merge: expected the same neurons and settings, got others");
}

BOOST_AUTO_TEST_CASE(of_equal_coefficients_the_first_is_kept) {
    coefficient_examples found({1, 4, 2, 8}, {{0, 1}}, {2, 0, 1, 0, 1.0F});
    found.begin_window(0, 5);
    xt::xtensor<float, 2> m = {
        {0.0F, 3.0F}, {0.0F, 5.0F}, {0.0F, 3.0F}, {0.0F, -1.0F}, {0.0F, 5.0F}};
    found.coefficients({}, m);
    const auto largest = found.largest(0);
    BOOST_TEST_REQUIRE(largest.size() == 2U);
    BOOST_TEST(largest[0].row == 1U);
    BOOST_TEST(largest[1].row == 4U);
    BOOST_TEST(found.lowest(0).size() == 1U);
    BOOST_TEST(found.counts(0).over == 4U);
    BOOST_TEST(found.counts(0).histogram[octaves::of(-1.0F)] == 1U);
}

BOOST_AUTO_TEST_CASE(octaves_are_powers_of_two) {
    BOOST_TEST(octaves::of(0.0F) == 32U);
    BOOST_TEST(octaves::of(-0.0F) == 32U);
    BOOST_TEST(octaves::of(1e-30F) == 32U);
    BOOST_TEST(octaves::of(0x1p-16F) == 33U);
    BOOST_TEST(octaves::of(1.0F) == 49U);
    BOOST_TEST(octaves::of(1.999F) == 49U);
    BOOST_TEST(octaves::of(-1.0F) == 15U);
    BOOST_TEST(octaves::of(1e30F) == 64U);
    BOOST_TEST(octaves::of(-1e30F) == 0U);
    for (const float x : {0x1p-16F, 0.3F, 1.0F, 7.0F, 4096.0F}) {
        for (const float sign : {1.0F, -1.0F}) {
            const std::size_t bin = octaves::of(sign * x);
            BOOST_TEST(octaves::least_magnitude(bin) <= double{x});
            BOOST_TEST(octaves::magnitude_bound(bin) > double{x});
        }
    }
    BOOST_TEST(octaves::least_magnitude(32) == 0.0);
    BOOST_TEST(octaves::magnitude_bound(32) == 0x1p-16);
    BOOST_TEST(std::isinf(octaves::magnitude_bound(64)));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_looked_for_is_refused) {
    const model m = tiny("models/llama/hf");
    const std::vector<token_id> text = some_text(30);
    const auto message = [&](std::vector<neuron> neurons, const example_options& o) {
        return error_message([&] { (void)find_examples(m, text, std::move(neurons), o); });
    };
    example_options o = small_windows();
    BOOST_TEST(message({}, o) == "examples: expected at least 1 neuron, got 0");
    BOOST_TEST(message({{0, 1}, {0, 1}}, o) == "examples: neuron 0:1: expected once, got twice");
    BOOST_TEST(message({{9, 1}}, o) == "neuron 9:1: layer 9, the model has layers 0 to 1");
    o.window = 65;
    BOOST_TEST(message({{0, 1}}, o) == "examples: window: expected 2 to 64, got 65");
    o.window = 1;
    BOOST_TEST(message({{0, 1}}, o) == "examples: window: expected 2 to 64, got 1");
    o = small_windows();
    o.keep.top = 0;
    BOOST_TEST(message({{0, 1}}, o) == "examples: top, apart: expected at least 1, got 0, 3");
    o = small_windows();
    BOOST_TEST(error_message([&] {
                   (void)find_examples(m, {}, {{0, 1}}, o);
               }) == "examples: expected a text of at least 1 token, got 0");
    const text_examples run = find_examples(m, text, {{0, 1}}, o);
    BOOST_TEST(error_message([&] {
                   (void)run.found.number_of({0, 2});
               }) == "examples: neuron 0:2 is none of the 1 that were looked at");
}

BOOST_AUTO_TEST_CASE(smollm2_fires_where_transformers_says) {
    check_examples(load(default_model()), "smollm2.json");
}
