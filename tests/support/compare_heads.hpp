// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "support/golden.hpp"

#include <boost/test/unit_test.hpp>

#include <xlens/core/attention_head.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/io/load.hpp>
#include <xlens/model/model.hpp>
#include <xlens/trace/attribute.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

// What the hooks of attention and its attribution say, against tests/golden/heads.

namespace xlens::test {

/// Keeps what the heads of every layer did in the last pass.
struct record_heads {
    static constexpr hook hooks = hook::embedding | hook::queries | hook::keys | hook::values |
                                  hook::pattern | hook::head_outputs | hook::attention_out;
    struct layer {
        xt::xtensor<float, 2> queries, keys, values, pattern, outputs, added;
    };
    std::vector<layer> layers;

    void embedding(const site&, rows<float>) { layers.clear(); }
    void queries(const site&, rows<float> x) { layers.emplace_back().queries = x.tensor(); }
    void keys(const site&, rows<float> x) { layers.back().keys = x.tensor(); }
    void values(const site&, rows<float> x) { layers.back().values = x.tensor(); }
    void pattern(const site&, rows<float> x) { layers.back().pattern = x.tensor(); }
    void head_outputs(const site&, rows<float> x) { layers.back().outputs = x.tensor(); }
    void attention_out(const site&, rows<float> x) { layers.back().added = x.tensor(); }
};

/// Leaves one head out.
struct without_head {
    static constexpr hook hooks = hook::head_outputs;
    attention_head which;
    std::size_t size;  // d
    void head_outputs(const site& where, rows<float> z) {
        if (where.layer != which.layer) { return; }
        for (std::size_t t = 0; t < z.count(); ++t) {
            std::ranges::fill(z[t].subspan(which.index * size, size), 0.0F);
        }
    }
};

inline std::vector<float> numbers_of(const nlohmann::json& list) {
    return list.get<std::vector<float>>();
}

/// Of neighbours that turn together, the order of halves that turn together.
inline std::vector<float> as_halves(std::span<const float> x, std::size_t size) {
    std::vector<float> out(x.begin(), x.end());
    for (std::size_t h = 0; h < x.size(); h += size) {
        for (std::size_t i = 0; i < size / 2; ++i) {
            out[h + i] = x[h + 2 * i];
            out[h + size / 2 + i] = x[h + 2 * i + 1];
        }
    }
    return out;
}

inline void check_row(std::span<const float> found, const nlohmann::json& expected,
                      const std::string& what, double tolerance) {
    const std::vector<float> e = numbers_of(expected);
    const double scale = std::max(1e-3, largest_magnitude(e));
    BOOST_TEST(max_difference(found, e) < tolerance * scale, what);
}

/// Queries, keys, weights and outputs of the positions that the golden has. `pairs`: the file's
/// rows of queries and keys are permuted.
inline void check_hooks(const xlens::model& model, const nlohmann::json& golden, bool pairs,
                        double tolerance) {
    const auto ids = golden["ids"].get<std::vector<token_id>>();
    record_heads seen;
    sequence_state state = model.start();
    model.forward(state, ids, seen);
    const std::size_t size = model.config.head_size;
    for (const nlohmann::json& at : golden["positions"]) {
        const auto p = at["position"].get<std::size_t>();
        for (const nlohmann::json& e : at["layers"]) {
            const auto l = e["layer"].get<std::size_t>();
            const record_heads::layer& found = seen.layers[l];
            const std::string where = " of layer " + std::to_string(l);
            const auto row = [&](const xt::xtensor<float, 2>& x) {
                return rows<const float>(x)[p];
            };
            const auto turned = [&](const xt::xtensor<float, 2>& x) {
                return pairs ? as_halves(row(x), size)
                             : std::vector<float>(row(x).begin(), row(x).end());
            };
            for (std::size_t h = 0; h < e["pattern"].size(); ++h) {
                const auto weights = row(found.pattern).subspan(h * ids.size(), ids.size());
                check_row(weights.first(p + 1), e["pattern"][h], "pattern" + where, tolerance);
                BOOST_TEST(largest_magnitude(weights.subspan(p + 1)) == 0.0);
            }
            check_row(row(found.outputs), e["outputs"], "outputs" + where, tolerance);
            if (e.contains("queries")) {
                check_row(turned(found.queries), e["queries"], "queries" + where, tolerance);
                check_row(turned(found.keys), e["keys"], "keys" + where, tolerance);
            }
        }
    }
}

/// What each head adds to the golden's token, and each position that one of them reads.
inline void check_shares(const xlens::model& model, const nlohmann::json& golden,
                         double tolerance) {
    const auto ids = golden["ids"].get<std::vector<token_id>>();
    attribution_options options;
    options.token = golden["token"].get<token_id>();
    options.heads = true;
    if (golden.contains("sources")) {
        options.head = parse_head(golden["sources"]["head"].get<std::string>(), "golden");
    }
    const attribution found = attribute(model, ids, options);
    double scale = 0.0;
    for (const nlohmann::json& layer : golden["heads"]) {
        scale = std::max(scale, largest_magnitude(numbers_of(layer)));
    }
    BOOST_TEST_REQUIRE(found.heads.size() == golden["heads"].size());
    for (std::size_t l = 0; l < found.heads.size(); ++l) {
        BOOST_TEST(max_difference(found.heads[l].heads, numbers_of(golden["heads"][l])) <
                       tolerance * scale,
                   "heads of layer " << l);
    }
    if (!golden.contains("sources")) { return; }
    BOOST_TEST_REQUIRE(found.head.has_value());
    std::vector<float> adds;
    for (const head_source& s : found.head->sources) { adds.push_back(s.contribution); }
    const std::vector<float> expected = numbers_of(golden["sources"]["adds"]);
    BOOST_TEST(max_difference(adds, expected) <
               tolerance * std::max(largest_magnitude(expected), 1e-2 * scale));
}

/// The logits of the last position without a head.
inline void check_ablation(const xlens::model& model, const nlohmann::json& golden,
                           double tolerance) {
    const auto ids = golden["ids"].get<std::vector<token_id>>();
    const nlohmann::json& expected = golden["without"];
    without_head policy{parse_head(expected["head"].get<std::string>(), "golden"),
                        model.config.head_size};
    sequence_state state = model.start();
    model.forward(state, ids, policy);
    const double changed = expected["changed"];
    for (const nlohmann::json& e : expected["logits"]) {
        const double found = double{state.logits(0, e["id"].get<std::size_t>())};
        const double logit = e["logit"];
        // Against what the head changes: a pass that left it in would not do.
        BOOST_TEST(std::abs(found - logit) < 0.02 * changed + tolerance * std::abs(logit));
    }
}

}  // namespace xlens::test
