// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE early_exit_rules
#include <boost/test/unit_test.hpp>

#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/kernels/top_k.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"
#include "support/temporary_directory.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::early_exit;
using namespace xlens::test;

namespace {

constexpr std::size_t width = 6;
constexpr std::size_t layers = 4;
constexpr exit_sizes sizes{layers, width, 3, 50};

/// A lens whose vocabulary are the elements of the residual themselves.
std::vector<reading> read_elements(rows<const float> x, std::size_t k) {
    std::vector<reading> out(x.count());
    for (std::size_t t = 0; t < x.count(); ++t) {
        top_k best(k);
        best.offer_range(0, x[t]);
        out[t].top = best.sorted();
        double sum = 0.0;
        for (const float v : x[t]) { sum += std::exp(double{v}); }
        out[t].log_normaliser = static_cast<float>(std::log(sum));
    }
    return out;
}
lens_reader plain() { return {read_elements, {}}; }

xt::xtensor<float, 2> filled(std::size_t count, std::size_t columns, unsigned seed) {
    const std::vector<float> values = random_row(count * columns, seed);
    xt::xtensor<float, 2> out = xt::empty<float>({count, columns});
    std::copy(values.begin(), values.end(), out.begin());
    return out;
}

template <class Rule>
std::vector<float> scores(Rule& rule, std::size_t layer, const xt::xtensor<float, 2>& x) {
    std::vector<float> out(x.shape(0));
    rule.score({layer, x, {}, {}}, out);
    return out;
}

std::vector<double> softmax(std::span<const float> x) {
    double sum = 0.0;
    for (const float v : x) { sum += std::exp(double{v}); }
    std::vector<double> out;
    for (const float v : x) { out.push_back(std::exp(double{v}) / sum); }
    return out;
}

logistic random_logistic(std::size_t features, unsigned seed) {
    return {random_row(features, seed), 0.25F};
}

exit_gate small_gate() {
    linear_lens lens;
    lens.set(1, {filled(width, width, 3), xt::ones<float>({width})});
    exit_gate out(lens, {7, 3, 9, 1, 30}, filled(5, width, 4), layers);
    out.set(1, {random_logistic(width, 5), -1.0F, random_logistic(exit_gate::features, 6)});
    return out;
}

std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(confidence_and_margin_are_those_of_the_softmax) {
    const auto x = filled(3, width, 1);
    confidence sure(plain(), {0, 2});
    margin ahead(plain(), {0, 2});
    const auto p = scores(sure, 2, x);
    const auto lead = scores(ahead, 2, x);
    for (std::size_t t = 0; t < 3; ++t) {
        std::vector<double> expected = softmax(rows<const float>(x)[t]);
        std::sort(expected.rbegin(), expected.rend());
        BOOST_TEST(std::abs(p[t] - expected[0]) < 1e-6);
        BOOST_TEST(std::abs(lead[t] - (expected[0] - expected[1])) < 1e-6);
    }
    BOOST_TEST(scores(sure, 1, x)[0] == never_exits);
    BOOST_TEST(scores(ahead, 1, x)[0] == never_exits);
}

BOOST_AUTO_TEST_CASE(stable_counts_layers_without_a_change) {
    stable rule(plain(), {0, 1, 2, 3});
    xt::xtensor<float, 2> x = xt::zeros<float>({std::size_t{1}, width});
    rule.begin(1);
    const std::vector<std::size_t> tops{4, 4, 2, 2};
    const std::vector<float> expected{1.0F, 2.0F, 1.0F, 2.0F};
    for (std::size_t l = 0; l < tops.size(); ++l) {
        x.fill(0.0F);
        x(0, tops[l]) = 1.0F;
        BOOST_TEST(scores(rule, l, x)[0] == expected[l]);
    }
    rule.begin(1);
    BOOST_TEST(scores(rule, 3, x)[0] == 1.0F);
}

BOOST_AUTO_TEST_CASE(similarity_is_the_cosine_of_successive_residuals) {
    similarity rule(plain(), {1, 2});
    const auto a = filled(2, width, 1);
    const auto b = filled(2, width, 2);
    rule.begin(2);
    BOOST_TEST(scores(rule, 0, a)[0] == never_exits);
    const auto found = scores(rule, 1, b);
    for (std::size_t t = 0; t < 2; ++t) {
        double dot = 0.0;
        double aa = 0.0;
        double bb = 0.0;
        for (std::size_t d = 0; d < width; ++d) {
            dot += double{a(t, d)} * b(t, d);
            aa += double{a(t, d)} * a(t, d);
            bb += double{b(t, d)} * b(t, d);
        }
        BOOST_TEST(std::abs(found[t] - dot / std::sqrt(aa * bb)) < 1e-6);
    }
    rule.begin(2);  // forgets the last pass
    BOOST_TEST(scores(rule, 1, b)[0] == never_exits);
}

BOOST_AUTO_TEST_CASE(oracle_leaves_where_the_answer_stands) {
    oracle rule(plain(), {0});
    xt::xtensor<float, 2> x = xt::zeros<float>({std::size_t{2}, width});
    x(0, 3) = x(1, 3) = 1.0F;
    rule.tell({3, 4});
    const auto found = scores(rule, 0, x);
    BOOST_TEST(found[0] == 1.0F);
    BOOST_TEST(found[1] == 0.0F);
}

BOOST_AUTO_TEST_CASE(a_lens_translates_before_it_is_read) {
    linear_lens lens;
    translator t{xt::zeros<float>({width, width}), xt::zeros<float>({width})};
    t.bias(5) = 7.0F;
    lens.set(2, t);
    confidence rule(lens_reader(read_elements, lens), {1, 2});
    const auto x = filled(1, width, 1);
    const double sure = std::exp(7.0) / (std::exp(7.0) + 5.0);
    BOOST_TEST(std::abs(scores(rule, 2, x)[0] - sure) < 1e-6);
    BOOST_TEST(std::abs(scores(rule, 1, x)[0] - sure) > 1e-3);
    xt::xtensor<float, 2> y = x;
    rule.translate(2, y);
    BOOST_TEST(y(0, 5) == 7.0F);
}

// Both steps of the gate, in plain loops.
BOOST_AUTO_TEST_CASE(gate_asks_twice) {
    exit_gate rule = small_gate();
    const auto x = filled(40, width, 9);
    const auto found = scores(rule, 1, x);
    const auto weights = filled(width, width, 3);
    const auto shortlist = filled(5, width, 4);
    const logistic first = random_logistic(width, 5);
    const logistic second = random_logistic(exit_gate::features, 6);
    const auto unit = [](std::vector<double> v) {
        double squares = 0.0;
        for (const double e : v) { squares += e * e; }
        for (double& e : v) { e /= std::sqrt(squares / static_cast<double>(v.size()) + 1e-5); }
        return v;
    };
    std::size_t asked = 0;
    for (std::size_t n = 0; n < 40; ++n) {
        std::vector<double> in;
        for (std::size_t d = 0; d < width; ++d) { in.push_back(x(n, d)); }
        in = unit(in);
        double g = first.constant;
        for (std::size_t d = 0; d < width; ++d) { g += first.weights[d] * in[d]; }
        if (std::abs(g + 1.0) < 1e-4) { continue; }
        if (g < -1.0) {
            BOOST_TEST(found[n] == never_exits);
            BOOST_TEST(!rule.answer(n).has_value());
            continue;
        }
        ++asked;
        std::vector<double> y(width, 1.0);
        for (std::size_t d = 0; d < width; ++d) {
            for (std::size_t i = 0; i < width; ++i) { y[d] += weights(d, i) * in[i]; }
        }
        y = unit(y);
        std::vector<double> z(5, 0.0);
        const token_id tokens[] = {7, 3, 9, 1, 30};
        double sum = 0.0;
        for (std::size_t s = 0; s < 5; ++s) {
            for (std::size_t d = 0; d < width; ++d) { z[s] += shortlist(s, d) * y[d]; }
            sum += std::exp(z[s]);
        }
        const auto best = std::max_element(z.begin(), z.end()) - z.begin();
        const auto answer = rule.answer(n);
        BOOST_REQUIRE(answer.has_value());
        BOOST_TEST(answer->id == tokens[best]);
        std::sort(z.rbegin(), z.rend());
        const double inside = std::exp(z[0]) / sum;
        BOOST_TEST(std::abs(answer->probability - inside) < 1e-5);
        const double seen[] = {g, z[0], z[0] - z[1], std::log((1.0 - inside) / inside)};
        double odds = second.constant;
        for (std::size_t i = 0; i < 4; ++i) { odds += second.weights[i] * seen[i]; }
        const double p = 1.0 / (1.0 + std::exp(-odds));
        BOOST_TEST(std::abs(found[n] - (1.0 - (1.0 - p) / 2.0)) < 1e-4);
    }
    BOOST_TEST(asked > 5U);
    BOOST_TEST(asked < 35U);
    BOOST_TEST(scores(rule, 2, x)[0] == never_exits);
    BOOST_TEST(!rule.answer(0).has_value());
    BOOST_TEST(!rule.answer(40).has_value());
}

// The decision of a lens rule has read the vocabulary: the token needs no second reading.
BOOST_AUTO_TEST_CASE(lens_rules_name_the_top_token) {
    const auto x = filled(3, width, 1);
    confidence sure(plain(), {2});
    margin ahead(plain(), {2});
    stable calm(plain(), {2});
    calm.begin(3);
    scores(sure, 2, x);
    scores(ahead, 2, x);
    scores(calm, 2, x);
    for (std::size_t t = 0; t < 3; ++t) {
        const std::vector<double> p = softmax(rows<const float>(x)[t]);
        const auto best = std::max_element(p.begin(), p.end()) - p.begin();
        const any_rule held(sure);
        for (const auto& answer :
             {sure.answer(t), ahead.answer(t), calm.answer(t), held.answer(t)}) {
            BOOST_REQUIRE(answer.has_value());
            BOOST_TEST(answer->id == best);
            BOOST_TEST(std::abs(answer->probability - p[static_cast<std::size_t>(best)]) < 1e-6);
        }
    }
    similarity alike(plain(), {2});
    scores(alike, 1, x);
    scores(alike, 2, x);
    BOOST_TEST(!alike.answer(0).has_value());
    BOOST_TEST(!any_rule(classifier(classifier_input::residual)).answer(0).has_value());
}

BOOST_AUTO_TEST_CASE(a_saved_rule_decides_the_same) {
    const temporary_directory folder;
    const auto path = folder.path() / "rule";
    save({any_rule(small_gate()), 0.75F, 0.9, 11}, path, 42);
    fitted_exit found = load(path, 42, sizes, read_elements);
    BOOST_TEST(found.threshold == 0.75F);
    BOOST_TEST(found.agreement == 0.9);
    BOOST_TEST(found.fitted_on == 11U);
    BOOST_TEST(found.rule.word() == "gate");
    exit_gate original = small_gate();
    const auto x = filled(20, width, 9);
    BOOST_TEST(same_bits(scores(found.rule, 1, x), scores(original, 1, x)));
    for (std::size_t t = 0; t < 20; ++t) {
        const auto answer = found.rule.answer(t);
        BOOST_TEST(answer.has_value() == original.answer(t).has_value());
        if (answer) { BOOST_TEST(answer->id == original.answer(t)->id); }
    }

    classifier both(classifier_input::both);
    both.set(2, random_logistic(2 * width, 7));
    save({any_rule(both), 0.5F, 0.9, 0}, path, 42);
    const auto update = filled(20, width, 10);
    std::vector<float> expected(20);
    std::vector<float> loaded(20);
    both.score({2, x, {}, update}, expected);
    fitted_exit again = load(path, 42, sizes, read_elements);
    again.rule.score({2, x, {}, update}, loaded);
    BOOST_TEST(same_bits(loaded, expected));

    cluster_match paper({{1, 2, 3}, {4, 5, 6}, {1, 1, 1}, {2, 2, 2}},
                        std::vector(layers, std::vector<float>(3, 1.0F)));
    cluster_ids ids{};
    paper.add(1, ids);
    save({any_rule(paper), 1.0F, 0.9, 0}, path, 42);
    fitted_exit third = load(path, 42, sizes, read_elements);
    BOOST_TEST(std::get<cluster_match>(third.rule.get()).decide(1, ids));
    BOOST_TEST(!std::get<cluster_match>(third.rule.get()).decide(0, ids));

    linear_lens lens;
    lens.set(2, {filled(width, width, 3), xt::ones<float>({width})});
    confidence sure(lens_reader(read_elements, lens), {2});
    save({any_rule(sure), 0.9F, 0.9, 0}, path, 42);
    fitted_exit fourth = load(path, 42, sizes, read_elements);
    BOOST_TEST(same_bits(scores(fourth.rule, 2, x), scores(sure, 2, x)));
}

BOOST_AUTO_TEST_CASE(other_files_are_refused) {
    const temporary_directory folder;
    const auto path = folder.path() / "rule";
    save({any_rule(small_gate()), 0.75F, 0.9, 11}, path, 42);
    const auto message = [&](std::uint64_t model, const exit_sizes& s) {
        return test::error_message([&] { load(path, model, s, read_elements); });
    };
    const std::string name = path.string();
    BOOST_TEST(message(43, sizes) == name +
                                         ": exit rule: fitted to model 000000000000002a, this "
                                         "one is 000000000000002b");
    BOOST_TEST(message(42, {layers, width + 1, 3, 50}) ==
               name + ": exit rule: lens weights: expected 49 numbers, got 36");
    BOOST_TEST(message(42, {layers, width, 3, 30}) ==
               name + ": exit rule: token 30: expected 0 to 29");
    const std::string whole = bytes_of(path);
    std::string bytes = whole;
    bytes[8] = 9;
    folder.write("rule", bytes);
    BOOST_TEST(message(42, sizes) == name + ": exit rule: expected version 3, got 9");
    bytes[0] = 'y';
    folder.write("rule", bytes);
    BOOST_TEST(message(42, sizes) == name + ": not a fitted exit rule of xlens");
    folder.write("rule", whole + "x");
    BOOST_TEST(message(42, sizes) == name + ": exit rule: expected " +
                                         std::to_string(whole.size()) + " bytes, got " +
                                         std::to_string(whole.size() + 1));
    for (std::size_t length = 0; length < whole.size(); ++length) {
        folder.write("rule", whole.substr(0, length));
        BOOST_TEST(message(42, sizes).starts_with(name + ": "), length);
    }
}
