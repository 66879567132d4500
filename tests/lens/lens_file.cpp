// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE lens_file
#include <boost/test/unit_test.hpp>

#include <xlens/io/load.hpp>
#include <xlens/lens/lens_file.hpp>
#include <xlens/model/model.hpp>
#include <xlens/model/state.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/trace/residual.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/rows_of_floats.hpp"
#include "support/temporary_directory.hpp"

#include <cstddef>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

// tests/golden/make_lenses.py: what PyTorch reads through the lenses that it wrote.
const nlohmann::json& golden() {
    static const nlohmann::json document = read_golden(golden_path("lenses/golden.json"));
    return document;
}
std::filesystem::path lens_path(const char* name) {
    return golden_path(std::string("lenses/") + name);
}
const model& llama() {
    static const model m = load(golden_path("models/llama/hf"));
    return m;
}
std::vector<token_id> ids() { return golden()["ids"].get<std::vector<token_id>>(); }

/// The logits of a residual as the model reads it at the end.
std::vector<float> logits(std::vector<float> x) {
    xt::xtensor<float, 2> out = xt::empty<float>({std::size_t{1}, llama().config.vocabulary});
    llama().read_out({x.data(), 1, x.size()}, out);
    return {out.begin(), out.end()};
}

/// After layer 0 at the last position, through what the lens has for it.
std::vector<float> read_after_first(const linear_lens& lens) {
    std::vector<float> x = residual(llama(), ids(), hook::after, 0, ids().size() - 1);
    lens.translate(0, {x.data(), 1, x.size()});
    return logits(std::move(x));
}

std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write(const std::filesystem::path& path, const lens_file& lens) {
    atomic_file to(path);
    write_lens(to, lens);
}

}  // namespace

// Map 1 of a tuned lens reads what enters block 1, which is what layer 0 leaves.
BOOST_AUTO_TEST_CASE(a_tuned_lens_reads_as_its_authors_does) {
    const lens_file file = read_lens_file(lens_path("tuned"));
    BOOST_TEST(file.facts.kind == "tuned");
    BOOST_TEST(file.facts.model == "xlens/llama");
    BOOST_TEST(file.facts.layers == 2);
    const auto expected = golden()["tuned"][1].get<std::vector<float>>();
    const std::vector<float> read = read_after_first(read_lens(lens_path("tuned"), llama()));
    BOOST_TEST(max_difference(read, expected) < 1e-5 * largest_magnitude(expected));
    // ... and map 0 what enters block 0.
    BOOST_REQUIRE(file.lens.embedding().has_value());
    std::vector<float> x(llama().config.width);
    xt::xtensor<float, 2> first = xt::empty<float>({std::size_t{1}, x.size()});
    const token_id last = ids().back();
    llama().embedding({&last, 1}, first);
    (*file.lens.embedding())(first);
    const auto start = golden()["tuned"][0].get<std::vector<float>>();
    BOOST_TEST(max_difference(logits({first.begin(), first.end()}), start) <
               1e-5 * largest_magnitude(start));
}

// J_0 reads what layer 0 leaves: not one later, nor one earlier.
BOOST_AUTO_TEST_CASE(a_jacobian_lens_reads_as_its_authors_does) {
    const lens_file file = read_lens_file(lens_path("jacobian.pt"));
    BOOST_TEST(file.facts.kind == "jacobian");
    BOOST_TEST(file.facts.examples == 3);
    const auto expected = golden()["jacobian"].get<std::vector<float>>();
    for (const char* name : {"jacobian.pt", "checkpoint.pt"}) {
        const std::vector<float> read = read_after_first(read_lens(lens_path(name), llama()));
        BOOST_TEST(max_difference(read, expected) < 1e-5 * largest_magnitude(expected), name);
    }
}

BOOST_AUTO_TEST_CASE(a_lens_is_written_and_read_bit_for_bit) {
    const temporary_directory folder;
    const auto path = folder.path() / "lens";
    for (const char* name : {"tuned", "jacobian.pt"}) {
        lens_file file = read_lens_file(lens_path(name));
        file.facts.fingerprint = llama().fingerprint();
        write(path, file);
        const lens_file again = read_lens_file(path);
        BOOST_TEST(again.lens.hash() == file.lens.hash());
        BOOST_TEST(again.facts.kind == file.facts.kind);
        BOOST_TEST(again.facts.model == file.facts.model);
        BOOST_TEST(again.facts.examples == file.facts.examples);
        BOOST_TEST(read_lens(path, llama()).has(0));
    }
}

BOOST_AUTO_TEST_CASE(lenses_of_other_models_are_refused) {
    const temporary_directory folder;
    const auto path = folder.path() / "lens";
    const std::string name = path.string();
    const auto refused = [&](auto change) {
        lens_file file = read_lens_file(lens_path("tuned"));
        file.facts.fingerprint = llama().fingerprint();
        change(file);
        return error_message([&] { lens_for(std::move(file), llama(), name); });
    };
    BOOST_TEST(refused([](lens_file&) {}) == "(no error)");
    BOOST_TEST(refused([](lens_file& f) { f.facts.width = 64; }) ==
               name + ": lens: width 64, the model has 32");
    BOOST_TEST(refused([](lens_file& f) { f.facts.layers = 3; }) ==
               name + ": lens: of 3 layers, the model has 2");
    BOOST_TEST(refused([](lens_file& f) { f.facts.target = 0; }) ==
               name + ": lens: fitted to the output of layer 0, the model's last is 1");
    BOOST_TEST(refused([](lens_file& f) {
                   f.facts.fingerprint = 5;
               }).starts_with(name + ": lens: fitted to model 0000000000000005, this one is "));
    BOOST_TEST(refused([](lens_file& f) { f.lens.set(7, f.lens.layers().at(0)); }) ==
               name + ": lens: layer 7, the model has layers 0 to 1");
    BOOST_TEST(refused([](lens_file& f) { f.lens.erase(0); }) ==
               name + ": lens: no layer before the last has a map");
}

BOOST_AUTO_TEST_CASE(other_files_are_refused) {
    const temporary_directory folder;
    const auto message = [](const std::filesystem::path& path) {
        return error_message([&] { read_lens_file(path); });
    };
    BOOST_TEST(message(folder.path()) ==
               folder.path().string() +
                   ": expected a lens: config.json and params.pt, or lens.pt; got none of them");
    const auto params = lens_path("tuned/params.pt");
    BOOST_TEST(message(params).starts_with(params.string() + ": expected a Jacobian lens, "));
    const std::string config = bytes_of(lens_path("tuned/config.json"));
    const auto of_config = [&](const std::string& from, const std::string& to) {
        std::string text = config;
        text.replace(text.find(from), from.size(), to);
        folder.write("tuned/config.json", text);
        folder.write("tuned/params.pt", bytes_of(params));
        const std::string out = message(folder.path() / "tuned");
        const std::string begin = (folder.path() / "tuned").string() + "/";
        return out.starts_with(begin) ? out.substr(begin.size()) : out;
    };
    BOOST_TEST(of_config("\"d_model\": 32", "\"d_model\": 33") ==
               "params.pt: 0.weight: expected (33, 33), got (32, 32)");
    BOOST_TEST(of_config("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3") ==
               "params.pt: expected 6 tensors of 3 layers, got 4");
    BOOST_TEST(of_config("linear_tuned_lens", "other") ==
               "config.json: lens_type: expected linear_tuned_lens, got other");
    BOOST_TEST(of_config("\"bias\": true", "\"bias\": true, \"layer_norm\": true") ==
               "config.json: layer_norm: true is not supported");

    write(folder.path() / "own", read_lens_file(lens_path("tuned")));
    const std::string whole = bytes_of(folder.path() / "own");
    for (std::size_t i = 0; i < whole.size(); i += 97) {
        std::string bytes = whole;
        bytes[i] = static_cast<char>(bytes[i] ^ 0x01);
        folder.write("own", bytes);
        BOOST_TEST(message(folder.path() / "own") != "(no error)", i);
        folder.write("own", whole.substr(0, i));
        BOOST_TEST(message(folder.path() / "own") != "(no error)", i);
    }
}
