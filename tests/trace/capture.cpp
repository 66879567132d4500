// SPDX-License-Identifier: BSD-3-Clause
// Captured arrays against transformers (tests/golden/capture, by make_capture.py), and the files:
// what is in them, how a run goes on, how shards are merged, what is refused.
#define BOOST_TEST_MODULE capture
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/interventions/intervene.hpp>
#include <xlens/io/load.hpp>
#include <xlens/io/npy_header.hpp>
#include <xlens/storage/formats/floats.hpp>
#include <xlens/storage/to_half.hpp>
#include <xlens/trace/capture.hpp>
#include <xlens/trace/capture_reader.hpp>
#include <xlens/trace/merge_captures.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/safetensors_arrays.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_model.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
namespace data = boost::unit_test::data;
namespace fs = std::filesystem;

namespace {

const tiny_model<>& llama() {
    static const tiny_model<> m("llama/hf");
    return m;
}

const std::vector<std::string> layer_sites{
    "before", "after",  "attention_out", "ffn_out",         "queries",
    "keys",   "values", "head_outputs",  "pre_activations", "coefficients"};
/// All but the pattern, whose rows are padded.
std::vector<std::string> all_sites() {
    std::vector<std::string> out{"embedding", "final", "logits"};
    out.insert(out.end(), layer_sites.begin(), layer_sites.end());
    return out;
}

/// Prompts of 24, 5, 1 and 30 tokens.
std::vector<source_sequence> prompts() {
    const std::vector<token_id>& ids = llama().ids;
    std::vector<source_sequence> out;
    out.push_back({ids, "first"});
    out.push_back({{ids.begin() + 3, ids.begin() + 8}, "second", R"({"label":1})"});
    out.push_back({{7}, "third"});
    std::vector<token_id> longer(ids);
    longer.insert(longer.end(), ids.begin(), ids.begin() + 6);
    out.push_back({longer, "fourth"});
    return out;
}
capture_source source() { return capture_prompts("prompts", prompts()); }

struct stopped {};

/// A capture of the tiny model; stops after some sequences if asked to.
capture_result run(capture_options what, const fs::path& folder, std::size_t sequences = SIZE_MAX,
                   const capture_source& from = source()) {
    what.progress = [&](std::size_t, std::size_t) {
        if (--sequences == 0) { throw stopped(); }
    };
    return capture(llama().model, from, what, folder);
}

std::string contents(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Every file of a folder by its name.
std::map<std::string, std::string> files_of(const fs::path& folder) {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::directory_iterator(folder)) {
        out[entry.path().filename().string()] = contents(entry.path());
    }
    return out;
}

bool same_files(const fs::path& a, const fs::path& b) {
    const auto of_a = files_of(a);
    const auto of_b = files_of(b);
    BOOST_TEST(of_a.size() == of_b.size());
    for (const auto& [name, bytes] : of_a) {
        BOOST_TEST_CONTEXT(name) {
            BOOST_TEST(of_b.contains(name));
            BOOST_TEST((of_b.contains(name) && of_b.at(name) == bytes));
        }
    }
    return of_a == of_b;
}

/// Rows that another policy sees in passes over one prompt after the other.
struct plain_sites {
    static constexpr hook hooks = all_hooks;
    std::map<std::string, std::vector<float>> rows_of;

#define XLENS_HOOK(name) \
    void name(const site& where, rows<float> x) { put(#name, where.layer, x); }
    XLENS_FOR_EACH_HOOK(XLENS_HOOK)
#undef XLENS_HOOK

    void put(const std::string& name, std::size_t layer, rows<float> x) {
        for (std::size_t t = 0; t < x.count(); ++t) {
            auto& to = rows_of[name + "." + std::to_string(layer)];
            to.insert(to.end(), x[t].begin(), x[t].end());
        }
    }
};

/// Notes how deep passes go.
struct deepest_layer {
    static constexpr hook hooks = hook::after;
    std::size_t deepest = 0;
    void after(const site& where, rows<float>) { deepest = std::max(deepest, where.layer); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(every_site_is_what_its_hook_sees) {
    const temporary_directory folder;
    capture_options what;
    what.sites = all_sites();
    what.file_bytes = 40'000;  // several files, cut within a sequence
    const capture_result made = run(what, folder.path() / "out");
    BOOST_TEST(made.rows == 60U);
    BOOST_TEST(made.files.size() > 2U);
    const auto arrays = read_capture(folder.path() / "out");
    BOOST_TEST(arrays.size() == 3U + 3U + layer_sites.size() * 2U);
    plain_sites seen;
    std::vector<std::int32_t> sequence;
    std::vector<std::int32_t> position;
    std::vector<std::int32_t> token;
    const auto all = prompts();
    for (std::size_t s = 0; s < all.size(); ++s) {
        sequence_state state = llama().model.start();
        state.wanted = logit_rows::all;
        llama().model.forward(state, all[s].tokens, seen);
        for (std::size_t p = 0; p < all[s].tokens.size(); ++p) {
            sequence.push_back(static_cast<std::int32_t>(s));
            position.push_back(static_cast<std::int32_t>(p));
            token.push_back(all[s].tokens[p]);
        }
    }
    BOOST_TEST(arrays.at("sequence").integers() == sequence, boost::test_tools::per_element());
    BOOST_TEST(arrays.at("position").integers() == position, boost::test_tools::per_element());
    BOOST_TEST(arrays.at("token").integers() == token, boost::test_tools::per_element());
    const auto check = [&](const std::string& name, const std::string& hook_name) {
        BOOST_TEST_CONTEXT(name) {
            BOOST_TEST((arrays.at(name).floats() == seen.rows_of.at(hook_name)));
        }
    };
    check("embedding", "embedding.0");
    check("final", "read_out.1");
    check("logits", "logits.1");
    for (const std::string l : {"0", "1"}) {
        for (const std::string& site : layer_sites) { check(site + "." + l, site + "." + l); }
    }
    const auto& config = llama().model.config;
    BOOST_TEST((arrays.at("queries.1").shape ==
                std::vector<std::size_t>{60, config.heads, config.head_size}));
    BOOST_TEST((arrays.at("keys.1").shape ==
                std::vector<std::size_t>{60, config.kv_heads, config.head_size}));
}

BOOST_AUTO_TEST_CASE(rows_of_a_pattern_are_those_of_its_hook_and_zeros) {
    const temporary_directory folder;
    capture_options what;
    what.sites = {"pattern"};
    what.layers = {1};
    run(what, folder.path() / "out");
    const auto arrays = read_capture(folder.path() / "out");
    const std::size_t heads = llama().model.config.heads;
    constexpr std::size_t longest = 30;
    BOOST_TEST((arrays.at("pattern.1").shape == std::vector<std::size_t>{60, heads, longest}));
    std::vector<float> expected;
    for (const source_sequence& one : prompts()) {
        plain_sites seen;
        sequence_state state = llama().model.start();
        llama().model.forward(state, one.tokens, seen);
        const std::vector<float>& x = seen.rows_of.at("pattern.1");
        const std::size_t count = one.tokens.size();
        for (std::size_t at = 0; at < x.size(); at += count) {  // a position and head
            expected.insert(expected.end(), x.begin() + static_cast<std::ptrdiff_t>(at),
                            x.begin() + static_cast<std::ptrdiff_t>(at + count));
            expected.insert(expected.end(), longest - count, 0.0F);
        }
    }
    BOOST_TEST((arrays.at("pattern.1").floats() == expected));
}

BOOST_AUTO_TEST_CASE(chosen_layers_and_positions_are_those_of_all) {
    const temporary_directory folder;
    capture_options what;
    what.sites = {"after", "coefficients", "logits"};
    run(what, folder.path() / "all");
    const auto all = read_capture(folder.path() / "all");
    const auto rows_at = [&](const std::string& name, const std::vector<std::size_t>& rows) {
        std::vector<float> out;
        const std::vector<float> x = all.at(name).floats();
        const std::size_t width = x.size() / 60;
        for (const std::size_t r : rows) {
            out.insert(out.end(), x.begin() + static_cast<std::ptrdiff_t>(r * width),
                       x.begin() + static_cast<std::ptrdiff_t>((r + 1) * width));
        }
        return out;
    };
    what.positions = position_choice::last();
    what.layers = {1};
    run(what, folder.path() / "last");
    const auto last = read_capture(folder.path() / "last");
    BOOST_TEST(last.size() == 3U + 3U);
    for (const char* name : {"after.1", "coefficients.1", "logits"}) {
        BOOST_TEST((last.at(name).floats() == rows_at(name, {23, 28, 29, 59})), name);
    }
    // Of shorter prompts there is no position 4.
    what.positions = position_choice::of({4, 0});
    BOOST_TEST(error_message([&] { run(what, folder.path() / "refused"); }) ==
               "third: 1 tokens, position 4 was asked for");
    BOOST_TEST(!fs::exists(folder.path() / "refused"));
    auto two = prompts();
    two.erase(two.begin() + 2);
    run(what, folder.path() / "some", SIZE_MAX, capture_prompts("two", two));
    const auto some = read_capture(folder.path() / "some");
    BOOST_TEST((some.at("after.1").floats() == rows_at("after.1", {0, 4, 24, 28, 30, 34})));
    BOOST_TEST((some.at("logits").floats() == rows_at("logits", {0, 4, 24, 28, 30, 34})));
}

BOOST_AUTO_TEST_CASE(a_pass_ends_behind_the_deepest_layer_that_is_needed) {
    const temporary_directory folder;
    deepest_layer seen;
    capture_options what;
    what.sites = {"before"};
    what.layers = {0};
    capture(llama().model, source(), what, folder.path() / "out", seen);
    BOOST_TEST(seen.deepest == 0U);
    what.sites = {"before", "final"};
    capture(llama().model, source(), what, folder.path() / "final", seen);
    BOOST_TEST(seen.deepest == 1U);
}

BOOST_AUTO_TEST_CASE(what_policies_change_is_captured_changed) {
    const temporary_directory folder;
    capture_options what;
    what.sites = {"coefficients"};
    what.layers = {1};
    intervene edits;
    edits.set({1, 7}, 50.0F);
    capture(llama().model, source(), what, folder.path() / "out", edits);
    const auto arrays = read_capture(folder.path() / "out");
    const std::vector<float> m = arrays.at("coefficients.1").floats();
    for (std::size_t r = 0; r < 60; ++r) { BOOST_TEST(m[r * (m.size() / 60) + 7] == 50.0F); }
}

BOOST_AUTO_TEST_CASE(shards_merged_are_the_whole_run_to_the_byte) {
    const temporary_directory folder;
    for (const capture_storage storage : {capture_storage::safetensors, capture_storage::npy}) {
        const std::string name = storage == capture_storage::npy ? "npy" : "safetensors";
        capture_options what;
        what.sites = {"before", "logits"};
        what.storage = storage;
        what.file_bytes = 8'000;
        run(what, folder.path() / name / "whole");
        std::vector<fs::path> parts;
        for (std::size_t i = 0; i < 3; ++i) {
            what.shard = {i, 3};
            parts.push_back(folder.path() / name / std::to_string(i));
            run(what, parts.back());
        }
        std::swap(parts[0], parts[2]);
        const capture_result merged = merge_captures(parts, folder.path() / name / "merged");
        BOOST_TEST(merged.rows == 60U);
        BOOST_TEST(same_files(folder.path() / name / "whole", folder.path() / name / "merged"));
    }
}

BOOST_AUTO_TEST_CASE(a_text_in_shards_too) {
    const temporary_directory folder;
    static const xlens::model smollm2 = load(default_model());
    const auto text = golden_path("smollm2/perplexity.txt");
    const auto go = [&](capture_shard shard, const std::string& name) {
        capture_options what;
        what.layers = {2};
        what.positions = position_choice::of({0, 15});
        what.shard = shard;
        const auto from = capture_text(text, smollm2.tokenizer(), 16, {}, 100);
        return capture(smollm2, from, what, folder.path() / name);
    };
    const capture_result whole = go({0, 1}, "whole");
    BOOST_TEST(whole.sequences == 7U);
    BOOST_TEST(whole.rows == 13U);  // the last window has four tokens
    go({0, 2}, "0");
    go({1, 2}, "1");
    merge_captures(std::vector{folder.path() / "1", folder.path() / "0"}, folder.path() / "merged");
    BOOST_TEST(same_files(folder.path() / "whole", folder.path() / "merged"));
}

// 19 windows of up to 16 tokens, of which shards 0 to 2 have three and the others two.
BOOST_AUTO_TEST_CASE(eight_shards_of_a_text_merged_are_the_whole_run_to_the_byte) {
    const temporary_directory folder;
    static const xlens::model smollm2 = load(default_model());
    const auto text = golden_path("smollm2/perplexity.txt");
    const auto go = [&](capture_shard shard, const std::string& name) {
        capture_options what;
        what.sites = {"embedding", "after", "pattern"};
        what.layers = {0, 1};
        what.shard = shard;
        what.file_bytes = 400'000;
        const auto from = capture_text(text, smollm2.tokenizer(), 16, {}, 300);
        return capture(smollm2, from, what, folder.path() / name);
    };
    const capture_result whole = go({0, 1}, "whole");
    BOOST_TEST(whole.sequences == 19U);
    BOOST_TEST(whole.rows == 300U);
    BOOST_TEST(whole.files.size() > 2U);
    std::vector<fs::path> parts;
    std::size_t rows = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        const capture_result part = go({i, 8}, std::to_string(i));
        BOOST_TEST(part.sequences == (i < 3 ? 3U : 2U));
        rows += part.rows;
        parts.push_back(folder.path() / std::to_string(i));
    }
    BOOST_TEST(rows == 300U);
    std::rotate(parts.begin(), parts.begin() + 5, parts.end());
    merge_captures(parts, folder.path() / "merged");
    BOOST_TEST(same_files(folder.path() / "whole", folder.path() / "merged"));
}

BOOST_AUTO_TEST_CASE(a_run_that_was_interrupted_ends_like_one_that_was_not) {
    const temporary_directory folder;
    capture_options what;
    what.sites = {"after", "logits"};
    what.file_bytes = 9'000;
    what.between_checkpoints = std::chrono::seconds(0);
    run(what, folder.path() / "whole");
    const auto parts = folder.path() / "parts";
    BOOST_CHECK_THROW(run(what, parts, 1), stopped);
    BOOST_CHECK_THROW(run(what, parts, 1), stopped);
    {  // what a run that was killed may leave
        std::ofstream(parts / "sequences.jsonl.part", std::ios::app) << "half a li";
        std::ofstream(parts / "capture-00003.safetensors.AbCdEf") << "half a file";
        std::ofstream(parts / "capture-00004.safetensors") << "of a later moment";
    }
    const capture_result rest = run(what, parts);
    BOOST_TEST(rest.tokens_now == 31U);
    BOOST_TEST(same_files(folder.path() / "whole", parts));
    // Asked again, it reads nothing.
    BOOST_TEST(run(what, parts, 1).tokens_now == 0U);
    BOOST_TEST(same_files(folder.path() / "whole", parts));
}

BOOST_AUTO_TEST_CASE(a_run_goes_on_with_the_same_input_alone) {
    const temporary_directory folder;
    capture_options what;
    what.between_checkpoints = std::chrono::seconds(0);
    const auto out = folder.path() / "out";
    BOOST_CHECK_THROW(run(what, out, 2), stopped);
    const auto refusal = [&](auto change) {
        capture_options other = what;
        change(other);
        return error_message([&] { run(other, out); });
    };
    const auto has = [](const std::string& text, const std::string& part) {
        BOOST_TEST(text.find(part) != std::string::npos, text);
    };
    has(refusal([](capture_options& o) { o.model = 1; }), "model 0000000000000000");
    has(refusal([](capture_options& o) { o.layers = {1}; }), "arrays after.0 after.1");
    has(refusal([](capture_options& o) { o.positions = position_choice::last(); }),
        "positions all, this one has last");
    has(refusal([](capture_options& o) { o.type = array_type::f16; }), "dtype F32");
    auto others = prompts();
    others[0].tokens[0] = 9;  // what the checkpoint has seen
    has(error_message([&] { run(what, out, SIZE_MAX, capture_prompts("p", others)); }),
        "belongs to a run with input 4 prompts of 60 tokens");
    capture_source changed = capture_prompts("prompts", others);
    changed.identity = source().identity;  // a collision
    BOOST_TEST(error_message([&] { run(what, out, SIZE_MAX, changed); }) ==
               "prompts: has changed since the run that is to be continued");
    run(what, out);
    has(refusal([](capture_options& o) { o.layers = {1}; }), "manifest.json: belongs to a run");
    fs::resize_file(out / "capture-00000.safetensors", 100);
    has(refusal([](capture_options&) {}), "100 bytes, expected the");
}

BOOST_AUTO_TEST_CASE(f16_is_the_nearest_or_refused) {
    const temporary_directory folder;
    capture_options what;
    what.sites = {"after"};
    run(what, folder.path() / "f32");
    what.type = array_type::f16;
    run(what, folder.path() / "f16");
    const auto wide = read_capture(folder.path() / "f32").at("after.1").floats();
    const auto half = read_capture(folder.path() / "f16").at("after.1").halves();
    BOOST_TEST_REQUIRE(wide.size() == half.size());
    double largest = 0.0;
    for (std::size_t i = 0; i < wide.size(); ++i) {
        const float back = load_half(reinterpret_cast<const std::byte*>(&half[i]));
        // Half a unit in the last of 11 bits; below 2^-14 half of 2^-24.
        const double bound = std::max(std::abs(double{wide[i]}) / 2048.0, std::ldexp(1.0, -25));
        largest = std::max(largest, std::abs(double{back} - double{wide[i]}) / bound);
    }
    BOOST_TEST(largest <= 1.0);
    BOOST_TEST(largest > 0.5);  // numbers were rounded
    what.sites = {"coefficients"};
    what.layers = {1};
    intervene edits;
    edits.set({1, 7}, 65'519.0F);
    capture(llama().model, source(), what, folder.path() / "fits", edits);
    edits.set({1, 7}, 65'520.0F);
    BOOST_TEST(error_message([&] {
                   capture(llama().model, source(), what, folder.path() / "over", edits);
               }) ==
               "capture: first: coefficients.1 at position 0: number 7 is 65520, expected at most "
               "65504 in magnitude, what f16 holds; f32 holds more");
    what.type = array_type::f32;
    edits.set({1, 7}, std::numeric_limits<float>::infinity());
    BOOST_TEST(error_message(
                   [&] { capture(llama().model, source(), what, folder.path() / "inf", edits); }) ==
               "capture: first: coefficients.1 at position 0: number 7 is inf, expected a finite "
               "number");
}

BOOST_AUTO_TEST_CASE(every_half_comes_back_and_ties_go_to_even) {
    for (std::uint32_t h = 0; h < 0x10000U; ++h) {
        const auto bits = static_cast<std::uint16_t>(h);
        if ((h & 0x7fffU) > 0x7c00U) { continue; }  // no number
        const float x = half_to_float(bits);
        std::uint16_t back = 0;
        to_half({&x, 1}, &back);
        if (half_bits(x) != bits || back != bits) { BOOST_TEST(half_bits(x) == bits); }
    }
    // Halfway between two halves, and a float beside it: IEEE 754 by hand.
    BOOST_TEST(half_bits(1.0F + 0x1p-11F) == 0x3c00U);
    BOOST_TEST(half_bits(1.0F + 0x1.8p-10F) == 0x3c02U);
    BOOST_TEST(half_bits(std::nextafter(1.0F + 0x1p-11F, 2.0F)) == 0x3c01U);
    BOOST_TEST(half_bits(65519.0F) == 0x7bffU);
    BOOST_TEST(half_bits(65520.0F) == 0x7c00U);
    BOOST_TEST(half_bits(-0.0F) == 0x8000U);
    BOOST_TEST(half_bits(0x1p-24F) == 0x0001U);
    BOOST_TEST(half_bits(0x1p-25F) == 0x0000U);
    BOOST_TEST(half_bits(0x1.8p-25F) == 0x0001U);
    BOOST_TEST(half_bits(std::nextafter(0x1p-14F, 0.0F)) == 0x0400U);
    for (const float x : {1.0F + 0x1p-11F, 0x1.8p-10F, 3.14159F, 1e-6F, -7e4F, 65519.0F}) {
        std::uint16_t bits = 0;
        to_half({&x, 1}, &bits);
        BOOST_TEST(bits == half_bits(x));
    }
}

BOOST_AUTO_TEST_CASE(npy_headers_are_those_of_numpy) {
    // np.lib.format.write_array_header_1_0 of these, NumPy 2.4.
    const std::size_t one[] = {5};
    const std::size_t two[] = {60, 32};
    const std::string text = npy_header("<f4", two);
    BOOST_TEST(text.size() == 128U);
    BOOST_TEST(text.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
    BOOST_TEST(text.substr(8, 2) == std::string("v\x00", 2));
    BOOST_TEST(text.substr(10, 60) ==
               "{'descr': '<f4', 'fortran_order': False, 'shape': (60, 32), ");
    BOOST_TEST(text.back() == '\n');
    BOOST_TEST(npy_header("<i4", one).find("'shape': (5,), }") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_captured_is_refused) {
    const temporary_directory folder;
    const auto out = folder.path() / "out";
    const auto refusal = [&](auto change) {
        capture_options what;
        change(what);
        const std::string message = error_message([&] { run(what, out); });
        BOOST_TEST(!fs::exists(out));
        return message;
    };
    BOOST_TEST(refusal([](capture_options& o) { o.sites = {}; }) ==
               "sites: expected at least 1, got none");
    BOOST_TEST(refusal([](capture_options& o) {
                   o.sites = {"after", "middle"};
               }) ==
               "sites: expected some of embedding, before, after, final, attention_out, ffn_out, "
               "queries, keys, values, pattern, head_outputs, pre_activations, coefficients, "
               "logits, got 'middle'");
    BOOST_TEST(refusal([](capture_options& o) {
                   o.layers = {0, 2};
               }) == "layers: layer 2, the model has layers 0 to 1");
    BOOST_TEST(error_message([] { (void)capture_prompts("p", {}); }) ==
               "p: no prompts, expected at least 1");
    BOOST_TEST(error_message([] {
                   (void)capture_prompts("p", {{{}, "here"}});
               }) == "here: no tokens, expected at least 1");
    BOOST_TEST(error_message([] { (void)position_choice::of({}); }) ==
               "positions: expected at least 1, got none");
    BOOST_TEST(error_message([] { (void)position_choice::parse("--positions", "3,9", 8); }) ==
               "--positions: expected numbers and ranges from 0 to 7 such as 3,5-8, got '3,9'");
    BOOST_TEST(error_message([] { (void)position_choice::parse("--positions", "first", 8); }) ==
               "--positions: expected all, last or numbers such as 3,5-8, got 'first'");
    for (const char* text : {"", "3", "4/4", "-1/4", "0/0", "1/2/3", "a/b"}) {
        BOOST_TEST(error_message([&] { (void)parse_shard("--shard", text); }) ==
                   "--shard: expected I/N with I from 0 to N - 1, such as 0/4, got '" +
                       std::string(text) + "'");
    }
    const auto file = folder.write("file", "x");
    BOOST_TEST(error_message([&] { run({}, file); }) ==
               file.string() + ": expected a folder, there is a file of this name");
    folder.write("full/notes.txt", "mine");
    BOOST_TEST(error_message([&] { run({}, folder.path() / "full"); }) ==
               (folder.path() / "full").string() +
                   ": holds 'notes.txt', expected a new folder, an empty one or a capture to go on "
                   "with");
    folder.write("json/manifest.json", "{\"name\": \"an app\"}");
    BOOST_TEST(error_message([&] {
                   run({}, folder.path() / "json");
               }).find("format: expected 'xlens capture 1', got ''") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_merged_is_refused) {
    const temporary_directory folder;
    const auto at = [&](const std::string& name) { return folder.path() / name; };
    capture_options what;
    const auto part = [&](std::size_t i, std::size_t n, const std::string& name) {
        what.shard = {i, n};
        run(what, at(name));
    };
    part(0, 2, "0");
    part(1, 2, "1");
    part(2, 3, "2 of 3");
    what.layers = {1};
    part(1, 2, "other");
    const auto merge = [&](std::vector<std::string> names, const std::string& to = "to") {
        std::vector<fs::path> parts;
        for (const std::string& n : names) { parts.push_back(at(n)); }
        return error_message([&] { merge_captures(parts, at(to)); });
    };
    const auto has = [](const std::string& text, const std::string& expected) {
        BOOST_TEST(text.find(expected) != std::string::npos, text);
    };
    BOOST_TEST(merge({}) == "merge: expected at least 1 folder, got none");
    has(merge({"0"}), "shard 0/2, expected as many folders, got 1");
    has(merge({"0", "0"}), "shard 0/2, which is that of");
    has(merge({"0", "2 of 3"}), "shard 2/3, expected as many folders, got 2");
    has(merge({"0", "other"}), "arrays after.1, in ");
    has(merge({"0", "none"}), "none/manifest.json: cannot be opened");
    has(merge({"0", "1"}, "0"), "belongs to a run with shard 0/2, this one has 0/1");
    std::string bytes = contents(at("1") / "capture-00000.safetensors");
    bytes[bytes.size() - 5] = static_cast<char>(bytes[bytes.size() - 5] ^ 1);
    std::ofstream(at("1") / "capture-00000.safetensors", std::ios::binary) << bytes;
    has(merge({"0", "1"}), "damaged: checksum");
    // A file that is not there is missed before anything is written.
    fs::remove(at("1") / "capture-00000.safetensors");
    has(merge({"0", "1"}, "untouched"), "capture-00000.safetensors: a file of ");
    BOOST_TEST(!fs::exists(at("untouched")));
}
