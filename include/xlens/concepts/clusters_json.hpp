// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/clusters.hpp>
#include <xlens/concepts/value_directions.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/writer.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/text/utf8.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/core/error.hpp>
#include <xlens/json/reader.hpp>

#include <charconv>
#endif

// Clusters as a JSON document, what `xlens cluster` writes:
//   {"model","layers","inner_width","method","space","projection","seed","inertia","cohesion",
//    "clusters":[{"id","size","concept":[TOK..],"suppresses":[TOK..],"cohesion",
//                 "neurons":["L:I"..],"centroid":[D numbers]}]}       TOK = {"id","text","score"}
// "model" is the fingerprint in 16 hexadecimal digits.

namespace xlens {

namespace detail {

/// As files of clusters spell numbers: 1.0, not 1.
XLENS_API void write_number(json_writer& out, double number);

/// The double that prints as the float does: 0.1, not 0.10000000149011612.
XLENS_API void write_shortest(json_writer& out, float number);

template <class Text>
void write_tokens(json_writer& out, std::string_view key, std::span<const scored> tokens,
                  const Text& text) {
    out.key(key);
    out.begin_array();
    for (const scored& token : tokens) {
        out.begin_object();
        out.field("id", token.id);
        out.field("text", replace_invalid(text(token.id)));
        out.key("score");
        write_shortest(out, token.score);
        out.end_object();
    }
    out.end_array();
}

template <class Text>
void write_cluster(json_writer& out, std::size_t id, const cluster& c, const Text& text) {
    out.begin_object();
    out.field("id", id);
    out.field("size", c.neurons.size());
    write_tokens(out, "concept", c.concept_of_centroid.promotes, text);
    write_tokens(out, "suppresses", c.concept_of_centroid.suppresses, text);
    out.key("cohesion");
    write_number(out, c.cohesion);
    out.key("neurons");
    out.begin_array();
    for (const neuron& n : c.neurons) { out.value(to_string(n)); }
    out.end_array();
    out.key("centroid");
    out.begin_array();
    for (const float x : c.centroid) { write_shortest(out, x); }
    out.end_array();
    out.end_object();
}

/// The array at a key.
XLENS_API const json_list& array_at(const json_object& from, const std::string& key);

XLENS_API std::vector<scored> tokens_of(const json_object& from, const std::string& key);

XLENS_API cluster cluster_of(const json_object& from, std::size_t id);

}  // namespace detail

/// Σ(1 - cos) and the mean cosine, as fields of the object that is being written.
XLENS_API void write_quality(json_writer& out, const cluster_quality& quality);

/// The document above, on one line; `more(out)` may add fields to its end. `text(id)` is a token's
/// text; bytes that are no UTF-8 become U+FFFD.
template <class Text, class More>
std::string json_text(const clusters& from, const Text& text, More more) {
    const clusters_origin& origin = from.origin();
    std::string all;
    json_writer out(all, json_escapes::letters);
    out.begin_object();
    out.field("model", fmt::format("{:016x}", origin.model));
    out.field("layers", origin.layers);
    out.field("inner_width", origin.inner_width);
    out.field("method", name_of(origin.method));
    out.field("space", name_of(origin.space));
    out.field("projection", name_of(origin.form));
    out.field("seed", origin.seed);
    write_quality(out, from.quality());
    out.key("clusters");
    out.begin_array();
    std::size_t id = 0;
    for (const cluster& c : from.all()) { detail::write_cluster(out, id++, c, text); }
    out.end_array();
    more(out);
    out.end_object();
    out.finish();
    return all;
}
template <class Text>
std::string json_text(const clusters& from, const Text& text) {
    return json_text(from, text, [](json_writer&) {});
}

/// Writes clusters to a file, which appears when it is whole. Throws xlens::error.
template <class Text>
void write_clusters(const clusters& from, const std::filesystem::path& path, const Text& text) {
    atomic_file file(path);
    const std::string bytes = json_text(from, text);
    file.write(std::as_bytes(std::span(bytes)));
    file.commit();
}

/// The clusters in a file that was made of the model with this fingerprint. Throws xlens::error for
/// another model's, and for anything that is not such a document.
XLENS_API clusters read_clusters(const std::filesystem::path& path, std::uint64_t fingerprint);

/// The same, where the model has `layers` layers of `inner_width` neurons: throws xlens::error if
/// the file says otherwise.
XLENS_API clusters read_clusters(const std::filesystem::path& path, std::uint64_t fingerprint,
                                 std::size_t layers, std::size_t inner_width);

#if XLENS_DEFINES(concepts)

namespace detail {

XLENS_API void write_number(json_writer& out, double number) {
    out.literal(json_value(number).text());
}

XLENS_API void write_shortest(json_writer& out, float number) {
    if (!std::isfinite(number)) { return out.literal("null"); }
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    double wide = 0.0;
    std::from_chars(digits, end, wide);
    write_number(out, wide);
}

XLENS_API const json_list& array_at(const json_object& from, const std::string& key) {
    const json_value* found = from.value().find(key);
    if (found == nullptr || !found->is_list()) {
        fail("{}: {}: expected an array, got {}", from.file(), key,
             found == nullptr ? "no such key" : found->type_name());
    }
    return found->list();
}

XLENS_API std::vector<scored> tokens_of(const json_object& from, const std::string& key) {
    std::vector<scored> out;
    for (const auto& item : array_at(from, key)) {
        const json_object token(from.file(), item, key);
        const std::uint64_t id = token.unsigned_integer("id");
        constexpr auto most = std::numeric_limits<token_id>::max();
        if (id > static_cast<std::uint64_t>(most)) {
            fail("{}: {}.id: expected at most {}, got {}", from.file(), key, most, id);
        }
        constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
        out.push_back(
            {static_cast<token_id>(id), static_cast<float>(token.number("score", unknown))});
    }
    return out;
}

XLENS_API cluster cluster_of(const json_object& from, std::size_t id) {
    const auto expect = [&](const char* key, std::size_t expected) {
        const std::uint64_t found = from.unsigned_integer(key);
        if (found != expected) {
            fail("{}: cluster {}: {}: expected {}, got {}", from.file(), id, key, expected, found);
        }
    };
    cluster out;
    for (const auto& item : array_at(from, "neurons")) {
        if (!item.is_string()) {
            fail("{}: cluster {}: neurons: expected \"L:I\", got {}", from.file(), id,
                 item.type_name());
        }
        out.neurons.push_back(parse_neuron(item.string(), from.file() + ": neurons"));
    }
    expect("id", id);
    expect("size", out.neurons.size());
    out.cohesion = from.number("cohesion");
    for (const auto& item : array_at(from, "centroid")) {
        if (!item.is_number()) {
            fail("{}: cluster {}: centroid: expected a number, got {}", from.file(), id,
                 item.type_name());
        }
        out.centroid.push_back(static_cast<float>(item.number()));
    }
    out.concept_of_centroid = {tokens_of(from, "concept"), tokens_of(from, "suppresses")};
    return out;
}

}  // namespace detail

XLENS_API void write_quality(json_writer& out, const cluster_quality& quality) {
    out.key("inertia");
    detail::write_number(out, quality.inertia);
    out.key("cohesion");
    detail::write_number(out, quality.cohesion);
}

XLENS_API clusters read_clusters(const std::filesystem::path& path, std::uint64_t fingerprint) {
    // The paper's 10,000 clusters have millions of numbers in their centroids.
    constexpr json_limits limits{.values = std::size_t{1} << 26U, .bytes = 1'000'000'000};
    const json_value document = read_json(path, limits);
    const json_object top(printable(path.string(), 1024), document);
    const std::string model = fmt::format("{:016x}", fingerprint);
    if (top.string("model") != model) {
        fail("{}: clusters: made of model {}, this one is {}", top.file(),
             printable(top.string("model")), model);
    }
    const std::uint64_t layers = top.unsigned_integer("layers");
    const std::uint64_t inner_width = top.unsigned_integer("inner_width");
    constexpr std::uint64_t most = std::uint64_t{1} << 30U;  // neurons: bounds the memory
    if (layers == 0 || inner_width == 0 || layers > most / inner_width) {
        fail("{}: clusters: {} layers of {} neurons: expected 1 to {} neurons", top.file(), layers,
             inner_width, most);
    }
    clusters_origin origin{.model = fingerprint, .layers = layers, .inner_width = inner_width};
    std::vector<cluster> found;
    for (const auto& item : detail::array_at(top, "clusters")) {
        found.push_back(detail::cluster_of({top.file(), item, "clusters"}, found.size()));
        if (found.back().centroid.size() != found.front().centroid.size()) {
            fail("{}: cluster {}: centroid: expected {} numbers, got {}", top.file(),
                 found.size() - 1, found.front().centroid.size(), found.back().centroid.size());
        }
    }
    try {
        origin.method = parse_cluster_method(top.string("method"));
        origin.space = parse_cluster_space(top.string("space"));
        origin.form = parse_projection(top.string("projection"));
        origin.seed = top.unsigned_integer("seed", 0);
        return {origin, std::move(found)};
    } catch (const error& e) { fail("{}: {}", top.file(), e.what()); }
}

XLENS_API clusters read_clusters(const std::filesystem::path& path, std::uint64_t fingerprint,
                                 std::size_t layers, std::size_t inner_width) {
    clusters found = read_clusters(path, fingerprint);
    const clusters_origin& origin = found.origin();
    if (origin.layers != layers || origin.inner_width != inner_width) {
        fail("{}: clusters: of {} layers of {} neurons, the model has {} layers of {}",
             printable(path.string(), 1024), origin.layers, origin.inner_width, layers,
             inner_width);
    }
    return found;
}

#endif

}  // namespace xlens
