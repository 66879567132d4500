// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE policies_with_exit
#include <boost/test/unit_test.hpp>

#include <xlens/early_exit/any_rule.hpp>
#include <xlens/early_exit/exit_policy.hpp>
#include <xlens/generate/choice.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/generate/perplexity.hpp>
#include <xlens/generate/sampling.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/ban.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/interventions/steer.hpp>
#include <xlens/trace/observe.hpp>

#include "support/rows_of_floats.hpp"
#include "support/tiny_model.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

// Early exit beside other policies: what each sees, by its place in the pack, against numbers
// worked out from a run without policies.

using namespace xlens;
using namespace xlens::early_exit;
using namespace xlens::test;

namespace {

const tiny_model<>& llama() {
    static const tiny_model<> m("llama/hf");
    return m;
}
std::size_t width() { return llama().model.config.width; }

std::vector<float> copy(rows<const float> x) {
    std::vector<float> out;
    for (std::size_t t = 0; t < x.count(); ++t) { out.insert(out.end(), x[t].begin(), x[t].end()); }
    return out;
}

/// The last row at each layer.
struct record {
    static constexpr hook hooks = hook::embedding | hook::before | hook::coefficients | hook::after;
    std::vector<std::vector<float>> befores, coefficient_rows, afters;
    void embedding(const site&, rows<float>) {
        for (auto* all : {&befores, &coefficient_rows, &afters}) { all->clear(); }
    }
    void before(const site&, rows<float> x) { befores.push_back(last(x)); }
    void coefficients(const site&, rows<float> m) { coefficient_rows.push_back(last(m)); }
    void after(const site&, rows<float> x) { afters.push_back(last(x)); }
    static std::vector<float> last(rows<float> x) { return copy(x.subrows(x.count() - 1, 1)); }
};

constexpr std::size_t read_first = 5;
std::span<const token_id> prompt() { return std::span(llama().ids).first(read_first); }
std::span<const token_id> next() { return std::span(llama().ids).subspan(read_first, 1); }

/// What the layers did to the token after the prompt, without policies.
record plain_pass() {
    sequence_state state = llama().model.start();
    llama().model.forward(state, prompt());
    record out;
    llama().model.forward(state, next(), out);
    return out;
}

/// A pass of that token with a pack, after a prompt with the same.
template <class... P>
sequence_state pass_with(logit_rows wanted, P&... policies) {
    sequence_state state = llama().model.start();
    llama().model.forward(state, prompt(), policies...);
    state.wanted = wanted;
    llama().model.forward(state, next(), policies...);
    return state;
}

std::vector<float> logits_of(const std::vector<float>& residual) {
    xt::xtensor<float, 2> out = xt::empty<float>({std::size_t{1}, llama().model.config.vocabulary});
    llama().model.read_out(as_rows(std::span<const float>(residual)), out);
    return copy(out);
}

double dot(std::span<const float> a, std::span<const float> b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) { sum += double{a[i]} * b[i]; }
    return sum;
}

bool near(std::span<const float> a, std::span<const float> b, float by = 1e-4F) {
    return std::ranges::equal(a, b, [by](float x, float y) { return std::abs(x - y) <= by; });
}

/// Leaves layer 0 where ⟨w, x⟩ reaches `bar`.
any_rule leaves_above(const std::vector<float>& w, double bar) {
    classifier rule(classifier_input::residual);
    rule.set(0, {w, static_cast<float>(-bar)});
    return {std::move(rule)};
}

/// A gate that decides at layer 0 and is always asked.
exit_gate gate_at_0() {
    const auto filled = [](std::size_t count, std::size_t columns, unsigned seed) {
        const auto values = random_row(count * columns, seed);
        xt::xtensor<float, 2> out = xt::empty<float>({count, columns});
        std::copy(values.begin(), values.end(), out.begin());
        return out;
    };
    linear_lens lens;
    lens.set(0, {filled(width(), width(), 3), xt::ones<float>({width()})});
    exit_gate out(lens, {11, 4, 7, 2, 9}, filled(5, width(), 4), llama().model.config.layers);
    out.set(0,
            {{random_row(width(), 5), 0.0F}, -1e6F, {random_row(exit_gate::features, 6), 0.25F}});
    return out;
}

struct sees_logits {
    static constexpr hook hooks = hook::logits;
    std::size_t calls = 0;
    void logits(const site&, rows<float>) { ++calls; }
};
struct sees_read_out {
    static constexpr hook hooks = hook::read_out;
    std::vector<float> seen;
    void read_out(const site&, rows<float> x) { seen = copy(x); }
};

}  // namespace

// A push at the layer of the exit is decided on if it stands before the exit, and read either way.
BOOST_AUTO_TEST_CASE(a_push_before_the_exit_is_decided_on_and_one_behind_it_is_not) {
    const std::vector<float> x = plain_pass().afters[0];
    const std::vector<float> w = random_row(width(), 31);
    const float length = static_cast<float>(std::sqrt(dot(w, w)));
    // The prompt is steered, too, so that what the token sees of it is not plain: positions say no.
    const auto push = [&](float strength) {
        return steer(0, w, strength, position_set::from(read_first));
    };
    std::vector<float> pushed = x;
    for (std::size_t d = 0; d < pushed.size(); ++d) { pushed[d] += w[d] * (2.0F / length); }
    const std::size_t last = llama().model.config.layers - 1;
    struct row {
        double bar;
        std::size_t behind, before;
    };
    const double between = dot(w, x) + double{length};
    for (const row& r : {row{between, 0, last}, row{dot(w, x) - 1.0, 0, 0},
                         row{dot(w, pushed) + 1.0, last, last}}) {
        exit_policy exit(leaves_above(w, r.bar), 0.5F);
        steer edit = push(2.0F);
        const sequence_state steered = pass_with(logit_rows::last, edit, exit);
        const sequence_state behind = pass_with(logit_rows::last, exit, edit);
        BOOST_TEST(steered.exit_layer == r.behind);
        BOOST_TEST(behind.exit_layer == r.before);
        for (const sequence_state* s : {&steered, &behind}) {
            if (s->exit_layer != 0) { continue; }
            BOOST_TEST(near(copy(s->residual), pushed));
            BOOST_TEST(near(copy(s->logits), logits_of(pushed), 1e-3F));
        }
        dynamic_policies pack;
        pack.borrow(edit);
        pack.borrow(exit);
        const sequence_state dynamic = pass_with(logit_rows::last, pack);
        BOOST_TEST(same_bits(copy(dynamic.logits), copy(steered.logits)));
    }
}

// intervene, observe, steer, observe, exit, ban: each against the equations.
BOOST_AUTO_TEST_CASE(five_policies_act_in_their_order) {
    const auto& m = llama().model;
    const record plain = plain_pass();
    const std::vector<float> d = random_row(width(), 41);
    const auto from = position_set::from(read_first);
    // after = before + Σ m_i·v_i with m_2 set to 3, then the push.
    std::vector<float> edited = plain.befores[0];
    std::vector<float> v(width());
    for (std::size_t i = 0; i < m.config.inner_width; ++i) {
        m.blocks[0].ffn.value(i, v);
        const float c = i == 2 ? 3.0F : plain.coefficient_rows[0][i];
        for (std::size_t k = 0; k < v.size(); ++k) { edited[k] += c * v[k]; }
    }
    std::vector<float> pushed = edited;
    const auto length = static_cast<float>(std::sqrt(dot(d, d)));
    for (std::size_t k = 0; k < v.size(); ++k) { pushed[k] += d[k] * (1.5F / length); }
    exit_gate rule = gate_at_0();
    float score = 0.0F;
    rule.score({0, as_rows(std::span<const float>(pushed)), {}, {}}, {&score, 1});
    xt::xtensor<float, 2> read = as_rows(std::span<const float>(pushed)).tensor();
    rule.translate(0, read);
    const std::vector<float> logits = logits_of(copy(read));
    const auto best = std::ranges::max_element(logits) - logits.begin();

    const auto run = [&](float threshold, logit_rows wanted, observe& first, observe& second) {
        intervene changes;
        changes.add(xlens::edit{.where = {0, 2}, .value = 3.0F, .positions = from});
        dynamic_policies pack;
        pack.add(std::move(changes));
        pack.borrow(first);
        pack.add(steer(0, d, 1.5F, from));
        pack.borrow(second);
        pack.add(exit_policy(any_rule(gate_at_0()), threshold));
        const std::vector<std::vector<token_id>> banned{{static_cast<token_id>(best)}};
        pack.add(ban(banned));
        return pass_with(wanted, pack);
    };
    observe first(m.value_norms(), 4);
    observe second(m.value_norms(), 4);
    const sequence_state out = run(score - 1e-3F, logit_rows::best, first, second);
    BOOST_TEST(out.exit_layer == 0U);
    BOOST_TEST(!out.answer.has_value());  // ban takes the logits
    BOOST_REQUIRE(first.layers().size() == 1U);
    BOOST_TEST(near(copy(first.layers()[0].after), edited));
    BOOST_TEST(near(copy(second.layers()[0].after), pushed));
    std::vector<float> expected = logits;
    expected[static_cast<std::size_t>(best)] = -std::numeric_limits<float>::infinity();
    const std::vector<float> found = copy(out.logits);
    for (std::size_t i = 0; i < found.size(); ++i) {
        BOOST_TEST((found[i] == expected[i] || std::abs(found[i] - expected[i]) < 2e-3F));
    }
    // A little more asked for, and it does not leave.
    const sequence_state full = run(score + 1e-3F, logit_rows::best, first, second);
    BOOST_TEST(full.exit_layer == m.config.layers - 1);
    BOOST_TEST(second.layers().size() == m.config.layers);
}

// The cache that a run with exits and edits completes is that of the edits alone. In a model of
// many layers, for an edit of a layer that was made up for shows in the layers behind it.
BOOST_AUTO_TEST_CASE(edits_reach_the_layers_that_are_made_up_for) {
    const checkpoint file = open_checkpoint(default_model());
    const auto m = assemble(file);
    const std::vector<token_id> ids{504, 3575, 282, 4649, 314, 7042, 30, 378, 3575, 282};
    const auto run = [&](bool exits) {
        intervene edit;
        edit.set({3, 3}, 2.0F).scale({20, 1}, -3.0F).set({12, 5}, 20.0F);
        steer push(15, random_row(m.config.width, 43), 5.0F);
        std::size_t pass = 0;
        sequence_state state = m.start();
        for (const token_id& id : ids) {
            // Three of four positions leave, at layers 5, 8 and 11.
            const bool leaves = exits && ++pass % 4 != 0 && pass < ids.size();
            classifier rule(classifier_input::residual);
            rule.set(2 + 3 * (pass % 4), {std::vector<float>(m.config.width), 1.0F});
            exit_policy exit(any_rule(std::move(rule)), leaves ? 0.5F : 2.0F);
            m.forward(state, std::span(&id, 1), edit, push, exit);
            BOOST_TEST(state.exit_layer == (leaves ? 2 + 3 * (pass % 4) : 29));
        }
        return state;
    };
    sequence_state cut = run(true);
    sequence_state full = run(false);
    BOOST_TEST(same_bits(copy(cut.logits), copy(full.logits)));
    for (std::size_t l = 0; l < m.config.layers; ++l) {
        BOOST_TEST(
            same_bits(copy(cut.caches[l].keys().floats()), copy(full.caches[l].keys().floats())));
        BOOST_TEST(same_bits(copy(cut.caches[l].values().floats()),
                             copy(full.caches[l].values().floats())));
    }
}

BOOST_AUTO_TEST_CASE(an_exit_names_the_token_where_nobody_wants_logits) {
    const std::vector<float> x = plain_pass().afters[0];
    exit_gate rule = gate_at_0();
    float score = 0.0F;
    rule.score({0, as_rows(std::span<const float>(x)), {}, {}}, {&score, 1});
    exit_policy exit(gate_at_0(), score - 1e-3F);
    const auto check_named = [&](const sequence_state& s) {
        BOOST_TEST(s.exit_layer == 0U);
        BOOST_REQUIRE(s.answer.has_value());
        BOOST_TEST(s.answer->id == rule.answer(0)->id);
        BOOST_TEST(s.logits.shape(0) == 0U);
        BOOST_TEST(near(copy(s.residual), x));
    };
    const auto check_read = [&](const sequence_state& s) {
        BOOST_TEST(s.exit_layer == 0U);
        BOOST_TEST(!s.answer.has_value());
        BOOST_TEST(s.logits.shape(0) == 1U);
    };
    check_named(pass_with(logit_rows::best, exit));
    check_read(pass_with(logit_rows::last, exit));
    dynamic_policies pack;
    pack.borrow(exit);
    intervene none;
    pack.borrow(none);
    check_named(pass_with(logit_rows::best, pack));
    check_named(pass_with(logit_rows::best, none, exit));

    sees_logits counts;
    check_read(pass_with(logit_rows::best, exit, counts));
    BOOST_TEST(counts.calls == 2U);  // prompt and token
    sees_read_out reads;
    check_read(pass_with(logit_rows::best, reads, exit));
    BOOST_TEST(near(reads.seen, x));
    pack.borrow(reads);
    check_read(pass_with(logit_rows::best, pack));
    // What was judged is no longer what is read.
    steer push(0, random_row(width(), 45), 0.5F, position_set::from(read_first));
    check_read(pass_with(logit_rows::best, exit, push));
    // Nobody leaves: logits, as ever.
    exit_policy stays(gate_at_0(), 2.0F);
    const sequence_state full = pass_with(logit_rows::best, stays);
    BOOST_TEST(!full.answer.has_value());
    const sequence_state plain = pass_with(logit_rows::last);
    BOOST_TEST(same_bits(copy(full.logits), copy(plain.logits)));
}

// generate asks for the best token alone where its chooser takes that.
BOOST_AUTO_TEST_CASE(only_greedy_text_is_named_by_exits) {
    const auto ids_with = [&](auto choose) {
        exit_policy exit(gate_at_0(), -1e6F);
        std::vector<token_id> out;
        const generate_options options{.count = 6, .choose = std::move(choose)};
        for (const generated& g : generate(llama().model, prompt(), options, exit).tokens) {
            out.push_back(g.id);
        }
        return out;
    };
    const auto named = [](token_id id) {
        const token_id tokens[] = {11, 4, 7, 2, 9};
        return std::ranges::find(tokens, id) != std::end(tokens);
    };
    const auto best = ids_with(greedy());
    BOOST_TEST(std::all_of(best.begin() + 1, best.end(), named));  // the first is the prompt's
    BOOST_TEST(ids_with(sampler({.temperature = 0.0F})) == best);
    const auto hot = ids_with(sampler({.temperature = 5.0F, .seed = 3}));
    BOOST_TEST(!std::all_of(hot.begin() + 1, hot.end(), named));
    const auto varied = ids_with(sampler({.temperature = 0.0F, .repetition_penalty = 1.0001F}));
    BOOST_TEST(!std::all_of(varied.begin() + 1, varied.end(), named));
}

// Token by token, with the whole model's cache: each position by itself.
BOOST_AUTO_TEST_CASE(perplexity_reads_what_was_left_with) {
    const auto& m = llama().model;
    const std::span<const token_id> ids = llama().ids;
    const std::vector<float> w = random_row(width(), 51);
    intervene edit;
    edit.scale({0, 1}, -2.0F);
    double total = 0.0;
    std::size_t left = 0;
    sequence_state state = m.start();
    for (std::size_t t = 0; t + 1 < ids.size(); ++t) {
        record seen;
        m.forward(state, ids.subspan(t, 1), edit, seen);
        const bool leaves = dot(w, seen.afters[0]) >= 0.1;
        left += leaves ? 1U : 0U;
        const std::vector<float> z = logits_of(leaves ? seen.afters[0] : seen.afters.back());
        double sum = 0.0;
        for (const float v : z) { sum += std::exp(double{v}); }
        total += std::log(sum) - double{z[static_cast<std::size_t>(ids[t + 1])]};
    }
    BOOST_TEST(left > 0U);
    BOOST_TEST(left < ids.size() - 1);
    perplexity_windows windows(ids.size());
    windows.pass = 1;
    exit_policy exit(leaves_above(w, 0.1), 0.5F);
    const auto found = perplexity(m, ids, windows, edit, exit);
    BOOST_TEST(found.nll == total / static_cast<double>(ids.size() - 1),
               boost::test_tools::tolerance(1e-5));
}
