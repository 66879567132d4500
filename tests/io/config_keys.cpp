// SPDX-License-Identifier: BSD-3-Clause
// Every key of every family's configuration class: applied, harmless, or refused by name.
#define BOOST_TEST_MODULE config_keys
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/json_document.hpp"
#include "support/temporary_directory.hpp"

#include <xlens/io/assemble.hpp>
#include <xlens/io/config_biases.hpp>
#include <xlens/io/config_keys.hpp>
#include <xlens/io/families.hpp>
#include <xlens/io/open_checkpoint.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <ostream>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using nlohmann::json;
namespace data = boost::unit_test::data;

namespace {

const json classes = read_golden(golden_path("io/config_keys.json"));

std::vector<std::string> families_with_a_class() {
    std::vector<std::string> out;
    for (const auto& item : classes.items()) { out.push_back(item.key()); }
    return out;
}

std::size_t refusals_of(const std::string& family, const std::string& key) {
    std::size_t out = 0;
    for (const detail::config_refusal& r : detail::config_refusals) {
        out += (r.family.empty() || r.family == family) && r.key == key ? 1 : 0;
    }
    for (const detail::config_refusal& r : detail::mpt_refusals) {
        out += r.family == family && "attn_config." + std::string(r.key) == key ? 1 : 0;
    }
    return out;
}

/// The folders of a family.
std::vector<std::filesystem::path> folders_of(const std::string& family) {
    static const auto all = [] {
        std::map<std::string, std::vector<std::filesystem::path>> out;
        for (const char* where : {"families", "models"}) {
            for (const auto& item : std::filesystem::directory_iterator(golden_path(where))) {
                const auto folder = item.path() / "hf";
                if (!std::filesystem::exists(folder / "config.json")) { continue; }
                out[read_golden(folder / "config.json").at("model_type")].push_back(folder);
            }
        }
        for (auto& [name, list] : out) { std::ranges::sort(list); }
        return out;
    }();
    return all.at(family);
}

/// A copy of a folder with another configuration.
struct changed {
    temporary_directory place;
    std::filesystem::path path = place.path() / "model";

    explicit changed(const std::filesystem::path& from) {
        std::filesystem::copy(from, path, std::filesystem::copy_options::recursive);
    }
    void configure(const json& config) const { std::ofstream(path / "config.json") << config; }
};

/// The logits of a few tokens and the context, or what is said instead.
std::string outcome(const std::filesystem::path& path) {
    std::string out;
    const std::string said = error_message([&] {
        const checkpoint file = open_checkpoint(path);
        const transformer<> model = assemble(file);
        std::vector<token_id> ids(20);
        for (std::size_t i = 0; i < ids.size(); ++i) {
            ids[i] = static_cast<token_id>((i * 37 + 5) % 90);
        }
        sequence_state state = model.start();
        state.wanted = logit_rows::all;
        model.forward(state, ids);
        const auto* bytes = reinterpret_cast<const char*>(state.logits.data());
        out.assign(bytes, state.logits.size() * sizeof(float));
        out += std::to_string(file.config().context);
    });
    return out.empty() ? said : out;
}

/// What a key must not be.
json other_than(std::string_view only) {
    if (only == "hidden_size") { return 8; }
    if (only == "null") { return {{"0", 1}}; }
    const json value = json_document(only);
    if (value.is_boolean()) { return !value.get<bool>(); }
    return value.is_string() ? json("other") : json(0.5);
}

struct refused_key {
    std::string family;
    detail::config_refusal refusal;
    bool in_attention = false;
    friend std::ostream& operator<<(std::ostream& out, const refused_key& c) {
        return out << c.family << ' ' << c.refusal.key;
    }
};

std::vector<refused_key> refused_keys() {
    std::vector<refused_key> out;
    for (const detail::config_refusal& r : detail::config_refusals) {
        out.push_back({r.family.empty() ? "llama" : std::string(r.family), r});
    }
    for (const detail::config_refusal& r : detail::mpt_refusals) {
        out.push_back({"mpt", r, true});
    }
    return out;
}

/// Another number or flag.
json another(const json& value) {
    if (value.is_boolean()) { return !value.get<bool>(); }
    if (value.is_number_integer()) {
        const int n = value.get<int>();
        return n <= 2 ? 3 - n : n / 2 + 1;
    }
    return value.get<double>() * 2.0 + 0.1;
}

/// What must be taken away for a key to be read.
const std::map<std::string, json> makes_room = {
    {"max_window_layers",
     {{"layer_types", nullptr},
      {"use_sliding_window", true},
      {"sliding_window", 8},
      {"max_window_layers", 2}}},
    {"use_sliding_window",
     {{"layer_types", nullptr}, {"max_window_layers", 0}, {"sliding_window", 8}}},
    {"sliding_window",
     {{"layer_types", nullptr},
      {"max_window_layers", 0},
      {"use_sliding_window", true},
      {"sliding_window", 8}}},
    {"no_rope_layer_interval", {{"no_rope_layers", nullptr}}},
};

}  // namespace

BOOST_AUTO_TEST_CASE(every_family_has_its_class) {
    for (const family& f : families()) {
        BOOST_TEST((f.name == "wikilm" || classes.contains(f.name)), f.name);
    }
}

BOOST_DATA_TEST_CASE(every_key_is_in_exactly_one_list, data::make(families_with_a_class()), name) {
    for (const auto& item : classes[name]) {
        const std::string key = item;
        const std::size_t lists = detail::lists_with(detail::applied_keys, name, key) +
                                  detail::lists_with(detail::harmless_keys, name, key) +
                                  refusals_of(name, key);
        BOOST_TEST(lists == 1U, name << ": " << key << " stands in " << lists << " lists");
    }
}

BOOST_AUTO_TEST_CASE(lists_name_no_key_that_no_class_has) {
    for (const auto& lists : {std::span<const detail::config_key_list>(detail::applied_keys),
                              std::span<const detail::config_key_list>(detail::harmless_keys)}) {
        for (const detail::config_key_list& list : lists) {
            std::string_view rest = list.keys;
            while (!rest.empty() && !list.family.empty()) {
                const std::string_view key = rest.substr(0, rest.find(' '));
                const json& known = classes.at(std::string(list.family));
                BOOST_TEST((std::ranges::find(known, json(key)) != known.end()),
                           list.family << ' ' << key);
                rest.remove_prefix(std::min(rest.size(), key.size() + 1));
            }
        }
    }
}

BOOST_DATA_TEST_CASE(a_key_with_a_refused_value_is_refused_by_name, data::make(refused_keys()), c) {
    const auto from = folders_of(c.family).front();
    const changed folder(from);
    json config = read_golden(from / "config.json");
    json& place = c.in_attention ? config["attn_config"] : config;
    place[std::string(c.refusal.key)] = other_than(c.refusal.only);
    folder.configure(config);
    const std::string message = outcome(folder.path);
    const std::string expected = std::string(c.refusal.key) + ": " + std::string(c.refusal.what);
    BOOST_TEST(message.find(expected) != std::string::npos, message);
    BOOST_TEST(message.find("config.json") != std::string::npos, message);
}

// An applied number or flag that is changed changes what is computed, or is refused, in a folder of
// its family at least.
BOOST_DATA_TEST_CASE(an_applied_key_is_applied, data::make(families_with_a_class()), name) {
    BOOST_TEST_REQUIRE(find_family(name) != nullptr);
    for (const auto& item : classes[name]) {
        const std::string key = item;
        // Heads that are tied, or not, are io/folders' matter.
        if (key == "tie_word_embeddings") { continue; }
        // Experts may have a width of their own.
        const std::string_view width = find_family(name)->experts.width;
        if (key == "intermediate_size" && width != key) { continue; }
        if (detail::lists_with(detail::applied_keys, name, key) == 0) { continue; }
        bool tried = false;
        bool applied = false;
        for (const auto& from : folders_of(name)) {
            const changed folder(from);
            json config = read_golden(from / "config.json");
            const auto room = makes_room.find(key);
            if (room != makes_room.end()) { config.update(room->second); }
            const json value = config.value(key, json());
            if (!value.is_number() && !value.is_boolean()) { continue; }
            folder.configure(config);
            const std::string before = outcome(folder.path);
            config[key] = another(value);
            folder.configure(config);
            tried = true;
            applied = applied || outcome(folder.path) != before;
            if (applied) { break; }
        }
        BOOST_TEST((applied || !tried), name << ": " << key << " changes nothing");
    }
}

// What transformers reads otherwise than a reader would guess.
BOOST_AUTO_TEST_CASE(keys_are_read_as_transformers_reads_them) {
    struct equal_configs {
        std::string family;
        json change;
        json as;
    };
    const json linear = {{"rope_type", "linear"}, {"factor", 2.0}};
    const std::vector<equal_configs> cases = {
        {"llama", {{"sliding_window", 3}}, json::object()},
        {"llama", {{"partial_rotary_factor", 0.5}}, json::object()},
        {"llama", {{"original_max_position_embeddings", 16}}, json::object()},
        {"llama",
         {{"rope_scaling", linear}, {"rope_parameters", {{"rope_theta", 50.0}}}},
         {{"rope_scaling", linear}, {"rope_parameters", nullptr}}},
        {"gemma", {{"hidden_act", "gelu"}}, {{"hidden_act", "gelu_pytorch_tanh"}}},
        {"gemma3_text", {{"attn_logit_softcapping", 1.0}}, json::object()},
        {"gpt_neo", {{"attention_types", json_document(R"([[["local"], 4]])")}}, json::object()},
        {"gptj", {{"rope_scaling", linear}, {"rope_theta", 50.0}}, json::object()},
        {"falcon", {{"layer_types", {"chunked_attention"}}}, json::object()},
        {"mpt", {{"expansion_ratio", 3}}, json::object()},
        {"smollm3", {{"rope_parameters", nullptr}}, {{"rope_parameters", {{"rope_theta", 2e6}}}}},
        {"cohere", {{"rope_parameters", nullptr}}, {{"rope_parameters", {{"rope_theta", 5e5}}}}},
        {"ernie4_5", {{"rope_parameters", nullptr}}, {{"rope_parameters", {{"rope_theta", 5e5}}}}},
    };
    for (const equal_configs& c : cases) {
        const auto from = folders_of(c.family).front();
        const changed folder(from);
        const auto with = [&](const json& change) {
            json config = read_golden(from / "config.json");
            config.update(change);
            folder.configure(config);
            return outcome(folder.path);
        };
        const std::string expected = with(c.as);
        BOOST_TEST(expected.size() > 1000U, expected);
        BOOST_TEST((with(c.change) == expected), c.family << ' ' << c.change);
    }
}

namespace {

struct refused_change {
    std::string family;
    json change;
    std::string message;
    friend std::ostream& operator<<(std::ostream& out, const refused_change& c) {
        return out << c.family << ' ' << c.change;
    }
};

const std::vector<refused_change> refused_changes = {
    {"gpt2", {{"num_attention_heads", 2}}, "num_attention_heads: expected 4 as for n_head, got 2"},
    {"bloom", {{"n_embed", 8}}, "n_embed: expected 16 as for hidden_size, got 8"},
    {"llama",
     {{"rope_parameters", {{"rope_type", "default"}, {"rope_twist", 2}}}},
     "unknown key 'rope_twist' of a rotation"},
    {"llama",
     {{"rope_parameters",
       {{"rope_type", "linear"}, {"factor", 2.0}, {"partial_rotary_factor", 0.5}}}},
     "partial_rotary_factor: expected 1 in llama, got 0.5"},
    {"gemma3_text",
     {{"rope_parameters", {{"rope_type", "linear"}, {"factor", 2.0}}}},
     "rope_parameters: expected full_attention and sliding_attention, got 'factor'"},
    {"gemma3_text",
     {{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}}}},
     "rope_scaling: expected none beside rope_parameters"},
    {"gemma3_text",
     {{"rope_parameters", nullptr}, {"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}},
     "rope_scaling: expected a rope_type, got no such key"},
    {"starcoder2", {{"use_bias", false}}, "_proj.bias': expected none by use_bias false of "},
    {"olmo", {{"attention_bias", true}}, "expected by attention_bias true, got no such tensor"},
    {"llama", {{"tie_word_embeddings", false}, {"vocab_size", 95}}, "expected (95, "},
};

}  // namespace

BOOST_DATA_TEST_CASE(what_cannot_be_right_is_refused, data::make(refused_changes), c) {
    const auto from = folders_of(c.family).front();
    const changed folder(from);
    json config = read_golden(from / "config.json");
    config.update(c.change);
    folder.configure(config);
    const std::string message = outcome(folder.path);
    BOOST_TEST(message.find(c.message) != std::string::npos, message.substr(0, 400));
}

// Each tensor that a rule about biases names is one of its family's.
BOOST_AUTO_TEST_CASE(rules_about_biases_name_tensors) {
    for (const detail::bias_rule& rule : detail::bias_rules) {
        const family* f = find_family(rule.family);
        BOOST_TEST_REQUIRE(f != nullptr);
        std::size_t found = 0;
        for (std::string_view rest = rule.stems; !rest.empty();) {
            const std::string_view stem = rest.substr(0, rest.find(' '));
            found += detail::bias_name(f->names, stem).empty() ? 0 : 1;
            rest.remove_prefix(std::min(rest.size(), stem.size() + 1));
        }
        BOOST_TEST(found > 0U, rule.family << ' ' << rule.stems);
    }
}
