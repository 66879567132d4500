// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE hugging_face
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/safetensors_bytes.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/io/hugging_face.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;
using xlens::test::error_message;
using xlens::test::safetensors_bytes;
using xlens::test::temporary_directory;

std::string one_tensor(const std::string& name) {
    return safetensors_bytes(
        "{\"" + name + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4);
}

/// A folder with two shards that hold "a" and "b", and the given weight_map.
struct sharded {
    temporary_directory folder;

    explicit sharded(const std::string& weight_map) {
        folder.write("config.json", "{}");
        folder.write("one.safetensors", one_tensor("a"));
        folder.write("two.safetensors", one_tensor("b"));
        index("{\"weight_map\":" + weight_map + "}");
    }
    void index(const std::string& json) const {
        folder.write("model.safetensors.index.json", json);
    }
    [[nodiscard]] std::string error() const {
        return error_message([this] { const xlens::hugging_face_folder f(folder.path()); });
    }
    /// The message for the index; `text` is what follows its name.
    [[nodiscard]] std::string says(const std::string& text) const {
        return (folder.path() / "model.safetensors.index.json: ").string() + text;
    }
};

const std::string good_map = R"({"a":"one.safetensors","b":"two.safetensors"})";

}  // namespace

BOOST_AUTO_TEST_CASE(written_by_the_python_package) {
    const char* root = std::getenv("XLENS_TEST_DATA");
    BOOST_REQUIRE_MESSAGE(root != nullptr, "XLENS_TEST_DATA is not set");
    xlens::hugging_face_folder first(fs::path(root) / "io" / "sharded");
    const xlens::hugging_face_folder f(std::move(first));
    BOOST_TEST(f.files().size() == 2U);
    BOOST_TEST(f.tensors().size() == 2U);
    BOOST_TEST(f.find("mask") == nullptr);
    const auto* b = f.find("b");
    BOOST_REQUIRE(b != nullptr);
    BOOST_TEST(b->shape == (std::vector<std::size_t>{3, 2}), boost::test_tools::per_element());
    std::vector<float> values(6);
    xlens::decode_row<xlens::f16>(b->data, values);
    BOOST_TEST(values == (std::vector<float>{4, 5, 6, 7, 8, 9}), boost::test_tools::per_element());
    BOOST_TEST(b->file.ends_with("model-00002-of-00002.safetensors"));

    BOOST_TEST(f.string("model_type") == "llama");
    BOOST_TEST(f.unsigned_integer("hidden_size") == 64U);
    BOOST_TEST(f.number("rms_norm_eps") == 1e-5);
    BOOST_TEST(f.boolean("tie_word_embeddings"));
    BOOST_TEST(!f.has("sliding_window"));
    BOOST_TEST(f.unsigned_integer("sliding_window", 9) == 9U);
    BOOST_TEST(f.number("gone", 0.5) == 0.5);
    BOOST_TEST(f.string("gone", "else") == "else");
    BOOST_TEST(f.boolean("gone", true));
    BOOST_TEST(f.fields().object("rope_scaling").number("factor") == 32.0);
    BOOST_TEST(f.fields().unsigned_integer("hidden_size") == 64U);
    BOOST_TEST(error_message([&] { (void)f.unsigned_integer("model_type"); }) ==
               (f.path() / "config.json").string() +
                   ": model_type: expected an integer of at least 0, got 'llama'");
}

BOOST_AUTO_TEST_CASE(a_single_file_goes_first) {
    const temporary_directory folder;
    folder.write("config.json", "{}");
    folder.write("model.safetensors", one_tensor("a"));
    folder.write("model.safetensors.index.json", "not read");
    BOOST_TEST(xlens::hugging_face_folder(folder.path()).tensors().size() == 1U);
}

BOOST_AUTO_TEST_CASE(incomplete_folders) {
    const temporary_directory folder;
    const auto error = [&] {
        return error_message([&] { const xlens::hugging_face_folder f(folder.path()); });
    };
    const auto name = folder.path().string();
    BOOST_TEST(error() == name + "/config.json: cannot be opened: No such file or directory");
    folder.write("config.json", "[]");
    BOOST_TEST(error() == name + "/config.json: expected a JSON object, got an array");
    folder.write("config.json", "{");
    BOOST_TEST(error() == name + "/config.json: byte 1: not valid JSON near '{'");
    folder.write("config.json", "{}");
    BOOST_TEST(error() ==
               name + ": expected model.safetensors or model.safetensors.index.json, got neither");
    folder.write("model.safetensors", "short");
    BOOST_TEST(error() == name +
                              "/model.safetensors: header length at byte 0: expected 8 more "
                              "bytes, got 5 before the end of the file");
    BOOST_TEST(error_message([&] { const xlens::hugging_face_folder f(folder.path() / "no"); }) ==
               name + "/no: expected a folder with a config.json");
}

BOOST_AUTO_TEST_CASE(the_good_index) {
    const sharded model(good_map);
    const xlens::hugging_face_folder f(model.folder.path());
    BOOST_TEST(f.tensors().size() == 2U);
    BOOST_TEST(f.find("a")->file.ends_with("one.safetensors"));
}

BOOST_AUTO_TEST_CASE(malformed_indices) {
    const sharded model(good_map);
    model.index("{}");
    BOOST_TEST(model.error() == model.says("weight_map: expected an object, got no such key"));
    model.index(R"({"weight_map":[]})");
    BOOST_TEST(model.error() == model.says("weight_map: expected an object, got an array"));
    model.index(R"({"weight_map":{"a":1}})");
    BOOST_TEST(model.error() == model.says("weight_map.a: expected a string, got 1"));
    model.index(R"({"weight_map":{"a":"one.safetensors","a":"two.safetensors"}})");
    BOOST_TEST(model.error() == model.says("key 'a' appears twice in one object"));
    model.index("[");
    BOOST_TEST(model.error() == model.says("byte 1: not valid JSON near '['"));
}

BOOST_AUTO_TEST_CASE(shards_stay_in_the_folder) {
    const std::vector<std::pair<std::string, std::string>> names = {
        {"../one.safetensors", "../one.safetensors"},
        {"/etc/passwd", "/etc/passwd"},
        {"sub/one.safetensors", "sub/one.safetensors"},
        {"..\\\\one.safetensors", "..\\one.safetensors"},
        {"..", ".."},
        {".", "."},
        {"", ""},
        {"one.safetensors\\u0000", "one.safetensors\\x00"},
    };
    for (const auto& [written, shown] : names) {
        BOOST_TEST_CONTEXT(written) {
            const sharded model("{\"a\":\"" + written + "\"}");
            BOOST_TEST(model.error() ==
                       model.says("weight_map: expected the name of a file in the folder, got '" +
                                  shown + "'"));
        }
    }
}

BOOST_AUTO_TEST_CASE(links_out_of_the_folder) {
    const temporary_directory outside;
    const auto target = outside.write("other.safetensors", one_tensor("a"));
    const sharded model(R"({"a":"link.safetensors"})");
    fs::create_symlink(target, model.folder.path() / "link.safetensors");
    BOOST_TEST(model.error() ==
               model.says("weight_map: shard 'link.safetensors' is a link out of the folder, to " +
                          fs::canonical(target).string()));

    fs::remove(model.folder.path() / "link.safetensors");
    fs::create_symlink("one.safetensors", model.folder.path() / "link.safetensors");
    BOOST_TEST(xlens::hugging_face_folder(model.folder.path()).tensors().size() == 1U);

    fs::remove(model.folder.path() / "link.safetensors");
    fs::create_symlink("link.safetensors", model.folder.path() / "link.safetensors");
    BOOST_TEST(model.error() ==
               model.says("weight_map: shard 'link.safetensors' is not in the folder"));
}

BOOST_AUTO_TEST_CASE(links_of_the_hub_cache_are_followed) {
    const temporary_directory cache;
    const auto blob = cache.write("models--x/blobs/0123", one_tensor("a"));
    const auto folder = cache.path() / "models--x" / "snapshots" / "abc";
    cache.write("models--x/snapshots/abc/config.json", "{}");
    cache.write("models--x/snapshots/abc/model.safetensors.index.json",
                R"({"weight_map":{"a":"one.safetensors"}})");
    fs::create_symlink("../../blobs/0123", folder / "one.safetensors");
    BOOST_TEST(xlens::hugging_face_folder(folder).tensors().size() == 1U);
}

BOOST_AUTO_TEST_CASE(what_the_shards_hold) {
    const sharded missing(R"({"a":"one.safetensors","b":"three.safetensors"})");
    BOOST_TEST(missing.error() ==
               missing.says("weight_map: shard 'three.safetensors' is not in the folder"));

    const sharded absent(R"({"a":"one.safetensors","c":"two.safetensors"})");
    BOOST_TEST(absent.error() == absent.says("weight_map: tensor 'c' is not in two.safetensors"));

    const sharded twice(good_map);
    twice.folder.write("two.safetensors", one_tensor("a"));
    BOOST_TEST(twice.error() == (twice.folder.path() / "two.safetensors").string() +
                                    ": tensor 'a' is also in " +
                                    (twice.folder.path() / "one.safetensors").string());

    const sharded bad(good_map);
    bad.folder.write("two.safetensors", "short");
    BOOST_TEST(bad.error() == (bad.folder.path() / "two.safetensors").string() +
                                  ": header length at byte 0: expected 8 more bytes, got 5 before "
                                  "the end of the file");
}
