// SPDX-License-Identifier: BSD-3-Clause
// GGUF files in parts, with other alignments, and with lists of one number a layer.
#define BOOST_TEST_MODULE gguf_split
#include <boost/test/unit_test.hpp>

#include "support/error_message.hpp"
#include "support/gguf_builder.hpp"
#include "support/temporary_directory.hpp"

#include <xlens/io/assemble.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/open_checkpoint.hpp>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using b = gguf_builder;

namespace {

using dims = std::vector<std::uint64_t>;
const std::vector<std::pair<std::string, dims>> all_tensors = {
    {"token_embd.weight", {4, 5}},        {"output_norm.weight", {4}},
    {"blk.0.attn_norm.weight", {4}},      {"blk.0.attn_q.weight", {4, 4}},
    {"blk.0.attn_k.weight", {4, 4}},      {"blk.0.attn_v.weight", {4, 4}},
    {"blk.0.attn_output.weight", {4, 4}}, {"blk.0.ffn_norm.weight", {4}},
    {"blk.0.ffn_gate.weight", {4, 8}},    {"blk.0.ffn_up.weight", {4, 8}},
    {"blk.0.ffn_down.weight", {8, 4}}};

/// The tensors [first, last) of a tiny llama, whose numbers count up.
void add_tensors(b& file, std::size_t first, std::size_t last) {
    std::string bytes;
    for (std::size_t i = first; i < last; ++i) {
        const auto& [name, shape] = all_tensors[i];
        bytes.resize((bytes.size() + file.alignment - 1) / file.alignment * file.alignment);
        file.tensor(name, shape, 0, bytes.size());
        std::size_t count = 1;
        for (const auto d : shape) { count *= d; }
        for (std::size_t n = 0; n < count; ++n) {
            const float value = 0.1F * static_cast<float>((n * 7 + i * 3) % 11) - 0.4F;
            bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
        }
    }
    file.data(bytes);
}
void add_keys(b& file, const std::function<void(b&)>& counts = {}) {
    file.text("general.architecture", "llama");
    file.key("llama.block_count", b::u32, 1U).key("llama.embedding_length", b::u32, 4U);
    file.key("llama.context_length", b::u32, 16U);
    file.key("llama.attention.layer_norm_rms_epsilon", b::f32, 1e-5F);
    if (counts) { return counts(file); }
    file.key("llama.feed_forward_length", b::u32, 8U);
    file.key("llama.attention.head_count", b::u32, 2U);
}
std::string whole(std::size_t alignment = 32) {
    b file;
    file.alignment = alignment;
    add_keys(file);
    file.key("general.alignment", b::u32, static_cast<std::uint32_t>(alignment));
    add_tensors(file, 0, all_tensors.size());
    return file.bytes();
}
std::vector<float> logits(const std::filesystem::path& path) {
    const checkpoint file = open_checkpoint(path);
    const transformer<> model = assemble(file);
    sequence_state state = model.start();
    model.forward(state, std::vector<token_id>{1, 4, 2});
    return {state.logits.begin(), state.logits.end()};
}

/// What a part says of itself.
struct split {
    std::uint16_t number;
    std::uint16_t count = 3;
    std::int32_t tensors = 11;
};
std::string part(const split& said, std::size_t first, std::size_t last) {
    b file;
    if (first == 0) { add_keys(file); }
    file.key("split.no", b::u16, said.number).key("split.count", b::u16, said.count);
    file.key("split.tensors.count", b::i32, said.tensors);
    add_tensors(file, first, last);
    return file.bytes();
}
const char* const part_names[] = {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf",
                                  "m-00003-of-00003.gguf"};

struct parts {
    temporary_directory folder;
    parts() {
        (void)folder.write(part_names[0], part({0}, 0, 2));
        (void)folder.write(part_names[1], part({1}, 2, 7));
        (void)folder.write(part_names[2], part({2}, 7, 11));
    }
    [[nodiscard]] std::string refusal(const char* name = part_names[0]) const {
        return error_message([&] { const gguf_file file(folder.path() / name); });
    }
};

bool contains(const std::string& text, const std::string& piece) {
    return text.find(piece) != text.npos;
}

}  // namespace

BOOST_AUTO_TEST_CASE(any_part_opens_the_whole) {
    const parts all;
    const temporary_directory folder;
    const auto expected = logits(folder.write("m.gguf", whole()));
    for (const char* name : part_names) {
        BOOST_TEST(logits(all.folder.path() / name) == expected, boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(a_missing_part_is_named) {
    const parts all;
    std::filesystem::remove(all.folder.path() / part_names[1]);
    BOOST_TEST(contains(all.refusal(), "expected part 2 of 3 beside it, m-00002-of-00003.gguf"));
    BOOST_TEST(contains(all.refusal(part_names[2]), "expected part 2 of 3 beside it"));
}

BOOST_AUTO_TEST_CASE(parts_that_do_not_fit_are_refused) {
    const parts all;
    (void)all.folder.write(part_names[1], part({2}, 2, 7));
    BOOST_TEST(contains(all.refusal(), "split.no, split.count: expected 1 of 3, got 2 of 3"));
    (void)all.folder.write(part_names[1], part({1, 4}, 2, 7));
    BOOST_TEST(contains(all.refusal(), "split.no, split.count: expected 1 of 3, got 1 of 4"));
    (void)all.folder.write(part_names[1], part({1}, 2, 6));
    BOOST_TEST(contains(all.refusal(), "split.tensors.count: expected 10, as many as its parts"));
    (void)all.folder.write(part_names[1], part({1}, 2, 8));
    BOOST_TEST(contains(all.refusal(), "tensor 'blk.0.ffn_norm.weight' is also in"));
    (void)all.folder.write(part_names[1], whole());
    BOOST_TEST(contains(all.refusal(), "split.count: expected an integer, got no such key"));
    const auto other = all.folder.write("other.gguf", part({0}, 0, 2));
    BOOST_TEST(contains(all.refusal("other.gguf"), "whose name must end in -00001-of-00003.gguf"));
}

BOOST_AUTO_TEST_CASE(any_alignment_is_read) {
    const temporary_directory folder;
    const auto expected = logits(folder.write("m.gguf", whole()));
    for (const std::size_t alignment : {8U, 16U, 64U, 4096U}) {
        BOOST_TEST(logits(folder.write("a.gguf", whole(alignment))) == expected,
                   boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(counts_may_be_lists_of_one_a_layer) {
    const temporary_directory folder;
    const auto file_with = [&](const std::vector<std::uint32_t>& inner) {
        b file;
        add_keys(file, [&](b& f) {
            f.numbers("llama.feed_forward_length", b::u32, inner);
            f.numbers<std::uint32_t>("llama.attention.head_count", b::u32, {2});
            f.numbers<std::uint32_t>("llama.attention.head_count_kv", b::u32, {2});
        });
        add_tensors(file, 0, all_tensors.size());
        return folder.write("m.gguf", file.bytes());
    };
    const auto expected = logits(folder.write("whole.gguf", whole()));
    BOOST_TEST(logits(file_with({8})) == expected, boost::test_tools::per_element());
    BOOST_TEST(contains(error_message([&] { (void)logits(file_with({})); }),
                        "llama.feed_forward_length: expected 1 numbers, got 0"));
}

BOOST_AUTO_TEST_CASE(keys_are_applied_harmless_or_refused) {
    const temporary_directory folder;
    const auto with = [&](const std::function<void(b&)>& more) {
        b file;
        add_keys(file);
        more(file);
        add_tensors(file, 0, all_tensors.size());
        return folder.write("m.gguf", file.bytes());
    };
    const auto expected = logits(with([](b&) {}));
    const auto same = [&](const char* key, auto type, auto value) {
        const auto path = with([&](b& f) { f.key(key, type, value); });
        BOOST_TEST(logits(path) == expected, boost::test_tools::per_element());
    };
    const auto other = [&](const char* key, auto type, auto value) {
        const auto path = with([&](b& f) { f.key(key, type, value); });
        BOOST_TEST((logits(path) != expected), key);
    };
    const auto refused = [&](const char* key, auto type, auto value, const char* what) {
        const auto path = with([&](b& f) { f.key(key, type, value); });
        const std::string said = error_message([&] { (void)logits(path); });
        BOOST_TEST(contains(said, key), said);
        BOOST_TEST(contains(said, what), said);
    };
    // llama.cpp reads these of other architectures alone.
    same("llama.attention.sliding_window", b::u32, 1U);
    same("llama.logit_scale", b::f32, 2.0F);
    same("llama.vocab_size", b::u32, 5U);
    other("llama.rope.scale_linear", b::f32, 4.0F);
    other("llama.rope.scaling.factor", b::f32, 4.0F);  // linear, where it says no type
    same("llama.expert_count", b::u32, 0U);
    refused("llama.some.new_key", b::u32, 1U, "unknown key, which may change what is computed");
    refused("llama.attention.temperature_scale", b::f32, 0.1F, "which xlens does not compute");
    refused("llama.rope.scaling.alpha", b::f32, 1000.0F, "another scaling of rotations");
    refused("llama.nextn_predict_layers", b::u32, 1U, "layers that predict later tokens");
    refused("llama.attention.value_length", b::u32, 4U, "");
    refused("llama.rope.dimension_sections", b::u32, 1U, "rotations of several axes");
}
