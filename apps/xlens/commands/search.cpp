// SPDX-License-Identifier: BSD-3-Clause
#include "output/search.hpp"
#include "output/json_writer.hpp"
#include "output/note.hpp"
#include "output/progress.hpp"

#include <xlens/concepts/concept_index.hpp>
#include <xlens/concepts/search_neurons.hpp>
#include <xlens/core/error.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/model.hpp>
#include <xlens/sae/read_sae.hpp>
#include <xlens/sae/search_features.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace xlens::program {

namespace {

struct search_flags {
    common_flags common;
    query_flags query;
    search_words words;
    std::size_t limit = 20;
    std::size_t top = 10;                // tokens of each end of a hit
    std::optional<std::string> index;    // file that the hits' tokens are read from
    std::optional<std::size_t> control;  // random vectors a layer; none: as many as neurons
    std::optional<std::string> scale;
    std::optional<std::size_t> among;  // the best so many by score, for --rank kurtosis
    bool suppresses = false;
    bool either = false;
    std::optional<std::string> seed;
    std::optional<std::string> sae;  // folder whose features are searched instead
};

/// The words of the flags, with what stands for those that are not there.
search_words words_of(const search_flags& flags) {
    if (flags.suppresses && flags.either) {
        fail("--suppresses, --either: expected one of the two, got both");
    }
    search_words out = flags.words;
    if (flags.among && out.rank != "kurtosis") {
        fail("--among: expected --rank kurtosis with it, got {}", out.rank);
    }
    out.among = flags.among.value_or(out.among);
    out.end = flags.either ? "either" : flags.suppresses ? "suppresses" : "promotes";
    out.scale = flags.scale.value_or(flags.words.form == "standard" ? "none"
                                     : flags.query.like             ? "norm"
                                                                    : "spread");
    if (flags.seed) {
        out.seed = parse_whole("--seed", *flags.seed, 0, std::numeric_limits<std::uint64_t>::max());
    }
    return out;
}

search_neurons_options options_of(const search_flags& flags, const search_words& words) {
    search_neurons_options out;
    out.search.side = parse_side(words.side);
    out.search.scale = parse_scale(words.scale);
    out.search.form = parse_projection(words.form);
    out.search.end = flags.either       ? search_end::either
                     : flags.suppresses ? search_end::suppresses
                                        : search_end::promotes;
    out.search.limit = flags.limit;
    out.rank = parse_rank(words.rank);
    out.among = words.among;
    out.top = flags.top;
    out.control = flags.control;
    out.seed = words.seed;
    return out;
}

std::optional<concept_index> index_of(const search_flags& flags, const xlens::model& model) {
    if (!flags.index) { return std::nullopt; }
    if (flags.words.side != "value") {
        fail("--index: holds value vectors, expected --side value, got {}", flags.words.side);
    }
    return open_index(*flags.index, model, parse_projection(flags.words.form),
                      std::min(flags.top, model.config.vocabulary));
}

/// Throws xlens::error for what is of neurons alone.
void check_sae(const search_flags& flags) {
    if (flags.either) { fail("--either: activations of --sae are never negative"); }
    if (flags.index) { fail("--index: holds value vectors, not those of --sae"); }
    if (flags.words.side != "value") {
        fail("--side: is of neurons: expected value with --sae, got {}", flags.words.side);
    }
    if (flags.words.form == "standard") {
        fail("--projection: standard: is of value vectors: expected folded or raw with --sae");
    }
}

/// Whether all vectors are asked for, whatever they are about.
bool of_all(const search_flags& flags) {
    return flags.words.rank == "kurtosis" && !flags.query.given();
}

feature_report search_sae(const xlens::model& model, const sparse_autoencoder& sae,
                          const search_flags& flags, const search_query& query,
                          const search_neurons_options& options) {
    if (query.like) { return search_features(model, sae, *query.like, options); }
    if (of_all(flags)) { return most_kurtotic_features(model, sae, options); }
    return search_features(model, sae, query.tokens, options);
}
search_report search_model(const xlens::model& model, const search_flags& flags,
                           const search_query& query, const search_neurons_options& options) {
    if (query.like) { return search_neurons(model, *query.like, options); }
    if (of_all(flags)) { return most_kurtotic_neurons(model, options); }
    return search_neurons(model, query.tokens, options);
}

/// Throws xlens::error for what is of a search for something alone.
void check_all(const search_flags& flags) {
    for (const auto& [flag, given] :
         {std::pair{"--suppresses", flags.suppresses}, std::pair{"--either", flags.either},
          std::pair{"--normalise", flags.scale.has_value()},
          std::pair{"--among", flags.among.has_value()},
          std::pair{"--control", flags.control.has_value()},
          std::pair{"--seed", flags.seed.has_value()}}) {
        if (given) { fail("{}: expected words, tokens or a neuron with it, got none", flag); }
    }
}

void run(const search_flags& flags) {
    if (of_all(flags)) {
        check_all(flags);
    } else {
        flags.query.check();
    }
    if (flags.sae) { check_sae(flags); }
    const search_words words = words_of(flags);
    const engine opened(flags.common);
    const search_query query = read_query(opened, flags.query);
    const xlens::model& model = opened.model();
    search_neurons_options options = options_of(flags, words);
    const std::optional<concept_index> index = index_of(flags, model);
    if (index) { options.index = &*index; }
    const auto watch = [&](const auto& search) {
        progress_bar bar(of_all(flags) ? "kurtosis" : "control");
        options.progress = std::ref(bar);
        return search();
    };
    const auto show = [&](const auto& found, const auto&... sae) {
        note(fmt::format("{}, seed {}", opened.manifest(), words.seed));
        if (flags.common.json) {
            run_record run = record_of(opened);
            if (!of_all(flags)) { run.seed = words.seed; }
            json_writer out(std::move(run));
            write_search(out, opened, sae..., query, words, found);
        } else {
            print_search(opened, sae..., query, words, found);
        }
    };
    if (flags.sae) {
        const sparse_autoencoder sae = read_sae(*flags.sae);
        show(watch([&] { return search_sae(model, sae, flags, query, options); }), sae);
    } else {
        show(watch([&] { return search_model(model, flags, query, options); }));
    }
}

}  // namespace

void add_search(command_line& program) {
    constexpr std::size_t most = 10'000'000;
    constexpr std::size_t most_random = 1'000'000;
    const auto flags = std::make_shared<search_flags>();
    arguments a = program.add("search", "Find the neurons that promote some words, in all layers",
                              "xlens search default --words \"red,green,blue\" --either\n"
                              "  xlens search default --rank kurtosis --index default.index",
                              [flags] { run(*flags); });
    flags->common.declare(a);
    flags->query.declare(a);
    a.whole("--limit", flags->limit, 1, most, "Neurons to show");
    a.flag("--suppresses", flags->suppresses, "Those with the lowest scores instead");
    a.flag("--either", flags->either, "Those farthest from zero: m < 0 turns a vector around");
    a.choice("--side", flags->words.side, {"value", "key", "gate", "up"},
             "What neurons write, or what they read by");
    a.choice("--normalise", flags->scale, {"none", "norm", "spread"},
             "Divide by nothing, the norm, or the spread over the vocabulary (spread;\n"
             "with --like: norm; with --projection standard: none)");
    a.choice("--projection", flags->words.form, {"folded", "raw", "standard"},
             "How vectors are read: with the norm's gain, as they are, or a token's score\n"
             "beside what all value vectors of the model score for it");
    a.choice("--rank", flags->words.rank, {"score", "kurtosis"},
             "Best scores first, or the highest kurtosis of scores over the vocabulary:\n"
             "what is about one thing. With no words or neuron: of the model");
    a.whole("--among", flags->among, 1, most,
            "With --rank kurtosis: of so many neurons with the best scores (1000)");
    a.whole("--top", flags->top, 1, most, "Tokens of each end of a neuron");
    a.text("--sae", flags->sae, "FOLDER",
           "Search the features of a sparse autoencoder (see 'xlens sae') instead");
    a.text("--index", flags->index, "FILE", "Read these from a file that xlens index made");
    a.whole("--control", flags->control, 0, most_random,
            "Random vectors a layer to compare with (as many as neurons)");
    a.text("--seed", flags->seed, "N", "Seed of the random vectors (0)");
}

}  // namespace xlens::program
