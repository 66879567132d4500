// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE concept_index
#include <boost/test/unit_test.hpp>

#include <xlens/concepts/concept_index.hpp>
#include <xlens/concepts/value_concepts.hpp>
#include <xlens/io/load.hpp>
#include <xlens/model/presets.hpp>

#include "support/error_message.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_model.hpp"

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

constexpr std::uint64_t hash = 0x1234;
constexpr auto no_progress = [](std::size_t, std::size_t) {};

struct written_index {
    explicit written_index(std::size_t top, projection form = projection::folded)
        : tiny("qwen3/hf"), path(folder.path() / "index") {
        write_index(tiny.model, hash, top, form, path, no_progress);
    }
    [[nodiscard]] std::string bytes() const {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    temporary_directory folder;
    tiny_model<> tiny;
    std::filesystem::path path;
};

}  // namespace

BOOST_AUTO_TEST_CASE(holds_what_the_lens_projects) {
    for (const projection form : {projection::raw, projection::folded, projection::normed}) {
        const written_index index(6, form);
        const concept_index read(index.path, hash);
        const auto& config = index.tiny.model.config;
        BOOST_TEST((read.form() == form));
        BOOST_TEST_REQUIRE(read.layers() == config.layers);
        BOOST_TEST_REQUIRE(read.inner_width() == config.inner_width);
        BOOST_TEST_REQUIRE(read.top() == 6U);
        const logit_lens lens(index.tiny.model);
        for (std::size_t l = 0; l < config.layers; ++l) {
            for (std::size_t i = 0; i < config.inner_width; i += 5) {
                xt::xtensor<float, 2> v = xt::empty<float>({std::size_t{1}, config.width});
                index.tiny.model.blocks[l].ffn.value(i, rows<float>(v)[0]);
                const token_ends ends = lens.project(v, 6, form).front();
                const auto same = [](std::span<const scored> a, const std::vector<scored>& b) {
                    return std::ranges::equal(a, b);
                };
                BOOST_REQUIRE(same(read.promotes({l, i}), ends.promotes));
                BOOST_REQUIRE(same(read.suppresses({l, i}), ends.suppresses));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(an_end_is_no_longer_than_the_vocabulary) {
    const written_index index(1'000'000);
    BOOST_TEST(concept_index(index.path, hash).top() == index.tiny.model.config.vocabulary);
}

BOOST_AUTO_TEST_CASE(other_files_are_refused) {
    const written_index index(4);
    const std::string good = index.bytes();
    const temporary_directory folder;
    const auto refusal = [&](std::string bytes) {
        const auto path = folder.write("bad", bytes);
        const std::string message = error_message([&] { concept_index(path, hash); });
        BOOST_TEST(message.starts_with(path.string() + ": "));
        return message.substr(std::min(message.size(), path.string().size() + 2));
    };
    const auto changed = [&](std::size_t at, std::uint32_t value) {
        std::string bytes = good;
        std::memcpy(bytes.data() + at, &value, sizeof value);
        return bytes;
    };
    BOOST_TEST(refusal("") ==
               "header at byte 0: expected 40 more bytes, got 0 before the end of the file");
    BOOST_TEST(refusal(good.substr(0, 39)) ==
               "header at byte 0: expected 40 more bytes, got 39 before the end of the file");
    BOOST_TEST(refusal("GGUF" + good.substr(4)) ==
               "not an xlens index: expected it to begin with 'xlensidx', got 'GGUFsidx'");
    BOOST_TEST(refusal(changed(8, 3)) == "index: expected version 1 or 2, got 3");
    BOOST_TEST(refusal(changed(8, 0)) == "index: expected version 1 or 2, got 0");
    BOOST_TEST(refusal(changed(12, 4)) == "index: projection: expected 0 to 3, got 4");
    BOOST_TEST(refusal(changed(16, 0x4321)) ==
               "index: expected one of this model, 0000000000001234, got one of 0000000000004321");
    const auto size = std::to_string(good.size());
    const auto layers = std::to_string(index.tiny.model.config.layers);
    const auto neurons = std::to_string(index.tiny.model.config.inner_width);
    const auto misfit = [&](const std::string& bytes, const std::string& l, const std::string& n,
                            const std::string& top) {
        BOOST_TEST(refusal(bytes) == "index: " + std::to_string(bytes.size()) +
                                         " bytes do not hold " + l + " layers of " + n +
                                         " neurons, " + top + " tokens an end");
    };
    misfit(good.substr(0, good.size() - 1), layers, neurons, "4");
    misfit(good + "x", layers, neurons, "4");
    misfit(changed(8, 1), layers, neurons, "4");
    misfit(changed(24, 0), "0", neurons, "4");
    misfit(changed(24, 0xFFFFFFFF), "4294967295", neurons, "4");
    misfit(changed(28, 0), layers, "0", "4");
    misfit(changed(36, 5), layers, neurons, "5");
    misfit(good.substr(0, 40), layers, neurons, "4");
}

BOOST_AUTO_TEST_CASE(it_holds_the_kurtosis_of_every_neuron) {
    const written_index index(3);
    const concept_index read(index.path, hash);
    const auto& config = index.tiny.model.config;
    BOOST_TEST_REQUIRE(read.kurtosis().size() == config.layers * config.inner_width);
    for (std::size_t l = 0; l < config.layers; ++l) {
        for (std::size_t i = 0; i < config.inner_width; ++i) {
            BOOST_TEST(read.kurtosis()[l * config.inner_width + i] ==
                       concept_of(index.tiny.model, {l, i}, 1).kurtosis);
        }
    }
}

// What 0.1.0 wrote: no kurtosis behind the tokens.
BOOST_AUTO_TEST_CASE(a_file_of_version_1_is_read) {
    const written_index index(6);
    const auto& config = index.tiny.model.config;
    std::string bytes = index.bytes();
    bytes.resize(bytes.size() - config.layers * config.inner_width * sizeof(float));
    const std::uint32_t first_version = 1;
    std::memcpy(bytes.data() + 8, &first_version, sizeof first_version);
    const temporary_directory folder;
    const auto path = folder.write("old", bytes);
    const concept_index old(path, hash);
    const concept_index now(index.path, hash);
    BOOST_TEST(old.kurtosis().empty());
    for (const neuron& n : {neuron{0, 0}, neuron{1, 7}}) {
        BOOST_TEST((old.ends(n, 6).promotes == now.ends(n, 6).promotes));
        const value_concept a = concept_of(index.tiny.model, old, n, 4);
        const value_concept b = concept_of(index.tiny.model, now, n, 4);
        BOOST_TEST(a.kurtosis == b.kurtosis);
    }
}

BOOST_AUTO_TEST_CASE(ends_are_copied_and_checked) {
    const written_index index(6);
    const concept_index read(index.path, hash);
    const auto& config = index.tiny.model.config;
    for (const std::size_t k : {0U, 4U, 6U}) {
        const neuron n{config.layers - 1, 3};
        const token_ends ends = read.ends(n, k);
        BOOST_TEST(std::ranges::equal(ends.promotes, read.promotes(n).first(k)));
        BOOST_TEST(std::ranges::equal(ends.suppresses, read.suppresses(n).first(k)));
    }
    const std::string path = index.path.string();
    const std::string layers = std::to_string(config.layers);
    const auto refusal = [](const concept_index& from, const neuron& n, std::size_t k) {
        return error_message([&] { static_cast<void>(from.ends(n, k)); });
    };
    BOOST_TEST(refusal(read, {0, 0}, 7) ==
               path + ": index: tokens an end: expected at least 7, got 6");
    BOOST_TEST(refusal(read, {config.layers, 0}, 1) == "neuron " + layers + ":0: layer " + layers +
                                                           ", the model has layers 0 to " +
                                                           std::to_string(config.layers - 1));

    const auto with_first_token = [&](std::int32_t id) {
        std::string bytes = index.bytes();
        std::memcpy(bytes.data() + 40, &id, sizeof id);
        std::ofstream(index.path, std::ios::binary) << bytes;
        return concept_index(index.path, hash);
    };
    const auto vocabulary = static_cast<std::int32_t>(config.vocabulary);
    const std::string range = ": expected 0 to " + std::to_string(vocabulary - 1);
    for (const std::int32_t id : {vocabulary, -2}) {
        const concept_index broken = with_first_token(id);
        BOOST_TEST(refusal(broken, {0, 0}, 1) ==
                   path + ": index: neuron 0:0: token " + std::to_string(id) + range);
    }
    BOOST_TEST(with_first_token(-1).ends({0, 0}, 3).promotes.empty());
}

BOOST_AUTO_TEST_CASE(an_index_of_other_sizes_is_refused) {
    const written_index index(6, projection::raw);
    const concept_index read(index.path, hash);
    const hyperparameters config = index.tiny.model.config;
    read.check(config, projection::raw);
    const auto refusal = [&](std::size_t hyperparameters::*size) {
        hyperparameters other = config;
        other.*size += 1;
        return error_message([&] { read.check(other, projection::raw); });
    };
    const auto message = [&](const std::string& field, std::size_t found) {
        return index.path.string() + ": index: " + field + ": expected " +
               std::to_string(found + 1) + ", got " + std::to_string(found);
    };
    BOOST_TEST(refusal(&hyperparameters::layers) == message("layers", config.layers));
    BOOST_TEST(refusal(&hyperparameters::inner_width) ==
               message("neurons a layer", config.inner_width));
    BOOST_TEST(refusal(&hyperparameters::vocabulary) == message("vocabulary", config.vocabulary));
    BOOST_TEST(error_message([&] { read.check(config, projection::folded); }) ==
               index.path.string() + ": index: projection: expected folded, got raw");
}

BOOST_AUTO_TEST_CASE(a_concept_from_an_index_is_the_computed_one) {
    for (const projection form :
         {projection::raw, projection::folded, projection::normed, projection::standard}) {
        const written_index index(6, form);
        const auto& model = index.tiny.model;
        const neuron where{1, 7};
        const value_concept computed = concept_of(model, where, 4, form);
        const value_concept read = concept_of(model, concept_index(index.path, hash), where, 4);
        BOOST_TEST((read.ends.promotes == computed.ends.promotes));
        BOOST_TEST((read.ends.suppresses == computed.ends.suppresses));
        BOOST_TEST(read.norm == computed.norm, boost::test_tools::tolerance(1e-6F));
        BOOST_TEST(computed.norm == model.value_norms()[1][7], boost::test_tools::tolerance(1e-6F));
    }
    const tiny_model<> tiny("qwen3/hf");
    const std::size_t layers = tiny.model.config.layers;
    BOOST_TEST(error_message([&] {
                   (void)concept_of(tiny.model, {layers, 0}, 4);
               }).starts_with("neuron " + std::to_string(layers) + ":0"));
}

BOOST_AUTO_TEST_CASE(an_index_is_opened_for_its_own_model) {
    const temporary_directory folder;
    const std::string path = (folder.path() / "index").string();
    const model own = load(golden_path("models/qwen3/hf"));
    write_index(own, own.fingerprint(), 6, projection::folded, path, no_progress);
    BOOST_TEST(open_index(path, own, projection::folded, 6).top() == 6U);
    BOOST_TEST(error_message([&] { open_index(path, own, projection::folded, 7); }) ==
               path + ": index: tokens an end: expected at least 7, got 6");
    BOOST_TEST(error_message([&] { open_index(path, own, projection::raw, 6); }) ==
               path + ": index: projection: expected raw, got folded");
    const model other = load(golden_path("models/qwen2/hf"));
    BOOST_TEST(error_message([&] {
                   open_index(path, other, projection::folded, 6);
               }).starts_with(path + ": index: expected one of this model"));
}
