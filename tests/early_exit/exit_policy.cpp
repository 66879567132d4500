// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE early_exit_exit_policy
#include <boost/test/unit_test.hpp>

#include <xlens/early_exit/exit_policy.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/reference/matmul.hpp>

#include "support/rows_of_floats.hpp"
#include "support/tiny_model.hpp"

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

using namespace xlens;
using namespace xlens::early_exit;
using namespace xlens::test;

namespace {

const tiny_model<>& llama() {
    static const tiny_model<> m("llama/hf");
    return m;
}

/// Leaves at one layer; what is read is the residual times a factor, plus one.
class leaves_at {
public:
    static constexpr std::string_view name = "leaves_at";
    explicit leaves_at(std::size_t layer) : m_layer(layer) {}
    [[nodiscard]] exit_needs needs() const { return {.coefficients = true, .update = true}; }
    void begin(std::size_t count) { passes.push_back(count); }
    void score(const exit_view& view, std::span<float> scores) {
        updates.push_back(view.update.tensor());
        widths.push_back(view.coefficients.width());
        scores[0] = view.layer == m_layer ? 1.0F : 0.0F;
    }
    void translate(std::size_t, rows<float> x) const {
        for (float& v : x[0]) { v = 3.0F * v + 1.0F; }
    }
    void save(exit_writer&) const {}

    std::vector<std::size_t> passes;
    std::vector<std::size_t> widths;
    std::vector<xt::xtensor<float, 2>> updates;

private:
    std::size_t m_layer;
};
static_assert(exit_rule<leaves_at> && policy<exit_policy<leaves_at>>);

std::vector<float> copy(rows<const float> x) {
    std::vector<float> out;
    for (std::size_t t = 0; t < x.count(); ++t) { out.insert(out.end(), x[t].begin(), x[t].end()); }
    return out;
}

struct keeps_after {
    static constexpr hook hooks = hook::after;
    std::vector<std::vector<float>> seen;
    void after(const site&, rows<float> x) { seen.push_back(copy(x)); }
};

struct keeps_before {
    static constexpr hook hooks = hook::before | hook::after;
    std::vector<std::vector<float>> befores;
    std::vector<std::vector<float>> afters;
    void before(const site&, rows<float> x) { befores.push_back(copy(x)); }
    void after(const site&, rows<float> x) { afters.push_back(copy(x)); }
};

/// K·norm(x) rotated and V·norm(x) in plain loops, for one position of the llama preset.
void plain_fill(const tiny_model<>& m, std::size_t layer, std::vector<float> x,
                std::size_t position, std::vector<float>& key, std::vector<float>& value) {
    const auto& b = m.model.blocks[layer];
    double squares = 0.0;
    for (const float v : x) { squares += double{v} * v; }
    const double scale =
        1.0 / std::sqrt(squares / static_cast<double>(x.size()) + b.attention_norm->epsilon);
    for (std::size_t d = 0; d < x.size(); ++d) {
        x[d] = static_cast<float>(x[d] * scale * b.attention_norm->gain(d));
    }
    const auto product = [&](const auto& layer_of, std::vector<float>& out) {
        const std::size_t outputs = layer_of.weight.rows();
        out.assign(outputs, 0.0F);
        std::vector<float> row(x.size());
        for (std::size_t r = 0; r < outputs; ++r) {
            layer_of.weight.row(r, row);
            double sum = layer_of.bias.size() > 0 ? layer_of.bias(r) : 0.0;
            for (std::size_t d = 0; d < x.size(); ++d) { sum += double{row[d]} * x[d]; }
            out[r] = static_cast<float>(sum);
        }
    };
    product(b.attention.key, key);
    product(b.attention.value, value);
    const std::size_t size = m.model.config.head_size;
    for (std::size_t h = 0; h < key.size() / size; ++h) {
        for (std::size_t i = 0; i < size / 2; ++i) {
            const double angle =
                static_cast<double>(position) *
                std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(size));
            float& a = key[h * size + i];
            float& c = key[h * size + i + size / 2];
            const double x0 = a;
            const double x1 = c;
            a = static_cast<float>(x0 * std::cos(angle) - x1 * std::sin(angle));
            c = static_cast<float>(x1 * std::cos(angle) + x0 * std::sin(angle));
        }
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(skipped_layers_get_keys_and_values_of_the_exit_residual) {
    const auto& m = llama();
    const std::size_t last = m.model.config.layers - 1;
    for (std::size_t leave = 0; leave < last; ++leave) {
        sequence_state full = m.model.start();
        sequence_state cut = m.model.start();
        const auto prompt = std::span(m.ids).first(m.ids.size() - 1);
        const auto next = std::span(m.ids).last(1);
        m.model.forward(full, prompt);
        m.model.forward(cut, prompt);
        keeps_after residuals;
        m.model.forward(full, next, residuals);
        exit_policy policy(leaves_at(leave), 0.5F);
        cut.fill = kv_fill::propagate;
        m.model.forward(cut, next, policy);
        BOOST_TEST(cut.exit_layer == leave);
        BOOST_TEST(cut.position == full.position);
        const std::size_t at = prompt.size();
        for (std::size_t l = 0; l <= last; ++l) {
            std::vector<float> key = copy(full.caches[l].keys().floats().subrows(at, 1));
            std::vector<float> value = copy(full.caches[l].values().floats().subrows(at, 1));
            BOOST_REQUIRE(cut.caches[l].positions() == at + 1);
            if (l > leave) { plain_fill(m, l, residuals.seen[leave], at, key, value); }
            const auto found_key = cut.caches[l].keys().floats()[at];
            const auto found_value = cut.caches[l].values().floats()[at];
            for (std::size_t i = 0; i < key.size(); ++i) {
                BOOST_TEST(std::abs(found_key[i] - key[i]) < 1e-4F);
                BOOST_TEST(std::abs(found_value[i] - value[i]) < 1e-4F);
            }
        }
    }
}

/// Leaves after the layers given, one a pass.
struct leaves_by_turns {
    static constexpr hook hooks = hook::embedding | hook::after;
    std::vector<std::size_t> layers;
    std::size_t pass = 0;
    void embedding(const site&, rows<float>) { ++pass; }
    flow after(const site& where, rows<float>) {
        return where.layer == layers[pass - 1] ? flow::stop : flow::proceed;
    }
};

// Whatever left early in between: a pass through all layers gives the bits of a run without exits.
BOOST_AUTO_TEST_CASE(missed_positions_are_made_up_for_exactly) {
    const auto& m = llama();
    const std::size_t last = m.model.config.layers - 1;
    BOOST_REQUIRE(last >= 1U);
    sequence_state full = m.model.start();
    sequence_state cut = m.model.start();
    leaves_by_turns leave{{0, last, 0, last - 1, 0, 0, last, last}};
    const std::size_t turns = std::min(leave.layers.size(), m.ids.size());
    for (std::size_t t = 0; t < turns; ++t) {
        const auto next = std::span(m.ids).subspan(t, 1);
        m.model.forward(full, next);
        m.model.forward(cut, next, leave);
        BOOST_TEST(cut.exit_layer == leave.layers[t]);
        BOOST_TEST(cut.residual.shape(0) == 1U);
        if (leave.layers[t] != last) { continue; }
        BOOST_TEST(cut.owed.shape(0) == 0U);
        BOOST_TEST(same_bits(copy(cut.logits), copy(full.logits)));
        for (std::size_t l = 0; l <= last; ++l) {
            BOOST_TEST(same_bits(copy(cut.caches[l].keys().floats()),
                                 copy(full.caches[l].keys().floats())));
            BOOST_TEST(same_bits(copy(cut.caches[l].values().floats()),
                                 copy(full.caches[l].values().floats())));
        }
    }
}

BOOST_AUTO_TEST_CASE(truncating_forgets_what_is_owed) {
    const auto& m = llama();
    const std::size_t last = m.model.config.layers - 1;
    sequence_state full = m.model.start();
    sequence_state cut = m.model.start();
    m.model.forward(full, std::span(m.ids).first(4));
    leaves_by_turns leave{{last, 0, 0, 0}};
    for (std::size_t t = 0; t < 4; ++t) {
        m.model.forward(cut, std::span(m.ids).subspan(t, 1), leave);
    }
    full.truncate(2);
    cut.truncate(2);
    BOOST_TEST(cut.owed.shape(0) == 1U);
    m.model.forward(full, std::span(m.ids).subspan(5, 2));
    m.model.forward(cut, std::span(m.ids).subspan(5, 2));
    BOOST_TEST(same_bits(copy(cut.logits), copy(full.logits)));
}

BOOST_AUTO_TEST_CASE(what_is_read_is_translated_and_the_cache_is_not) {
    const auto& m = llama();
    sequence_state state = m.model.start();
    m.model.forward(state, std::span(m.ids).first(3));
    exit_policy policy(leaves_at(0), 0.5F);
    keeps_after seen;
    m.model.forward(state, std::span(m.ids).subspan(3, 1), policy, seen);
    BOOST_REQUIRE(seen.seen.size() == 1U);
    xt::xtensor<float, 2> expected = xt::empty<float>({std::size_t{1}, m.model.config.width});
    for (std::size_t d = 0; d < expected.size(); ++d) {
        expected(0, d) = 3.0F * seen.seen[0][d] + 1.0F;
    }
    BOOST_TEST(same_bits(copy(state.residual), copy(expected)));
    xt::xtensor<float, 2> logits = xt::empty<float>({std::size_t{1}, m.model.config.vocabulary});
    m.model.read_out(expected, logits);
    BOOST_TEST(same_bits(copy(state.logits), copy(logits)));
}

BOOST_AUTO_TEST_CASE(a_prompt_runs_in_full) {
    const auto& m = llama();
    sequence_state plain = m.model.start();
    m.model.forward(plain, m.ids);
    sequence_state state = m.model.start();
    exit_policy policy(leaves_at(0), 0.5F);
    m.model.forward(state, m.ids, policy);
    BOOST_TEST(state.exit_layer == m.model.config.layers - 1);
    BOOST_TEST(same_bits(copy(state.logits), copy(plain.logits)));
    BOOST_TEST(policy.rule().passes.empty());
}

BOOST_AUTO_TEST_CASE(a_rule_sees_what_it_asked_for) {
    const auto& m = llama();
    sequence_state state = m.model.start();
    exit_policy policy(leaves_at(99), 0.5F);
    keeps_before seen;
    m.model.forward(state, std::span(m.ids).first(1), policy, seen);
    BOOST_TEST(policy.rule().updates.size() == m.model.config.layers);
    for (std::size_t l = 0; l < m.model.config.layers; ++l) {
        BOOST_TEST(policy.rule().widths[l] == m.model.config.inner_width);
        for (std::size_t d = 0; d < m.model.config.width; ++d) {
            BOOST_TEST(policy.rule().updates[l](0, d) == seen.afters[l][d] - seen.befores[l][d]);
        }
    }
}

BOOST_AUTO_TEST_CASE(an_intervention_before_it_is_what_it_decides_on) {
    const auto& m = llama();
    const auto updates_with = [&](bool edited, bool dynamic) {
        sequence_state state = m.model.start();
        intervene edit;
        if (edited) { edit.set({0, 1}, 9.0F); }
        exit_policy exit(leaves_at(0), 0.5F);
        if (dynamic) {
            dynamic_policies pack;
            pack.borrow(edit);
            pack.borrow(exit);
            m.model.forward(state, std::span(m.ids).first(1), pack);
        } else {
            m.model.forward(state, std::span(m.ids).first(1), edit, exit);
        }
        BOOST_TEST(state.exit_layer == 0U);
        return copy(exit.rule().updates.at(0));
    };
    BOOST_TEST(!same_bits(updates_with(true, false), updates_with(false, false)));
    BOOST_TEST(same_bits(updates_with(true, false), updates_with(true, true)));
}
