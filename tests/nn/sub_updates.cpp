// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE sub_updates
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Warray-bounds"  // of xtensor's sort, without reason
#endif
#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#if __has_include(<xtensor/misc/xsort.hpp>)
#include <xtensor/misc/xsort.hpp>
#else
#include <xtensor/xsort.hpp>
#endif

#include <xlens/core/parallel.hpp>
#include <xlens/kernels/activation.hpp>
#include <xlens/nn/sub_updates.hpp>
#include <xlens/nn/unembedding.hpp>

#include "support/error_message.hpp"
#include "support/random_ffn.hpp"
#include "support/rows_of_floats.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>
#include <numeric>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {
std::size_t allocations = 0;
}
// Counts what is allocated, to see that a lazy expression allocates nothing.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    if (void* p = std::malloc(size)) { return p; }
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

constexpr std::size_t width = 256;
constexpr std::size_t inner = 512;

template <class Activation, class Gate, class Format, class Weights = matrix<Format>>
struct kind {
    using ffn = random_ffn<Activation, Gate, Format, Weights>;
};
using kinds = boost::mpl::list<kind<relu, ungated, f32>, kind<gelu_tanh, ungated, f32, any_matrix>,
                               kind<silu, gated, f32>, kind<silu, gated, q4_1>,
                               kind<silu, gated, q4_1, any_matrix>, kind<gelu, ungated, q8_0>,
                               kind<silu, gated, q6_k, any_matrix>, kind<silu, gated, bf16>>;

std::vector<float> input() { return random_row(width, 17, 0.2F); }

/// Row r of the expression by definition: m_i·V(d, i), from the layer's parts alone.
template <class Layer>
float by_definition(const Layer& layer, const std::vector<float>& x, std::size_t i, std::size_t d) {
    return layer.coefficients(std::span<const float>(x))(i) * layer.values()(d, i);
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(the_sum_is_the_layer_bit_for_bit, Kind, kinds) {
    for (const bool transposed : {false, true}) {
        const typename Kind::ffn ffn(width, inner, transposed);
        const auto x = input();
        for (const std::size_t threads : {1U, 2U}) {
            set_threads(threads);
            auto sum = ffn.layer.sub_updates(x).sum();
            const auto& bias = ffn.layer.output_bias();
            for (std::size_t d = 0; d < width; ++d) { sum(d) += bias(d); }
            const auto out = ffn.layer(std::span<const float>(x));
            BOOST_TEST(same_bits({sum.data(), width}, {out.data(), width}));
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(it_is_an_xtensor_expression, Kind, kinds) {
    const typename Kind::ffn ffn(width, inner);
    const auto x = input();
    const auto e = ffn.layer.sub_updates(x);
    static_assert(xt::is_xexpression<decltype(e)>::value);
    BOOST_TEST(e.dimension() == 2U);
    BOOST_TEST(e.shape(0) == inner);
    BOOST_TEST(e.shape(1) == width);

    const xt::xtensor<float, 2> all = e;
    for (const auto& [i, d] : {std::pair{0U, 0U}, {3U, 7U}, {511U, 255U}, {100U, 31U}}) {
        BOOST_TEST(e(i, d) == by_definition(ffn.layer, x, i, d));
        BOOST_TEST(all(i, d) == e(i, d));
    }
    const xt::xtensor<float, 1> row = xt::view(e, 5, xt::all());
    BOOST_TEST(same_bits({row.data(), width}, {&all(5, 0), width}));
    const xt::xtensor<float, 2> part = xt::view(e, xt::range(2, 6), xt::range(1, 200, 50));
    BOOST_TEST(part.shape(0) == 4U);
    BOOST_TEST(part(1, 2) == all(3, 101));

    const xt::xtensor<float, 1> summed = xt::sum(e, {0});
    const auto fast = e.sum();
    const float size = xt::amax(xt::abs(fast))();
    for (std::size_t d = 0; d < width; ++d) {
        BOOST_REQUIRE_SMALL(summed(d) - fast(d), 1e-4F * size);
    }

    const xt::xtensor<float, 2> doubled = 2.0F * e + all;
    BOOST_TEST(doubled(9, 9) == 2.0F * all(9, 9) + all(9, 9));
    xt::xarray<float> assigned;
    assigned = e;
    BOOST_TEST(assigned(511, 1) == all(511, 1));
    BOOST_TEST(std::equal(e.begin(), e.end(), all.begin()));
}

// Both ways of iterating, by rows and by columns, of the expression, of a selection, of one row and
// beside other expressions: what a tensor with the same elements gives.
BOOST_AUTO_TEST_CASE(it_is_iterated_both_ways) {
    // Compilers fuse a product and a sum here and not there.
    const auto near = [](float a, float b) {
        return std::abs(a - b) <= 1e-5F * (1.0F + std::abs(a));
    };
    const random_ffn<silu, gated, q8_0> ffn(width, inner);
    const auto x = input();
    const auto whole = ffn.layer.sub_updates(x);
    for (const auto& e : {whole, whole.dominant(7), whole.dominant(1)}) {
        const xt::xtensor<float, 2> all = e;
        const auto check = [&](const auto& lazy, const auto& stored) {
            BOOST_TEST(std::equal(lazy.begin(), lazy.end(), stored.begin(), near));
            BOOST_TEST(std::equal(lazy.rbegin(), lazy.rend(), stored.rbegin(), near));
            constexpr auto by_column = xt::layout_type::column_major;
            BOOST_TEST(std::equal(lazy.template begin<by_column>(), lazy.template end<by_column>(),
                                  stored.template begin<by_column>(), near));
            BOOST_TEST(std::equal(lazy.template rbegin<by_column>(),
                                  lazy.template rend<by_column>(),
                                  stored.template rbegin<by_column>(), near));
            BOOST_TEST(near(*std::prev(lazy.end()), *std::prev(stored.end())));
            const auto some = std::min<std::ptrdiff_t>(300, lazy.end() - lazy.begin() - 1);
            BOOST_TEST(near(*(lazy.begin() + some), *(stored.begin() + some)));
        };
        check(e, all);
        const xt::xtensor<float, 2> sums = e + 2.0F * all;
        check(e + 2.0F * all, sums);
        check(3.0F * all - e, xt::xtensor<float, 2>(3.0F * all - all));
        BOOST_TEST(e.back() == all.back());
        BOOST_TEST(e.flat(width - 1) == all(0, width - 1));
        BOOST_TEST(e.flat(all.size() - 1) == all.back());
        BOOST_TEST((xt::eval(e) == all));
        BOOST_TEST((xt::sort(e) == xt::sort(all)));
        BOOST_TEST((xt::sort(e, 0) == xt::sort(all, 0)));
        BOOST_TEST((xt::argsort(e, 0) == xt::argsort(all, 0)));
    }
    // One row is broadcast over five, and three dimensions.
    const auto one = whole.dominant(1);
    const xt::xtensor<float, 2> row = one;
    const xt::xtensor<float, 2> ones = xt::ones<float>({std::size_t{5}, width});
    const xt::xtensor<float, 2> lazy = one + ones;
    const xt::xtensor<float, 2> sums = xt::eval(row) + ones;
    BOOST_TEST(std::equal(lazy.begin(), lazy.end(), sums.begin(), near));
    const auto mixed = one + ones;
    BOOST_TEST(std::equal(mixed.rbegin(), mixed.rend(), lazy.rbegin(), near));
    const xt::xtensor<float, 3> deep = xt::ones<float>({std::size_t{3}, std::size_t{5}, width});
    const xt::xtensor<float, 3> three = whole.dominant(5) * deep;
    BOOST_TEST(three(2, 4, 9) == whole.dominant(5)(4, 9));
    const auto product = whole.dominant(5) * deep;
    BOOST_TEST(std::equal(product.rbegin(), product.rend(), three.rbegin(), near));
}

BOOST_AUTO_TEST_CASE(what_is_not_there_is_refused) {
    const random_ffn<relu, ungated, f32> ffn(width, inner);
    const auto x = input();
    const auto e = ffn.layer.sub_updates(x);
    const auto ten = e.dominant(10);
    BOOST_TEST(error_message([&] { (void)ten(10, 0); }) == "sub_updates: row 10 of 10");
    BOOST_TEST(error_message([&] { (void)ten(0, width); }) == "sub_updates: column 256 of 256");
    BOOST_TEST(error_message([&] { (void)ten.flat(10 * width); }) == "sub_updates: row 10 of 10");
    BOOST_TEST(error_message([&] { (void)e.coefficient(5000); }) == "sub_updates: row 5000 of 512");
    BOOST_TEST(error_message([&] { (void)ten.neuron(10); }) == "sub_updates: row 10 of 10");
    BOOST_TEST(error_message([&] { (void)ten.dominance(10); }) == "sub_updates: row 10 of 10");
    const auto none = e.where([](std::size_t, float) { return false; });
    BOOST_TEST(error_message([&] { (void)none(0, 0); }) == "sub_updates: row 0 of 0");
    BOOST_TEST((none.begin() == none.end()));
}

BOOST_AUTO_TEST_CASE(nothing_is_computed_or_allocated_before_it_is_asked_for) {
    random_ffn<silu, gated, q4_1> ffn(width, inner);
    auto x = input();
    const std::size_t before = allocations;
    const auto e = ffn.layer.sub_updates(x);
    BOOST_TEST(e.shape(0) == inner);
    BOOST_TEST(allocations == before);
    // The input is read when the expression is: a change in between counts.
    std::fill(x.begin(), x.end(), 0.0F);
    BOOST_TEST(e(0, 0) == by_definition(ffn.layer, x, 0, 0));
}

BOOST_AUTO_TEST_CASE(dominant_and_top_order_the_rows) {
    const random_ffn<silu, gated, q8_0> ffn(width, inner);
    const auto x = input();
    const auto e = ffn.layer.sub_updates(x);
    const auto m = ffn.layer.coefficients(std::span<const float>(x));
    std::vector<double> dominance(inner);
    std::vector<float> value(width);
    for (std::size_t i = 0; i < inner; ++i) {
        ffn.layer.value(i, value);
        const double norm =
            std::sqrt(std::inner_product(value.begin(), value.end(), value.begin(), 0.0));
        dominance[i] = double{m(i)} * norm;
        BOOST_REQUIRE_CLOSE(double{e.dominance(i)}, std::abs(dominance[i]), 1e-3);
    }
    const auto check = [&](const auto& rows, auto key) {
        std::vector<std::size_t> order(inner);
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::stable_sort(order.begin(), order.end(),
                         [&](std::size_t a, std::size_t b) { return key(a) > key(b); });
        for (std::size_t r = 0; r < 20; ++r) {
            BOOST_TEST(rows.neuron(r) == order[r]);
            BOOST_TEST(rows.coefficient(r) == m(order[r]));
        }
    };
    const auto dominant = e.dominant(20);
    BOOST_TEST(dominant.shape(0) == 20U);
    check(dominant, [&](std::size_t i) { return std::abs(dominance[i]); });
    check(e.top(20), [&](std::size_t i) { return dominance[i]; });
    BOOST_TEST(e.top(inner + 5).shape(0) == inner);
    const xt::xtensor<float, 2> rows = dominant;
    BOOST_TEST(rows(0, 3) == e(dominant.neuron(0), 3));
}

BOOST_AUTO_TEST_CASE(selections_and_edits_combine_in_their_order) {
    const random_ffn<relu, ungated, f32> ffn(width, inner);
    const auto x = input();
    const auto e = ffn.layer.sub_updates(x);
    const std::size_t first = e.dominant(1).neuron(0);
    BOOST_TEST(e.set(first, 0.0F).dominant(1).neuron(0) != first);
    BOOST_TEST(e.scale(first, 0.0F).coefficient(first) == 0.0F);
    BOOST_TEST(e.scale(first, 2.0F).coefficient(first) == 2.0F * e.coefficient(first));
    BOOST_TEST(e.set(first, 3.0F).scale(first, 2.0F).coefficient(first) == 6.0F);
    BOOST_TEST(e.scale(first, 2.0F).set(first, 3.0F).coefficient(first) == 3.0F);
    BOOST_TEST(e.set(4, -1.5F)(4, 9) == -1.5F * ffn.layer.values()(9, 4));

    const auto positive = e.where([](std::size_t, float m) { return m > 0.0F; });
    const auto rest = e.where([](std::size_t, float m) { return !(m > 0.0F); });
    BOOST_TEST(positive.shape(0) + rest.shape(0) == inner);
    // ReLU: what is not positive adds nothing, and leaving zeros out leaves the bits alone.
    const auto all = e.sum();
    const auto active = positive.sum();
    BOOST_TEST(same_bits({all.data(), width}, {active.data(), width}));

    const auto fewer = e.without({3, 1, 511});
    BOOST_TEST(fewer.shape(0) == inner - 3);
    BOOST_TEST(fewer.neuron(1) == 2U);
    const auto zeroed = e.set(3, 0.0F).set(1, 0.0F).set(511, 0.0F).sum();
    const auto left = fewer.sum();
    BOOST_TEST(same_bits({zeroed.data(), width}, {left.data(), width}));
    BOOST_TEST(e.coefficient(3) == ffn.layer.coefficients(std::span<const float>(x))(3));
}

BOOST_AUTO_TEST_CASE(a_selection_is_edited_and_cut_by_neuron_not_by_row) {
    const random_ffn<silu, gated, f32> ffn(width, inner);
    const auto x = input();
    const auto e = ffn.layer.sub_updates(x);
    const auto five = e.dominant(5);
    const std::size_t i = five.neuron(3);
    BOOST_TEST_REQUIRE(i >= 5U);  // no row number

    const auto edited = five.set(i, 2.5F);
    BOOST_TEST(edited.shape(0) == 5U);
    for (std::size_t r = 0; r < 5; ++r) {
        BOOST_TEST(edited.coefficient(r) == (r == 3 ? 2.5F : five.coefficient(r)));
    }
    const auto four = five.without({i});
    BOOST_TEST_REQUIRE(four.shape(0) == 4U);
    BOOST_TEST(four.neuron(3) == five.neuron(4));
    const auto one = five.where([i](std::size_t n, float) { return n == i; });
    BOOST_TEST_REQUIRE(one.shape(0) == 1U);
    BOOST_TEST(one.coefficient(0) == five.coefficient(3));

    // An edit of a neuron that was left out changes nothing.
    const auto before = four.sum();
    const auto after = four.set(i, 100.0F).sum();
    BOOST_TEST(same_bits({before.data(), width}, {after.data(), width}));
}

BOOST_AUTO_TEST_CASE(a_neuron_that_does_not_exist_is_named) {
    const random_ffn<relu, ungated, f32> ffn(width, inner);
    const auto x = input();
    const auto e = ffn.layer.sub_updates(x);
    const std::string expected = "sub_updates: neuron 512 of a layer with 512";
    BOOST_TEST(error_message([&] { (void)e.set(inner, 1.0F); }) == expected);
    BOOST_TEST(error_message([&] { (void)e.scale(inner, 1.0F); }) == expected);
    BOOST_TEST(error_message([&] { (void)e.without({inner}); }) == expected);
    std::vector<float> v(width);
    BOOST_TEST(error_message([&] { ffn.layer.value(inner, v); }) ==
               "value: neuron 512 of a layer with 512");
    v.resize(width - 1);
    BOOST_TEST(error_message([&] { ffn.layer.value(0, v); }) ==
               "value: 255 numbers for a width of 256");
}

BOOST_AUTO_TEST_CASE(a_token_or_an_unembedding_of_another_model_is_named) {
    const random_ffn<relu, ungated, f32> ffn(width, inner);
    const auto x = input();
    const auto e = ffn.layer.sub_updates(x);
    const auto table = random_row(3 * width, 23);
    unembedding<matrix<f32>> tokens;
    tokens.sections.push_back({0, matrix_of(table, 3, width), {}});
    BOOST_TEST(error_message([&] { (void)e.promote(tokens, 3); }) ==
               "unembedding: token 3: expected 0 to 2");
    BOOST_TEST(error_message([&] { (void)e.promote(tokens, -1); }) ==
               "unembedding: token -1: expected 0 to 2");
    unembedding<matrix<f32>> narrow;
    narrow.sections.push_back({0, matrix_of(table, 6, width / 2), {}});
    BOOST_TEST(error_message([&] { (void)e.promote(narrow, 0); }) ==
               "unembedding: a direction of 256 numbers, the model's width is 128");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(promotion_of_a_token_adds_up_to_its_change_in_logit, Kind, kinds) {
    const typename Kind::ffn ffn(width, inner);
    const auto x = input();
    const auto table = random_row(3 * width, 23);
    unembedding<matrix<f32>> tokens;
    tokens.sections.push_back({0, matrix_of(table, 3, width), {}});
    const auto e = ffn.layer.sub_updates(x);
    const auto scores = e.promote(tokens, 2);
    const xt::xtensor<float, 2> all = e;
    double size = 0.0;
    for (const std::size_t i : {0U, 5U, 511U}) {
        double expected = 0.0;
        for (std::size_t d = 0; d < width; ++d) {
            expected += double{all(i, d)} * double{table[2 * width + d]};
            size = std::max(size, std::abs(double{all(i, d)}) * 4.0);
        }
        BOOST_TEST(std::abs(double{scores(i)} - expected) <= 1e-5 * size * width);
    }
    const auto two = e.dominant(2).promote(tokens, 2);
    BOOST_TEST(two.size() == 2U);
    BOOST_TEST(two(0) == scores(e.dominant(2).neuron(0)));
}

BOOST_AUTO_TEST_CASE(weights_that_are_no_numbers_stay_where_they_are) {
    std::vector<float> up(inner * width, 0.01F);
    std::vector<float> values(width * inner, 0.5F);
    values[7] = NAN;  // value vector 7, dimension 0
    feed_forward<relu, ungated, matrix<f32>> layer(
        linear<matrix<f32>>{matrix_of(up, inner, width), {}},
        linear<matrix<f32>>{matrix_of(values, width, inner), {}});
    const std::vector<float> x(width, 1.0F);
    const auto e = layer.sub_updates(x);
    BOOST_TEST(std::isnan(e.sum()(0)));
    BOOST_TEST(std::isfinite(e.sum()(1)));
    // All others are equal, and stand in the order of their neurons.
    for (const auto& ranked : {e.dominant(inner), e.top(inner)}) {
        BOOST_TEST(ranked.neuron(0) == 0U);
        BOOST_TEST(ranked.neuron(6) == 6U);
        BOOST_TEST(ranked.neuron(7) == 8U);
        BOOST_TEST(ranked.neuron(inner - 2) == inner - 1);
        BOOST_TEST(ranked.neuron(inner - 1) == 7U);
    }
}
