// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE fit_jacobian_lens
#include <boost/test/unit_test.hpp>

#include <xlens/hooks/policy.hpp>
#include <xlens/io/load.hpp>
#include <xlens/lens/fit_jacobian_lens.hpp>
#include <xlens/model/model.hpp>
#include <xlens/model/resume.hpp>
#include <xlens/model/state.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/rows_of_floats.hpp"

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

const nlohmann::json& golden() {
    static const nlohmann::json document = read_golden(golden_path("lenses/golden.json"));
    return document;
}
const model& llama() {
    static const model m = load(golden_path("models/llama/hf"));
    return m;
}
std::vector<std::vector<token_id>> prompts() {
    return golden()["prompts"].get<std::vector<std::vector<token_id>>>();
}

/// What layer 0 leaves.
struct keep_first {
    static constexpr hook hooks = hook::after;
    void after(const site& where, rows<float> x) {
        if (where.layer == 0) { kept = x.tensor(); }
    }
    xt::xtensor<float, 2> kept;
};

/// ‖a - b‖ / ‖b‖ of the whole matrix.
double relative_error(const xt::xtensor<float, 2>& found, const nlohmann::json& expected) {
    const auto exact = expected.get<std::vector<double>>();
    BOOST_REQUIRE(found.size() == exact.size());
    double off = 0.0;
    double whole = 0.0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
        const double d = double{found.data()[i]} - exact[i];
        off += d * d;
        whole += exact[i] * exact[i];
    }
    return std::sqrt(off / whole);
}
double relative_error(const linear_lens& lens) {
    return relative_error(lens.layers().at(0).weights, golden()["exact"]);
}

}  // namespace

// Against PyTorch's automatic differentiation in double precision.
BOOST_AUTO_TEST_CASE(differences_are_the_derivatives) {
    for (const double step : {0.05, 0.02, 0.01, 0.003, 0.001}) {
        jacobian_lens_options options;
        options.step = step;
        const double error = relative_error(fit_jacobian_lens(llama(), prompts(), options));
        BOOST_TEST_MESSAGE("step " << step << ": relative error " << error);
        BOOST_TEST(error < 4.0 * step * step + 5e-5, step);
    }
    BOOST_TEST(relative_error(fit_jacobian_lens(llama(), prompts())) < 1e-4);
}

// Other orders of things, and maps of several layers, against torch.func. Where norms stand behind
// attention and FFN (Gemma), what a step bends is a hundred times as much: the error is of order ε²
// there, too, so that two steps together, (4·J(ε) - J(2ε)) / 3, leave nothing of it.
BOOST_AUTO_TEST_CASE(differences_are_the_derivatives_of_other_families) {
    std::size_t maps = 0;
    for (const auto& one : read_golden(golden_path("lenses/jacobians.json"))) {
        const auto name = one["checkpoint"].get<std::string>();
        const model m = load(golden_path(name + "/hf"));
        const auto texts = one["prompts"].get<std::vector<std::vector<token_id>>>();
        const linear_lens usual = fit_jacobian_lens(m, texts);
        const linear_lens half = fit_jacobian_lens(m, texts, {.step = 0.001});
        const linear_lens whole = fit_jacobian_lens(m, texts, {.step = 0.002});
        BOOST_TEST(one["maps"].size() == m.config.layers - 1);
        for (const auto& [layer, expected] : one["maps"].items()) {
            const std::size_t l = std::stoul(layer);
            const auto map = [&](const linear_lens& of) { return of.layers().at(l).weights; };
            const xt::xtensor<float, 2> both = (4.0F * map(half) - map(whole)) / 3.0F;
            const double error = relative_error(map(usual), expected);
            const double rest = relative_error(both, expected);
            BOOST_TEST_MESSAGE(name << ", layer " << l << ": " << error << ", of both " << rest);
            BOOST_TEST(error < (name.starts_with("models/") ? 1e-4 : 5e-4), name << ':' << l);
            BOOST_TEST(rest < 2e-4, name << ':' << l);
            ++maps;
        }
    }
    BOOST_TEST(maps == 10U);
}

// Three prompts of 11 columns each see every column once: no column is left out, and each is that
// of one prompt.
BOOST_AUTO_TEST_CASE(columns_may_be_shared_among_prompts) {
    jacobian_lens_options options;
    options.columns = 11;
    const linear_lens shared = fit_jacobian_lens(llama(), prompts(), options);
    const linear_lens again = fit_jacobian_lens(llama(), prompts(), options);
    BOOST_TEST(shared.hash() == again.hash());
    std::vector<linear_lens> alone;
    for (const auto& p : prompts()) {
        alone.push_back(fit_jacobian_lens(llama(), std::span(&p, 1)));
    }
    const std::size_t width = llama().config.width;
    std::size_t twice = 0;
    for (std::size_t i = 0; i < width; ++i) {
        std::size_t same = 0;
        for (const linear_lens& one : alone) {
            bool equal = true;
            for (std::size_t d = 0; d < width; ++d) {
                equal = equal &&
                        shared.layers().at(0).weights(d, i) == one.layers().at(0).weights(d, i);
            }
            same += equal ? 1U : 0U;
        }
        twice += same == 1 ? 0U : 1U;
    }
    BOOST_TEST(twice == 1);  // 33 columns are asked for of 32
    options.columns = 10;
    BOOST_TEST(error_message([&] { fit_jacobian_lens(llama(), prompts(), options); }) ==
               "jacobian lens: 3 prompts of 10 columns each, expected at least 32 columns in all");
}

BOOST_AUTO_TEST_CASE(a_pass_that_goes_on_in_its_middle_is_the_whole_pass) {
    const std::vector<token_id> ids = prompts().front();
    sequence_state whole = llama().start();
    keep_first first;
    const std::span<const token_id> all(ids);
    llama().forward(whole, all.first(16));
    llama().forward(whole, all.subspan(16), first);
    const std::vector<float> expected(whole.residual.begin(), whole.residual.end());
    for (int turn = 0; turn < 2; ++turn) {
        whole.truncate(16);
        resume(llama(), whole, all.subspan(16), 1, first.kept);
        BOOST_TEST(
            same_bits(std::vector<float>(whole.residual.begin(), whole.residual.end()), expected));
    }
    whole.truncate(16);
    BOOST_TEST(error_message([&] { resume(llama(), whole, all.subspan(16), 2, first.kept); }) ==
               "resume: layer 2, the model has layers 0 to 1");
    BOOST_TEST(error_message([&] { resume(llama(), whole, all.subspan(17), 1, first.kept); }) ==
               "resume: residuals (24, 32), expected (23, 32)");
}

// A step of half the residuals' length is far from small: it is halved until it bends little.
BOOST_AUTO_TEST_CASE(steps_are_as_short_as_the_function_bends) {
    BOOST_TEST(relative_error(fit_jacobian_lens(llama(), prompts(), {.step = 0.5})) < 1e-3);
}

BOOST_AUTO_TEST_CASE(what_rounds_or_jumps_has_no_derivative) {
    const auto refused = [](const model& m) {
        return error_message([&] { fit_jacobian_lens(m, prompts()); });
    };
    BOOST_TEST(refused(load(golden_path("models/llama/hf"), {.cache = format_id::f16})) ==
               "jacobian lens: expected a cache of f32, got f16");
    BOOST_TEST(refused(load(default_model(), {.precision = precision::native})) ==
               "jacobian lens: expected the precision f32, got native");
    BOOST_TEST(refused(load(golden_path("families/qwen3_moe/hf"))) ==
               "jacobian lens: mixtures of experts are not supported: their choice has no "
               "derivative");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_fitted_is_refused) {
    const std::vector<std::vector<token_id>> shorter{std::vector<token_id>(17, 1)};
    BOOST_TEST(error_message([&] { fit_jacobian_lens(llama(), shorter); }) ==
               "jacobian lens: a prompt of 17 tokens, expected at least 18");
    BOOST_TEST(error_message([&] { fit_jacobian_lens(llama(), prompts(), {.layers = {1}}); }) ==
               "jacobian lens: layer 1, expected one below 1");
    BOOST_TEST(error_message([&] { fit_jacobian_lens(llama(), prompts(), {.step = 0.0}); }) ==
               "jacobian lens: step: expected between 0 and 1, got 0");
}
