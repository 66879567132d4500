// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE directions
#include <boost/test/unit_test.hpp>

#include <xlens/core/number_ranges.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/interventions/direction_file.hpp>
#include <xlens/interventions/direction_set.hpp>
#include <xlens/interventions/fit_directions.hpp>
#include <xlens/interventions/pair_file.hpp>
#include <xlens/interventions/pair_geometry.hpp>
#include <xlens/interventions/steer.hpp>
#include <xlens/interventions/steer_directions.hpp>
#include <xlens/io/load.hpp>
#include <xlens/numerics/top_eigenvector.hpp>
#include <xlens/storage/atomic_file.hpp>

#include "support/error_message.hpp"
#include "support/gguf_builder.hpp"
#include "support/golden.hpp"
#include "support/temporary_directory.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

// Directions of pairs of texts, beside numpy's and scikit-learn's; their files, beside the gguf
// package's; texts that are steered by them, beside transformers'.

using namespace xlens;
using namespace xlens::test;
using nlohmann::json;

namespace {

const json& golden() {
    static const json g = read_golden(golden_path("directions/golden.json"));
    return g;
}

std::vector<text_pair> pairs_of(const json& list) {
    std::vector<text_pair> out;
    for (const json& pair : list) {
        out.push_back({pair[0].get<std::vector<token_id>>(), pair[1].get<std::vector<token_id>>()});
    }
    return out;
}

direction_set some_set() {
    direction_set out;
    out.of = {{1, {1.0F, -2.0F, 0.5F}}, {4, {0.0F, 1e-3F, 7.0F}}};
    out.method = "pca";
    out.position = "last";
    out.pairs = 9;
    out.layers = 5;
    out.fingerprint = 0xfedcba9876543210U;
    out.hint = "llama";
    return out;
}

std::string contents(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}
std::string file_of(const temporary_directory& folder, const gguf_builder& file) {
    return folder.write("v.gguf", file.bytes()).string();
}

}  // namespace

BOOST_AUTO_TEST_CASE(directions_are_those_of_numpy_and_scikit_learn) {
    for (const char* name : {"gpt2", "llama"}) {
        const model m = load(golden_path(std::string("models/") + name + "/hf"));
        const std::vector<text_pair> pairs = pairs_of(golden()[name]["pairs"]);
        for (const json& expected : golden()[name]["directions"]) {
            for (const char* method : {"mean", "pca"}) {
                fit_directions_options options;
                options.site = expected["site"] == "before" ? hook::before : hook::after;
                options.layers = {expected["layer"].get<std::size_t>()};
                options.position = expected["position"] == "last" ? direction_position::last
                                                                  : direction_position::mean;
                options.method = std::strcmp(method, "pca") == 0 ? direction_method::pca
                                                                 : direction_method::mean;
                const fitted_directions found = fit_directions(m, pairs, options);
                BOOST_REQUIRE(found.set.of.size() == 1);
                const auto values = expected[method].get<std::vector<float>>();
                BOOST_TEST(max_difference(found.set.of.begin()->second, values) <
                           2e-5 * largest_magnitude(values));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_direction_is_the_same_for_any_number_of_threads) {
    const model m = load(golden_path("models/llama/hf"));
    const std::vector<text_pair> pairs = pairs_of(golden()["llama"]["pairs"]);
    fit_directions_options options;
    options.method = direction_method::pca;
    const fitted_directions many = fit_directions(m, pairs, options);
    const std::size_t threads = max_threads();
    set_threads(1);
    const fitted_directions one = fit_directions(m, pairs, options);
    set_threads(threads);
    BOOST_TEST((many.set.of == one.set.of));
    BOOST_REQUIRE(many.separation.size() == 2);
    for (std::size_t l = 0; l < 2; ++l) {
        BOOST_TEST(many.separation[l].layer == l);
        BOOST_TEST(many.separation[l].random == one.separation[l].random);
        BOOST_TEST(many.separation[l].margin == one.separation[l].margin);
    }
    BOOST_TEST(many.set.pairs == pairs.size());
    BOOST_TEST(many.set.hint == "llama");
    BOOST_TEST(many.set.fingerprint == m.fingerprint());
}

BOOST_AUTO_TEST_CASE(held_out_pairs_by_hand) {
    // Differences (2, 0), (2, 0), (-4, 0), (1, 5): leaving one out, the mean of the others is
    // (-1/3, 5/3), (-1/3, 5/3), (5/3, 5/3), (0, 0).
    const xt::xtensor<double, 2> vectors{{2, 0}, {0, 0}, {2, 1}, {0, 1},
                                         {0, 0}, {4, 0}, {1, 5}, {0, 0}};
    const pair_geometry geometry(vectors);
    const std::vector<double> d = geometry.direction(false);
    BOOST_TEST(std::abs(d[0] - 0.25) < 1e-15);
    BOOST_TEST(std::abs(d[1] - 1.25) < 1e-15);
    BOOST_TEST(geometry.hold_out(false, 4, 0, 0).share == 0.125);  // three wrong, one of length 0
    // Σ δδᵀ = (25, 5; 5, 25): its first component is (1, 1)/√2, and the mean of the differences
    // along that 1.5/√2.
    const std::vector<double> axis = geometry.direction(true);
    BOOST_TEST(std::abs(axis[0] - 0.75) < 1e-9);
    BOOST_TEST(std::abs(axis[1] - 0.75) < 1e-9);
    // All differences alike but for noise across: each is separated, and so are few random ones.
    xt::xtensor<double, 2> apart = xt::zeros<double>({20, 3});
    for (std::size_t i = 0; i < 10; ++i) {
        apart(2 * i, 0) = 4.0;
        apart(2 * i, 1) = apart(2 * i + 1, 1) = static_cast<double>(i % 3) - 1.0;
        apart(2 * i, 2) = static_cast<double>(i % 2) - 0.5;
    }
    const held_out_pairs found = pair_geometry(apart).hold_out(false, 10, 50, 1);
    BOOST_TEST(found.share == 1.0);
    BOOST_TEST(found.margin > 5.0);
    BOOST_TEST(found.random < 1.0);
    BOOST_TEST(found.random > 0.5);
    BOOST_TEST(found.random_high <= 1.0);
    BOOST_TEST(found.random_high >= found.random);
}

BOOST_AUTO_TEST_CASE(the_largest_eigenvector) {
    const xt::xtensor<double, 2> g{{2, 1, 0}, {1, 2, 0}, {0, 0, 1}};
    const std::vector<double> u = top_eigenvector(g);
    BOOST_TEST(std::abs(std::abs(u[0]) - std::sqrt(0.5)) < 1e-10);
    BOOST_TEST(std::abs(u[0] - u[1]) < 1e-10);
    BOOST_TEST(std::abs(u[2]) < 1e-10);
    const xt::xtensor<double, 2> nothing = xt::zeros<double>({3, 3});
    BOOST_TEST(error_message([&] { (void)top_eigenvector(nothing); }) ==
               "principal component: expected a matrix that is finite and not zero");
    xt::xtensor<double, 2> near = xt::zeros<double>({2, 2});
    near(0, 0) = 1.0;
    near(1, 1) = 1.0 - 1e-7;
    BOOST_TEST(error_message([&] {
                   (void)top_eigenvector(near);
               }).starts_with("principal component: the two largest"));
}

BOOST_AUTO_TEST_CASE(a_control_vector_is_that_of_the_gguf_package) {
    const auto path = golden_path("directions/llama_cpp.gguf");
    const direction_set read = read_directions(path);
    BOOST_TEST(read.hint == "llama");
    BOOST_TEST((read.site == hook::after));
    BOOST_TEST(read.of.size() == 3);
    for (const auto& [layer, values] : golden()["control_vector"].items()) {
        BOOST_TEST((read.of.at(std::stoul(layer)) == values.get<std::vector<float>>()));
    }
    const temporary_directory folder;
    const auto own = folder.path() / "own.gguf";
    atomic_file to(own);
    write_control_vector(to, read);
    BOOST_TEST(contents(own) == contents(path));  // what the package writes, byte for byte
}

BOOST_AUTO_TEST_CASE(files_give_back_what_they_were_given) {
    const temporary_directory folder;
    const auto path = folder.path() / "d.safetensors";
    direction_set set = some_set();
    set.site = hook::before;
    {
        atomic_file to(path);
        write_directions(to, set);
    }
    const direction_set read = read_directions(path);
    BOOST_TEST((read.site == hook::before));
    BOOST_TEST((read.of == set.of));
    BOOST_TEST(read.method == "pca");
    BOOST_TEST(read.position == "last");
    BOOST_TEST(read.pairs == 9);
    BOOST_TEST(read.layers == 5);
    BOOST_TEST(read.fingerprint == set.fingerprint);
    BOOST_TEST(read.hint == "llama");
    std::string bytes = contents(path);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    const auto damaged = folder.write("x.safetensors", bytes);
    BOOST_TEST(error_message([&] { (void)read_directions(damaged); }).find(": checksum: ") !=
               std::string::npos);
    atomic_file to(folder.path() / "d.gguf");
    BOOST_TEST(error_message([&] { write_control_vector(to, set); }) ==
               "directions: a control vector acts after the FFN update, not before it");
    set.site = hook::after;
    set.of[0] = set.of[1];
    BOOST_TEST(error_message([&] { write_control_vector(to, set); }) ==
               "directions: layer 0: a control vector has layers from 1 on");
    set.of.clear();
    BOOST_TEST(error_message([&] { write_directions(to, set); }) ==
               "directions: expected at least 1, got 0");
    BOOST_TEST(is_control_vector("a.b/c.gguf"));
    BOOST_TEST(!is_control_vector("c.safetensors"));
    BOOST_TEST(error_message([&] { (void)is_control_vector("c.bin"); }) ==
               "c.bin: expected a name that ends in .gguf or .safetensors");
}

BOOST_AUTO_TEST_CASE(bad_files_are_refused) {
    const temporary_directory folder;
    const auto refusal = [&](const gguf_builder& file) {
        const std::string path = file_of(folder, file);
        return error_message([&] { (void)read_directions(path); }).substr(path.size());
    };
    const auto begun = [] { return gguf_builder().text("general.architecture", "controlvector"); };
    const std::string floats(8, '\1');
    BOOST_TEST(refusal(gguf_builder().text("general.architecture", "llama")) ==
               ": general.architecture: expected 'controlvector', got 'llama'");
    BOOST_TEST(refusal(begun()) == ": expected a direction that is not zero, got none");
    BOOST_TEST(refusal(begun().tensor("direction.1", {2}, 0, 0).data(std::string(8, '\0'))) ==
               ": expected a direction that is not zero, got none");
    BOOST_TEST(refusal(begun().tensor("direction.0", {2}, 0, 0).data(floats)) ==
               ": direction.0: control vectors begin with layer 1");
    BOOST_TEST(refusal(begun().tensor("direction.x", {2}, 0, 0).data(floats)) ==
               ": tensor 'direction.x': expected direction.L, L being a layer");
    BOOST_TEST(refusal(begun().tensor("direction.1", {2, 1}, 0, 0).data(floats)) ==
               ": direction.1: expected f32 of one dimension, got f32 (1, 2)");
    BOOST_TEST(refusal(begun().tensor("direction.1", {2}, 0, 0).data(std::string(8, '\xff'))) ==
               ": direction.1: number 0 is -nan, expected a finite one");
    BOOST_TEST(refusal(begun()
                           .tensor("direction.1", {2}, 0, 0)
                           .tensor("direction.2", {3}, 0, 32)
                           .data(floats + std::string(24, '\0') + std::string(12, '\1'))) ==
               ": direction.2: width 3, others have 2");
    const model m = load(golden_path("models/llama/hf"));
    const auto misfit = [&](const direction_set& set) {
        return error_message([&] { check_directions(set, m.config, m.fingerprint(), "d"); });
    };
    direction_set set;
    set.of[1] = std::vector<float>(m.config.width, 1.0F);
    BOOST_TEST(misfit(set) == "(no error)");
    set.hint = "gemma3";
    BOOST_TEST(misfit(set) == "d: directions: made for 'gemma3', the model is 'llama'");
    set.hint = "llama";
    set.layers = 30;
    BOOST_TEST(misfit(set) == "d: directions: of 30 layers, the model has 2");
    set.layers = 2;
    set.fingerprint = 1;
    BOOST_TEST(misfit(set).starts_with("d: directions: made of model 0000000000000001, this one "));
    set.of[2] = set.of[1];
    BOOST_TEST(misfit(set) == "d: directions: layer 2, the model has layers 0 to 1");
    set.of = {{1, {1.0F}}};
    BOOST_TEST(misfit(set) ==
               "d: directions: width 1, the model has " + std::to_string(m.config.width));
}

BOOST_AUTO_TEST_CASE(steering_by_a_set_is_steering_layer_by_layer) {
    const model m = load(golden_path("models/llama/hf"));
    const std::vector<token_id> ids{3, 1, 4, 1, 5};
    const auto logits = [&](auto&... policies) {
        sequence_state state = m.start();
        m.forward(state, ids, policies...);
        return std::vector<float>(state.logits.begin(), state.logits.end());
    };
    direction_set set;
    for (const std::size_t l : {0U, 1U}) {
        set.of[l].resize(m.config.width);
        for (std::size_t d = 0; d < m.config.width; ++d) {
            set.of[l][d] = std::sin(static_cast<float>(d + l));
        }
    }
    std::vector<float> half = set.of[0];
    for (float& x : half) { x *= 0.5F; }
    std::vector<float> other = set.of[1];
    for (float& x : other) { x *= 0.5F; }
    steer first(0, half);
    steer second(1, other);
    steer_directions both(set, 0.5F);
    const std::vector<std::size_t> one{1};
    steer_directions last(set, 0.5F, one);
    steer_directions at_end(set, 0.5F, one, position_set{4});
    steer second_at_end(1, other, position_set{4});
    BOOST_TEST((logits(both) == logits(first, second)));
    BOOST_TEST((logits(last) == logits(second)));
    BOOST_TEST((logits(at_end) == logits(second_at_end)));
    BOOST_TEST((logits(last) != logits(both)));
    set.site = hook::before;
    steer_directions before(set, 0.5F);
    BOOST_TEST((logits(before) != logits(both)));
    const std::vector<std::size_t> none{3};
    BOOST_TEST(error_message([&] { (void)steer_directions(set, 1.0F, none); }) ==
               "directions: none of layer 3");
    BOOST_TEST(error_message([&] { (void)steer_directions(set, NAN); }) ==
               "directions: strength: expected a finite number, got nan");
    BOOST_TEST(error_message([&] { (void)steer(0, half, NAN); }) ==
               "steer: strength: expected a finite number, got nan");
    steer nowhere(static_cast<std::size_t>(-1), half);
    BOOST_TEST(error_message([&] { logits(nowhere); }) == "layer: -1, the model has layers 0 to 1");
}

BOOST_AUTO_TEST_CASE(texts_are_steered_as_by_hooks_of_pytorch) {
    const model m = load(default_model());
    const json& expected = golden()["smollm2"];
    fit_directions_options options;
    options.layers = expected["layers"].get<std::vector<std::size_t>>();
    const fitted_directions found = fit_directions(m, pairs_of(expected["pairs"]), options);
    for (std::size_t k = 0; k < options.layers.size(); ++k) {
        const double length = expected["lengths"][k].get<double>();
        BOOST_TEST(std::abs(found.separation[k].length - length) < 1e-3 * length);
    }
    for (const json& text : expected["texts"]) {
        const auto ids = text["ids"].get<std::vector<token_id>>();
        const auto count = text["steered"].size();
        const auto written = [&](auto&... policies) {
            sequence_state state = m.start();
            std::vector<token_id> out;
            std::vector<token_id> fresh = ids;
            for (std::size_t i = 0; i < count; ++i) {
                m.forward(state, fresh, policies...);
                const auto best = std::max_element(state.logits.begin(), state.logits.end());
                out.push_back(static_cast<token_id>(best - state.logits.begin()));
                fresh = {out.back()};
            }
            return out;
        };
        steer_directions push(found.set, expected["strength"].get<float>());
        BOOST_TEST((written(push) == text["steered"].get<std::vector<token_id>>()));
        BOOST_TEST((written() == text["plain"].get<std::vector<token_id>>()));
    }
}

BOOST_AUTO_TEST_CASE(pairs_are_read_from_lines) {
    const temporary_directory folder;
    const auto path = folder.write("p.jsonl",
                                   "{\"positive\": \"a\", \"negative\": \"b c\"}\r\n\n"
                                   "{\"negative\": \"d\", \"positive\": \"e\\nf\"}");
    const std::vector<written_pair> pairs = read_pairs(path);
    BOOST_REQUIRE(pairs.size() == 2);
    BOOST_TEST(pairs[0].negative == "b c");
    BOOST_TEST(pairs[1].positive == "e\nf");
    BOOST_TEST(pairs[1].place == path.string() + ": line 3");
    const auto refusal = [&](const std::string& text) {
        const auto bad = folder.write("bad.jsonl", text);
        return error_message([&] { (void)read_pairs(bad); }).substr(bad.string().size());
    };
    BOOST_TEST(refusal("\n") == ": expected at least 1 pair, got 0");
    BOOST_TEST(refusal("{\"positive\": \"a\", \"negative\": \"\"}") ==
               ": line 1: negative: expected a text, got ''");
    BOOST_TEST(refusal("{\"positive\": \"a\", \"negativ\": \"b\"}") ==
               ": line 1: unknown key 'negativ', expected positive and negative");
    const auto one = folder.write("one.txt", "a\nb\n");
    const auto two = folder.write("two.txt", "c\n");
    BOOST_TEST(error_message([&] { (void)read_pairs(one, two); }) ==
               one.string() + ": 2 lines, " + two.string() + " has 1");
    BOOST_TEST(read_pairs(one, one).size() == 2);
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
    const model m = load(golden_path("models/llama/hf"));
    const std::vector<text_pair> pairs{{{1, 2}, {3, 4}}, {{5, 6}, {7, 8}}};
    fit_directions_options options;
    const auto refusal = [&](std::span<const text_pair> given) {
        return error_message([&] { (void)fit_directions(m, given, options); });
    };
    BOOST_TEST(refusal({}) == "directions: expected at least 1 pair, got 0");
    const std::vector<text_pair> same{{{1, 2}, {1, 2}}};
    BOOST_TEST(refusal(same) ==
               "directions: layer 0: expected texts that differ, got a difference of length 0");
    BOOST_TEST(fit_directions(m, std::span(pairs).first(1)).separation.empty());
    const std::vector<text_pair> none{{{1}, {}}};
    BOOST_TEST(refusal(none).starts_with("directions: pair 0: negative: 0 tokens, expected 1 to "));
    options.layers = {2};
    BOOST_TEST(refusal(pairs) == "directions: layer 2, the model has layers 0 to 1");
    options.layers = {1, 1};
    BOOST_TEST(refusal(pairs) == "directions: layer 1 is given twice");
    options.site = hook::logits;
    BOOST_TEST(refusal(pairs) == "directions: expected hook::before or hook::after");
}

BOOST_AUTO_TEST_CASE(ranges) {
    BOOST_TEST((parse_ranges("f", "3,5-7", 8) == std::vector<std::size_t>{3, 5, 6, 7}));
    BOOST_TEST((parse_ranges("f", "all", 3) == std::vector<std::size_t>{0, 1, 2}));
    const auto refusal = [](const char* text) {
        return error_message([&] { (void)parse_ranges("f", text, 8); });
    };
    const std::string expected = "f: expected numbers and ranges from 0 to 7 such as 3,5-8, got ";
    BOOST_TEST(refusal("8") == expected + "'8'");
    BOOST_TEST(refusal("-1") == expected + "'-1'");
    BOOST_TEST(refusal("1,") == expected + "'1,'");
    BOOST_TEST(refusal("1-") == expected + "'1-'");
    BOOST_TEST(refusal("") == expected + "''");
    BOOST_TEST(refusal("99999999999999999999999") == expected + "'99999999999999999999999'");
    BOOST_TEST(refusal("5-3") == expected + "'5-3'");
    BOOST_TEST((parse_ranges("f", "2,1-3", 8) == std::vector<std::size_t>{1, 2, 3}));
}
