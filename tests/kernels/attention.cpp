// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE attention
#include <boost/test/unit_test.hpp>

#include <xlens/core/parallel.hpp>
#include <xlens/kernels/attention.hpp>
#include <xlens/reference/attention.hpp>
#include <xlens/storage/cache_rows.hpp>

#include "support/golden_bytes.hpp"
#include "support/rows_of_floats.hpp"

#include <cmath>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

struct inputs {
    inputs(const kernels::attention_shape& s, std::size_t first, std::size_t count)
        : queries(random_row(count * s.heads * s.head_size, 1)),
          keys(random_row((first + count) * s.kv_heads * s.head_size, 2)),
          values(random_row((first + count) * s.kv_heads * s.head_size, 3)),
          shape(s),
          first_position(first),
          positions(count) {}

    template <class Attention>
    std::vector<float> run(Attention attend) const {
        const std::size_t q = shape.heads * shape.head_size;
        const std::size_t kv = shape.kv_heads * shape.head_size;
        std::vector<float> out(positions * q, NAN);
        attend(shape, rows<const float>(queries.data(), positions, q),
               rows<const float>(keys.data(), first_position + positions, kv),
               rows<const float>(values.data(), first_position + positions, kv), first_position,
               rows<float>(out.data(), positions, q));
        return out;
    }

    std::vector<float> queries;
    std::vector<float> keys;
    std::vector<float> values;
    kernels::attention_shape shape;
    std::size_t first_position;
    std::size_t positions;
};

constexpr auto fast = [](auto&&... args) { kernels::attention(args...); };
constexpr auto slow = [](auto&&... args) { reference::attention(args...); };

/// In two steps, between which edit(pattern) may change the weights.
template <class Edit>
auto in_steps(Edit edit) {
    return [edit](const kernels::attention_shape& shape, rows<const float> queries,
                  rows<const float> keys, rows<const float> values, std::size_t first,
                  rows<float> out) {
        const std::size_t width = shape.heads * (first + queries.count());
        std::vector<float> weights(queries.count() * width, NAN);
        const rows<float> pattern(weights.data(), queries.count(), width);
        kernels::attention_pattern(shape, queries, keys, first, pattern);
        edit(pattern);
        kernels::attention_of_pattern(shape, pattern, values, first, out);
    };
}
constexpr auto no_edit = [](rows<float>) {};

const std::vector<std::pair<std::size_t, std::size_t>> runs = {{0, 1},   {0, 9},   {13, 1}, {7, 5},
                                                               {40, 70}, {500, 1}, {150, 3}};

/// Everything at once: grouped heads, a window, a cap, slopes and sinks.
kernels::attention_shape shape_of_all(std::size_t window) {
    return {6,
            2,
            16,
            window,
            0.7F,
            1.5F,
            {0.5F, 0.25F, 0.125F, 0.06F, 1.0F, 0.01F},
            {0.5F, -2.0F, 3.0F, 0.0F, 1.0F, -9.0F}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(equals_the_reference_for_all_shapes) {
    for (const std::size_t head_size : {1U, 3U, 8U, 16U, 17U, 64U}) {
        for (const auto& [heads, kv_heads] : {std::pair{1U, 1U}, {4U, 4U}, {6U, 2U}, {4U, 1U}}) {
            for (const std::size_t window : {0U, 1U, 4U, 100U}) {
                for (const auto& [first, count] :
                     {std::pair{0U, 1U}, {0U, 9U}, {13U, 1U}, {7U, 5U}, {500U, 1U}, {150U, 3U}}) {
                    const kernels::attention_shape shape{heads, kv_heads, head_size, window, 0.3F};
                    const inputs in(shape, first, count);
                    const auto found = in.run(fast);
                    const auto expected = in.run(slow);
                    for (std::size_t i = 0; i < found.size(); ++i) {
                        BOOST_REQUIRE_SMALL(found[i] - expected[i], 4e-6F);
                    }
                }
            }
        }
    }
}

// Gemma 2's cap, ALiBi's slopes, gpt-oss's sinks; each alone and all together, long and short, for
// one query and for several.
BOOST_AUTO_TEST_CASE(caps_slopes_and_sinks_equal_the_reference) {
    for (const int which : {1, 2, 4, 7}) {
        for (const std::size_t window : {0U, 4U}) {
            for (const auto& [first, count] :
                 {std::pair{0U, 9U}, {13U, 1U}, {500U, 1U}, {70U, 3U}}) {
                kernels::attention_shape shape{6, 2, 16, window, 0.7F};
                if ((which & 1) != 0) { shape.cap = 1.5F; }
                if ((which & 2) != 0) { shape.slopes = {0.5F, 0.25F, 0.125F, 0.06F, 1.0F, 0.01F}; }
                if ((which & 4) != 0) { shape.sinks = {0.5F, -2.0F, 3.0F, 0.0F, 1.0F, -9.0F}; }
                const inputs in(shape, first, count);
                const auto found = in.run(fast);
                const auto expected = in.run(slow);
                for (std::size_t i = 0; i < found.size(); ++i) {
                    BOOST_REQUIRE_SMALL(found[i] - expected[i], 4e-6F);
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_a_bit) {
    const inputs in({9, 3, 64, 0, 0.125F}, 20, 30);
    set_threads(1);
    const auto one = in.run(fast);
    set_threads(2);
    BOOST_TEST(same_bits(one, in.run(fast)));
}

// One query's keys are shared out over the threads once they are many, and its heads read together.
BOOST_AUTO_TEST_CASE(a_position_alone_has_the_bits_that_it_has_in_a_batch) {
    for (const std::size_t before : {3U, 60U, 700U}) {
        for (const std::size_t window : {0U, 50U, 500U}) {
            constexpr std::size_t count = 5;
            const inputs all({9, 3, 64, window, 0.125F}, before, count);
            const auto expected = all.run(fast);
            const std::size_t width = expected.size() / count;
            for (std::size_t t = 0; t < count; ++t) {
                inputs one = all;
                one.first_position = before + t;
                one.positions = 1;
                one.queries.erase(one.queries.begin(),
                                  one.queries.begin() + static_cast<std::ptrdiff_t>(t * width));
                const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(t * width);
                const std::vector<float> of_batch(begin,
                                                  begin + static_cast<std::ptrdiff_t>(width));
                for (const std::size_t threads : {1U, 2U}) {
                    set_threads(threads);
                    BOOST_TEST(same_bits(of_batch, one.run(fast)));
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(the_two_steps_have_the_bits_of_the_one) {
    for (const std::size_t window : {0U, 1U, 4U, 100U}) {
        for (const auto& [first, count] : runs) {
            for (const kernels::attention_shape& shape :
                 {kernels::attention_shape{6, 2, 17, window, 0.3F}, shape_of_all(window)}) {
                const inputs in(shape, first, count);
                for (const std::size_t threads : {1U, 2U}) {
                    set_threads(threads);
                    BOOST_TEST(same_bits(in.run(fast), in.run(in_steps(no_edit))));
                }
            }
        }
    }
}

// With the unit vectors as values a head's output is its weights.
BOOST_AUTO_TEST_CASE(the_pattern_is_the_weights_of_the_reference) {
    for (const std::size_t window : {0U, 3U}) {
        kernels::attention_shape shape = shape_of_all(window);
        constexpr std::size_t first = 4;
        constexpr std::size_t count = 9;
        constexpr std::size_t all = first + count;
        inputs in(shape, first, count);
        in.values.assign(in.values.size(), 0.0F);
        for (std::size_t s = 0; s < all; ++s) {
            for (std::size_t g = 0; g < shape.kv_heads; ++g) {
                in.values[(s * shape.kv_heads + g) * shape.head_size + s] = 1.0F;
            }
        }
        const auto expected = in.run(slow);
        in.run(in_steps([&](rows<float> pattern) {
            for (std::size_t t = 0; t < count; ++t) {
                for (std::size_t h = 0; h < shape.heads; ++h) {
                    double sum = 0.0;
                    for (std::size_t s = 0; s < all; ++s) {
                        const float e = expected[(t * shape.heads + h) * shape.head_size + s];
                        const float found = pattern[t][h * all + s];
                        BOOST_REQUIRE_SMALL(found - e, 1e-6F);
                        const bool seen = reference::attends(shape, first + t, s);
                        BOOST_REQUIRE(seen == (found > 0.0F));
                        sum += double{found};
                    }
                    BOOST_TEST(sum < 1.0);  // the sink's share is missing
                }
            }
        }));
    }
}

// What stands where a query does not see stays out, even where the value is infinite.
BOOST_AUTO_TEST_CASE(edited_weights_are_those_of_the_sum) {
    const kernels::attention_shape shape{2, 1, 3, 2, 1.0F};
    inputs in(shape, 1, 3);
    in.values[0] = INFINITY;  // position 0: only queries of position 0 and 1 see it
    const auto out = in.run(in_steps([](rows<float> pattern) {
        for (std::size_t t = 0; t < pattern.count(); ++t) {
            for (float& w : pattern[t]) { w = 0.5F; }
        }
    }));
    for (std::size_t t = 1; t < 3; ++t) {
        for (std::size_t h = 0; h < 2; ++h) {
            for (std::size_t i = 0; i < 3; ++i) {
                const float expected =
                    0.5F * in.values[t * 3 + i] + 0.5F * in.values[(t + 1) * 3 + i];
                BOOST_TEST(out[(t * 2 + h) * 3 + i] == expected,
                           boost::test_tools::tolerance(1e-6F));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(large_scores_do_not_overflow) {
    inputs in({1, 1, 4, 0, 1.0F}, 0, 6);
    for (float& q : in.queries) { q *= 1e4F; }
    for (const float x : in.run(fast)) { BOOST_TEST(std::isfinite(x)); }
}

// Keys and values that were rounded, against torch's attention over what is left of them.
BOOST_AUTO_TEST_CASE(rounded_keys_and_values_equal_the_reference) {
    constexpr std::size_t heads = 4, kv_heads = 2, size = 32, count = 5, positions = 23;
    constexpr std::size_t width = kv_heads * size;
    const std::vector<std::byte> bytes = golden_bytes("cache/attention.bin");
    std::vector<float> all(bytes.size() / sizeof(float));
    std::memcpy(all.data(), bytes.data(), bytes.size());
    const float* const queries = all.data();
    const float* const keys = queries + count * heads * size;
    const float* const values = keys + positions * width;
    const float* expected = values + positions * width;
    for (const format_id format : {format_id::f16, format_id::q8_0}) {
        const row_format& rows_of = row_format_of(format);
        const std::size_t stride = rows_of.size(width);
        std::vector<std::byte> kept_keys(positions * stride), kept_values(positions * stride);
        to_cache(format, "key", 0, {keys, positions, width}, kept_keys.data());
        to_cache(format, "value", 0, {values, positions, width}, kept_values.data());
        const cache_rows k(rows_of, kept_keys.data(), positions, width, stride);
        const cache_rows v(rows_of, kept_values.data(), positions, width, stride);
        for (const std::size_t window : {0U, 6U}) {
            const kernels::attention_shape shape{heads, kv_heads, size, window,
                                                 1.0F / std::sqrt(static_cast<float>(size))};
            std::vector<float> out(count * heads * size, NAN);
            kernels::attention(shape, {queries, count, heads * size}, k, v, positions - count,
                               {out.data(), count, heads * size});
            for (std::size_t i = 0; i < out.size(); ++i) {
                BOOST_REQUIRE_SMALL(out[i] - expected[i], 4e-6F);
            }
            // The last of them alone.
            std::vector<float> last(heads * size, NAN);
            kernels::attention(shape, {queries + (count - 1) * heads * size, 1, heads * size}, k, v,
                               positions - 1, {last.data(), 1, heads * size});
            BOOST_TEST(same_bits(std::span(out).last(heads * size), last));
            expected += out.size();
        }
    }
    BOOST_TEST((expected == all.data() + all.size()));
}
