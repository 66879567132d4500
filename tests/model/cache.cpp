// SPDX-License-Identifier: BSD-3-Clause
// Keys and values kept in 16 or 8 bits: against transformers with a cache that rounds, against
// plain loops for every architecture, and the same bits however a sequence is cut up.
#define BOOST_TEST_MODULE cache
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/checkpoints.hpp"
#include "support/compare_heads.hpp"
#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/rows_of_floats.hpp"

#include <xlens/core/parallel.hpp>
#include <xlens/model/branches.hpp>
#include <xlens/reference/attention.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
namespace data = boost::unit_test::data;

namespace {

const std::vector<format_id> rounding{format_id::f16, format_id::q8_0};

/// The nearest binary16, by the definition: a step is 2^-10 of the power of two below, 2^-24 at
/// least.
float rounded_to_half(float x) {
    const int exponent = x == 0.0F ? -14 : std::max(std::ilogb(x), -14);
    const float step = std::ldexp(1.0F, exponent - 10);
    return std::nearbyint(x / step) * step;
}

/// What a cache of this format keeps of x.
xt::xtensor<float, 2> kept(const xt::xtensor<float, 2>& x, format_id format) {
    xt::xtensor<float, 2> out = x;
    if (format == format_id::f16) {
        for (float& v : out) { v = rounded_to_half(v); }
        return out;
    }
    for (std::size_t i = 0; i < out.size(); i += 32) {
        const std::span<float> block(out.data() + i, 32);
        float largest = 0.0F;
        for (const float v : block) { largest = std::max(largest, std::abs(v)); }
        const float d = rounded_to_half(largest / 127.0F);
        for (float& v : block) {
            v = d == 0.0F ? 0.0F : d * std::clamp(std::nearbyint(v / d), -127.0F, 127.0F);
        }
    }
    return out;
}

bool can_keep(const xlens::model& model, format_id format) {
    return format != format_id::q8_0 || model.config.head_size % 32 == 0;
}

xt::xtensor<float, 2> in_parts(const opened& o, std::size_t length) {
    sequence_state state = o.model.start();
    state.wanted = logit_rows::all;
    xt::xtensor<float, 2> out = xt::empty<float>({o.ids.size(), o.model.config.vocabulary});
    for (std::size_t t = 0; t < o.ids.size(); t += length) {
        const auto part = std::span(o.ids).subspan(t, std::min(length, o.ids.size() - t));
        o.model.forward(state, part);
        std::copy(state.logits.begin(), state.logits.end(), rows<float>(out)[t].begin());
    }
    return out;
}

bool same(const xt::xtensor<float, 2>& a, const xt::xtensor<float, 2>& b) {
    return same_bits({a.data(), a.size()}, {b.data(), b.size()});
}

/// A number more for every key, before it is kept.
struct add_to_keys {
    static constexpr hook hooks = hook::keys;
    void keys(const site&, rows<float> x) const {
        for (std::size_t t = 0; t < x.count(); ++t) {
            for (float& v : x[t]) { v += 0.25F; }
        }
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(logits_equal_those_of_transformers_with_a_cache_of_halves) {
    const nlohmann::json golden = read_golden(golden_path("cache/llama.json"));
    const opened rounds("models/llama/hf", {.cache = format_id::f16});
    const opened exact("models/llama/hf");
    BOOST_TEST((golden["ids"].get<std::vector<token_id>>() == rounds.ids));
    const auto logits = in_parts(rounds, rounds.ids.size());
    const auto unrounded = in_parts(exact, exact.ids.size());
    double closest = INFINITY;
    for (const nlohmann::json& row : golden["logits"]) {
        const auto at = row["position"].get<std::size_t>();
        const auto expected = row["values"].get<std::vector<float>>();
        const double off = max_difference(rows<const float>(logits)[at], expected);
        // A number in the middle of two halves may go to either, as its last bits are.
        BOOST_TEST(off * 3 < max_difference(rows<const float>(unrounded)[at], expected));
        closest = std::min(closest, off / largest_magnitude(expected));
    }
    BOOST_TEST(closest < 2e-6);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_kept_is_refused) {
    const auto path = golden_path("models/llama/hf");
    BOOST_TEST(error_message([&] { load(path, {.cache = format_id::q8_0}); }) ==
               "cache q8_0: expected heads of a multiple of 32 numbers, got 8");
    BOOST_TEST(error_message([&] { load(path, {.cache = format_id::bf16}); }) ==
               "cache: expected f32, f16 or q8_0, got bf16");
    xlens::model model = load(path);
    model.cache = format_id::q8_0;
    BOOST_TEST(error_message([&] { static_cast<void>(model.start()); }) ==
               "cache q8_0: expected heads of a multiple of 32 numbers, got 8");
    kv_cache cache(2, format_id::f16);
    cache.extend(9);
    aligned_tensor keys = xt::zeros<float>({2, 2});
    aligned_tensor values = keys;
    BOOST_CHECK_NO_THROW(cache.keep(0, keys, values));
    keys(1, 0) = -65536.0F;
    BOOST_TEST(
        error_message([&] { cache.keep(0, keys, values); }) ==
        "cache f16: expected keys of at most 65504, got -65536 at position 1 (f32 keeps it)");
    keys(1, 0) = 1.0F;
    values(0, 1) = NAN;
    BOOST_TEST(error_message([&] { cache.keep(7, keys, values); }) ==
               "cache f16: expected values of at most 65504, got nan at position 7 (f32 keeps it)");
}

BOOST_AUTO_TEST_CASE(there_are_checkpoints_with_whole_blocks_in_their_heads) {
    std::size_t found = 0;
    for (const std::string& name : checkpoints) {
        found += can_keep(opened(name).model, format_id::q8_0) ? 1U : 0U;
    }
    BOOST_TEST(found > 0U);
}

// Hooks see keys and values as they were computed; what heads give is made of the rounded ones.
BOOST_DATA_TEST_CASE(heads_read_what_the_cache_keeps, data::make(checkpoints), name) {
    opened o(name);
    for (const format_id format : rounding) {
        if (!can_keep(o.model, format)) { continue; }
        o.model.cache = format;
        record_heads seen;
        add_to_keys edit;
        sequence_state state = o.model.start();
        o.model.forward(state, o.ids, edit, seen);
        double apart = 0.0;
        for (std::size_t l = 0; l < o.model.blocks.size(); ++l) {
            const auto& shape = o.model.blocks[l].attention.shape;
            const auto& found = seen.layers[l];
            const auto keys = kept(found.keys, format);
            const auto values = kept(found.values, format);
            xt::xtensor<float, 2> outputs = xt::empty<float>(found.outputs.shape());
            reference::attention(shape, found.queries, keys, values, 0, outputs);
            const double size = std::max(1.0, largest_magnitude({values.data(), values.size()}));
            BOOST_TEST(max_difference({outputs.data(), outputs.size()},
                                      {found.outputs.data(), found.outputs.size()}) < 1e-5 * size);
            apart = std::max(apart, max_difference({keys.data(), keys.size()},
                                                   {found.keys.data(), found.keys.size()}));
        }
        BOOST_TEST(apart > 0.0);
    }
}

BOOST_DATA_TEST_CASE(the_same_bits_however_a_sequence_is_cut_up, data::make(checkpoints), name) {
    opened o(name);
    for (const format_id format : rounding) {
        if (!can_keep(o.model, format)) { continue; }
        o.model.cache = format;
        set_threads(1);
        const auto together = in_parts(o, o.ids.size());
        set_threads(2);
        BOOST_TEST(same(together, in_parts(o, o.ids.size())));
        BOOST_TEST(same(together, in_parts(o, 5)));
        BOOST_TEST(same(together, in_parts(o, 1)));
    }
}

// Sequences read together, forked, shortened and branched off, as each alone.
BOOST_DATA_TEST_CASE(the_same_bits_for_sequences_side_by_side, data::make(checkpoints), name) {
    opened o(name);
    for (const format_id format : rounding) {
        if (!can_keep(o.model, format)) { continue; }
        o.model.cache = format;
        const auto ids = std::span<const token_id>(o.ids);
        sequence_state whole = o.model.start();
        o.model.forward(whole, ids.first(9));
        sequence_state other = o.model.start();
        o.model.forward(other, ids.first(12));
        other.truncate(4);
        other.fork_from(whole, 4);
        sequence_state* const states[] = {&whole, &other};
        const std::vector<token_id> next{ids[9], ids[10]};
        o.model.forward_each(states, next);
        for (std::size_t n = 0; n < 2; ++n) {
            sequence_state alone = o.model.start();
            std::vector<token_id> tokens(ids.begin(), ids.begin() + 9);
            tokens.push_back(next[n]);
            o.model.forward(alone, tokens);
            BOOST_TEST(same(alone.logits, states[n]->logits));
        }
        // The last three positions as a branch.
        aligned_tensor x = xt::empty<float>({std::size_t{3}, o.model.config.width});
        o.model.embedding(std::span<const token_id>(whole.tokens).subspan(7, 3), x);
        if (o.model.embedding_norm) { (*o.model.embedding_norm)(x, x); }
        o.model.position.add(x, 7);
        dynamic_policies none;
        const branch last{7, 3};
        run_branches(o.model, whole, {&last, 1}, 0, o.model.blocks.size(), x, none);
        BOOST_TEST(
            same_bits(rows<const float>(x)[2], {whole.residual.data(), o.model.config.width}));
    }
}
