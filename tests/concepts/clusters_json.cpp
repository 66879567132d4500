// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE clusters_json
#include <boost/test/unit_test.hpp>

#include <xlens/concepts/clusters_json.hpp>

#include "support/error_message.hpp"
#include "support/temporary_directory.hpp"

#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

constexpr std::uint64_t hash = 0x12ab;

clusters_origin origin() {
    return {.model = hash,
            .layers = 3,
            .inner_width = 4,
            .method = cluster_method::complete,
            .space = cluster_space::centred,
            .form = projection::normed,
            .seed = 18'446'744'073'709'551'615U};
}
clusters example() {
    return {origin(),
            {{{{0, 1}, {2, 3}, {2, 0}}, 0.75, {0.1F, -1e-20F}, {{{5, 1.5F}}, {{6, -0.1F}}}},
             {{{1, 1}}, 1.0, {0.0F, 1.0F}, {{{0, 2.0F}}, {{1, -2.0F}}}}}};
}
std::string text(token_id id) { return id == 5 ? "\xff\"" : std::to_string(id); }

}  // namespace

BOOST_AUTO_TEST_CASE(neurons_know_their_cluster) {
    const clusters found = example();
    BOOST_TEST(found.count() == 2U);
    BOOST_TEST(found.neurons() == 4U);
    BOOST_TEST(found.of({2, 3}).value() == 0U);
    BOOST_TEST(found.of({1, 1}).value() == 1U);
    BOOST_TEST(!found.of({0, 0}).has_value());
    BOOST_TEST((found.members(1)[0] == neuron{1, 1}));
    BOOST_TEST(found.quality().cohesion == (3 * 0.75 + 1.0) / 4);
    BOOST_TEST(found.quality().inertia == 0.75);
    BOOST_TEST(clusters(origin(), {}).quality().cohesion == 0.0);
    BOOST_TEST(error_message([&] {
                   return found.of({3, 0});
               }) == "neuron 3:0: layer 3, the model has layers 0 to 2");
    BOOST_TEST(error_message([&] { return found.members(2); }) ==
               "cluster 2: expected a number below 2, that of the clusters");
    BOOST_TEST(error_message([] {
                   clusters(origin(), {{{{0, 1}}, 1.0, {}, {}}, {{{0, 1}}, 1.0, {}, {}}});
               }) == "neuron 0:1: in clusters 0 and 1, expected one");
    BOOST_TEST(error_message([] {
                   clusters(origin(), {{{{0, 4}}, 1.0, {}, {}}});
               }) == "neuron 0:4: index 4, a layer has neurons 0 to 3");
}

BOOST_AUTO_TEST_CASE(a_document_has_its_keys_in_order) {
    const std::string written = json_text(example(), text);
    BOOST_TEST(written.starts_with(
        R"({"model":"00000000000012ab","layers":3,"inner_width":4,"method":"complete",)"
        R"("space":"centred","projection":"normed","seed":18446744073709551615,)"
        R"("inertia":0.75,"cohesion":0.8125,"clusters":[{"id":0,"size":3,)"
        "\"concept\":[{\"id\":5,\"text\":\"\uFFFD\\\"\",\"score\":1.5}],"
        R"("suppresses":[{"id":6,"text":"6","score":-0.1}],"cohesion":0.75,)"
        R"("neurons":["0:1","2:0","2:3"],"centroid":[0.1,-1e-20]},)"));
    BOOST_TEST(written.ends_with("]}\n"));
}

BOOST_AUTO_TEST_CASE(what_is_written_is_read) {
    const temporary_directory folder;
    const auto path = folder.path() / "clusters.json";
    const clusters before = example();
    write_clusters(before, path, text);
    const clusters after = read_clusters(path, hash);
    BOOST_TEST((after.origin() == before.origin()));
    BOOST_REQUIRE(after.count() == before.count());
    for (std::size_t id = 0; id < after.count(); ++id) {
        const cluster& a = after.all()[id];
        const cluster& b = before.all()[id];
        BOOST_TEST((a.neurons == b.neurons));
        BOOST_TEST(a.cohesion == b.cohesion);
        BOOST_TEST((a.centroid == b.centroid));
        BOOST_TEST((a.concept_of_centroid.promotes == b.concept_of_centroid.promotes));
        BOOST_TEST((a.concept_of_centroid.suppresses == b.concept_of_centroid.suppresses));
    }
    BOOST_TEST(json_text(after, text) == json_text(before, text));
    BOOST_TEST((read_clusters(path, hash, 3, 4).origin() == before.origin()));
    BOOST_TEST(error_message([&] { read_clusters(path, hash, 3, 5); }) ==
               path.string() + ": clusters: of 3 layers of 4 neurons, the model has 3 layers of 5");
}

BOOST_AUTO_TEST_CASE(other_documents_are_refused) {
    const temporary_directory folder;
    const auto refusal = [&](const std::string& bytes) {
        const auto path = folder.write("bad.json", bytes);
        const std::string message = error_message([&] { read_clusters(path, hash); });
        BOOST_TEST(message.starts_with(path.string() + ": "));
        return message.substr(std::min(message.size(), path.string().size() + 2));
    };
    const std::string good = json_text(example(), text);
    const auto changed = [&](const std::string& from, const std::string& to) {
        std::string bytes = good;
        const std::size_t at = bytes.find(from);
        BOOST_REQUIRE(at != std::string::npos);
        return bytes.replace(at, from.size(), to);
    };
    BOOST_TEST(refusal("[]") == "expected a JSON object, got an array");
    BOOST_TEST(refusal("{}") == "model: expected a string, got no such key");
    BOOST_TEST(refusal(good.substr(0, good.size() - 5)).find("not valid JSON") !=
               std::string::npos);
    BOOST_TEST(refusal(changed("12ab", "12ac")) ==
               "clusters: made of model 00000000000012ac, this one is 00000000000012ab");
    BOOST_TEST(refusal(changed("\"layers\":3", "\"layers\":0")) ==
               "clusters: 0 layers of 4 neurons: expected 1 to 1073741824 neurons");
    BOOST_TEST(
        refusal(changed("\"layers\":3", "\"layers\":9223372036854775807")) ==
        "clusters: 9223372036854775807 layers of 4 neurons: expected 1 to 1073741824 neurons");
    BOOST_TEST(refusal(changed("\"layers\":3", "\"layers\":2")) ==
               "neuron 2:0: layer 2, the model has layers 0 to 1");
    BOOST_TEST(refusal(changed("\"complete\"", "\"other\"")) ==
               "method: expected kmeans or complete, got 'other'");
    BOOST_TEST(refusal(changed("\"centred\"", "\"flat\"")) ==
               "space: expected raw, projected or centred, got 'flat'");
    BOOST_TEST(refusal(changed("\"id\":1,\"size\":1", "\"id\":2,\"size\":1")) ==
               "cluster 1: id: expected 1, got 2");
    BOOST_TEST(refusal(changed("\"size\":3", "\"size\":4")) ==
               "cluster 0: size: expected 3, got 4");
    BOOST_TEST(refusal(changed("\"0:1\"", "\"1:1\"")) ==
               "neuron 1:1: in clusters 0 and 1, expected one");
    BOOST_TEST(refusal(changed("\"0:1\"", "\"0-1\"")) ==
               "neurons: expected a neuron LAYER:INDEX such as 12:1033, got '0-1'");
    BOOST_TEST(refusal(changed("\"0:1\"", "1")) ==
               "cluster 0: neurons: expected \"L:I\", got number");
    BOOST_TEST(refusal(changed("[0.1,", "[")) == "cluster 1: centroid: expected 1 numbers, got 2");
    BOOST_TEST(refusal(changed("[0.1,", "[\"x\",")) ==
               "cluster 0: centroid: expected a number, got string");
    BOOST_TEST(refusal(changed("\"id\":5", "\"id\":2147483648")) ==
               "concept.id: expected at most 2147483647, got 2147483648");
    BOOST_TEST(refusal(changed("\"suppresses\"", "\"other\"")) ==
               "suppresses: expected an array, got no such key");
}
