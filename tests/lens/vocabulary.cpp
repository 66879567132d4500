// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE vocabulary
#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/core/parallel.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/lens/vocabulary.hpp>
#include <xlens/reference/softmax.hpp>
#include <xlens/reference/top_k.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"
#include "support/stored_matrix.hpp"
#include "support/tiny_model.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

using token_formats = boost::mpl::list<f32, q8_0>;

/// A dense unembedding of V tokens whose number is no multiple of a tile.
template <class Format>
struct dense_tokens {
    explicit dense_tokens(std::size_t count = 5003, std::size_t width = 96)
        : stored(count, width, 3) {
        e.sections.push_back({0, stored.view(), {}});
    }
    stored_matrix<Format> stored;
    unembedding<any_matrix> e;
};

template <class Weights>
std::vector<float> logits_of(const unembedding<Weights>& e, std::span<const float> x) {
    std::vector<float> out(e.vocabulary());
    e.logits(as_rows(x), as_rows(std::span<float>(out)));
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(streaming_equals_the_whole_row, Format, token_formats) {
    const dense_tokens<Format> tokens;
    const vocabulary words(tokens.e);
    const std::size_t count = detail::scan_batch + 3;
    const auto x = random_row(count * 96, 5, 0.3F);
    const rows<const float> in(x.data(), count, 96);
    std::vector<token_id> targets(count);
    for (std::size_t n = 0; n < count; ++n) { targets[n] = static_cast<token_id>(n * 74 % 5003); }
    for (const std::size_t threads : {1U, 2U}) {
        set_threads(threads);
        const auto read = words.read(in, 12, targets);
        const auto ends = words.ends(in, 7);
        BOOST_TEST_REQUIRE(read.size() == count);
        for (std::size_t n = 0; n < count; ++n) {
            auto logits = logits_of(tokens.e, in[n]);
            BOOST_TEST(read[n].top == reference::top_k(logits, 12));
            BOOST_TEST(ends[n].promotes == reference::top_k(logits, 7));
            const double total = reference::log_sum_exp(logits);
            BOOST_REQUIRE_SMALL(double{read[n].log_normaliser} - total,
                                1e-5 * std::abs(total) + 1e-5);
            const auto target = static_cast<std::size_t>(targets[n]);
            BOOST_REQUIRE_SMALL(double{read[n].target} - (double{logits[target]} - total), 1e-4);
            for (float& z : logits) { z = -z; }
            auto lowest = reference::top_k(logits, 7);
            for (scored& s : lowest) { s.score = -s.score; }
            BOOST_TEST(ends[n].suppresses == lowest);
        }
    }
}

BOOST_AUTO_TEST_CASE(targets_at_the_bounds_of_tiles_and_groups) {
    // The vocabulary is read in tiles of so many rows, and in so many groups of tiles: here of two
    // tiles, and in the last one a third that is not whole.
    constexpr std::size_t scan_tile = 4 * kernels::blocking::dot_tile_rows;
    constexpr std::size_t scan_groups = 8;
    constexpr std::size_t group = 2 * scan_tile;
    const dense_tokens<f32> tokens(group * scan_groups + 7, 32);
    const auto last = static_cast<token_id>(tokens.e.vocabulary() - 1);
    const auto tile = static_cast<token_id>(scan_tile);
    const auto second = static_cast<token_id>(group);
    const std::vector<token_id> targets = {0,      tile - 1,      tile,     second - 1,
                                           second, second + tile, last - 7, last};
    const auto x = random_row(targets.size() * 32, 6);
    const rows<const float> in(x.data(), targets.size(), 32);
    const auto read = vocabulary(tokens.e).read(in, 5, targets);
    for (std::size_t n = 0; n < targets.size(); ++n) {
        const auto logits = logits_of(tokens.e, in[n]);
        const double total = reference::log_sum_exp(logits);
        const auto target = static_cast<std::size_t>(targets[n]);
        BOOST_TEST(read[n].top == reference::top_k(logits, 5));
        BOOST_REQUIRE_SMALL(double{read[n].target} - (double{logits[target]} - total), 1e-4);
    }
}

BOOST_AUTO_TEST_CASE(adaptive_sections_read_as_log_probabilities) {
    const tiny_model<> wikilm("wikilm/hf");
    const vocabulary words(wikilm.model.unembedding);
    const auto x = random_row(3 * 32, 8);
    const rows<const float> in(x.data(), 3, 32);
    const std::vector<token_id> targets = {5, 100, 299};  // head, first and second tail
    const auto read = words.read(in, 300, targets);
    for (std::size_t n = 0; n < 3; ++n) {
        const auto log_probabilities = logits_of(wikilm.model.unembedding, in[n]);
        double sum = 0.0;
        for (const float lp : log_probabilities) { sum += std::exp(double{lp}); }
        BOOST_REQUIRE_SMALL(sum - 1.0, 1e-5);
        BOOST_TEST_REQUIRE(read[n].top.size() == 300U);
        for (const scored& s : read[n].top) {
            const float expected = log_probabilities[static_cast<std::size_t>(s.id)];
            BOOST_REQUIRE_SMALL(s.score - expected, 2e-5F * (1.0F + std::abs(expected)));
        }
        const auto target = static_cast<std::size_t>(targets[n]);
        BOOST_REQUIRE_SMALL(read[n].target - log_probabilities[target], 1e-4F);
    }
    // Scores of a projection are linear: ⟨e_w, v⟩ by the direction of each token.
    const auto ends = words.ends(in, 300);
    std::vector<float> direction(32);
    for (const scored& s : ends[0].promotes) {
        wikilm.model.unembedding.direction(s.id, direction);
        double dot = 0.0;
        for (std::size_t d = 0; d < 32; ++d) { dot += double{direction[d]} * double{x[d]}; }
        BOOST_REQUIRE_SMALL(double{s.score} - dot, 1e-4);
    }
}

BOOST_AUTO_TEST_CASE(the_lens_reads_the_last_residual_as_the_model_does) {
    const tiny_model<> m("gpt_neox/hf");
    sequence_state state = m.model.start();
    state.wanted = logit_rows::all;
    m.model.forward(state, m.ids);
    const auto read = logit_lens(m.model).read(state.residual, 5);
    for (std::size_t t = 0; t < m.ids.size(); ++t) {
        BOOST_TEST(read[t].top == reference::top_k(rows<const float>(state.logits)[t], 5));
    }
}

BOOST_AUTO_TEST_CASE(the_three_projections_are_what_their_names_say) {
    const tiny_model<> m("gpt2/hf");
    const auto& model = m.model;
    const auto v = random_row(32, 4);
    const logit_lens lens(model);
    const auto expect = [&](projection form, const std::vector<float>& prepared) {
        const auto logits = logits_of(model.unembedding, prepared);
        const auto found = lens.project({v.data(), 1, 32}, 300, form)[0];
        const auto expected = reference::top_k(logits, 300);
        for (std::size_t i = 0; i < 300; ++i) {
            BOOST_REQUIRE_SMALL(found.promotes[i].score - expected[i].score, 1e-4F);
        }
    };
    expect(projection::raw, v);
    std::vector<float> folded = v;
    for (std::size_t d = 0; d < 32; ++d) { folded[d] *= model.final_norm->gain(d); }
    expect(projection::folded, folded);
    std::vector<float> normed(32);
    (*model.final_norm)({v.data(), 1, 32}, {normed.data(), 1, 32});
    expect(projection::normed, normed);

    // direction() is the folded projection's row.
    std::vector<float> direction(32);
    lens.direction(17, direction);
    double dot = 0.0;
    for (std::size_t d = 0; d < 32; ++d) { dot += double{direction[d]} * double{v[d]}; }
    BOOST_REQUIRE_SMALL(dot - double{logits_of(model.unembedding, folded)[17]}, 1e-4);
    BOOST_TEST(error_message([] { (void)parse_projection("cooked"); }) ==
               "projection: expected raw, folded, normed or standard, got 'cooked'");
}
