// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "output/json_writer.hpp"
#include "output/note.hpp"
#include "output/progress.hpp"
#include "output/table_line.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/number_ranges.hpp>
#include <xlens/interventions/direction_file.hpp>
#include <xlens/interventions/fit_directions.hpp>
#include <xlens/interventions/pair_file.hpp>
#include <xlens/model/model.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/open_files.hpp>
#include <xlens/text/tokenizer.hpp>

#include <fmt/format.h>

#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

namespace xlens::program {

namespace {

struct direction_flags {
    common_flags common;
    text_flags how;
    std::optional<std::string> pairs;
    std::optional<std::string> positive;
    std::optional<std::string> negative;
    std::optional<std::string> path;
    std::optional<std::string> layers;
    std::string site = "after";
    std::string position = "last";
    std::string method = "mean";
    std::size_t seed = 0;
};

std::vector<written_pair> pairs_of(const direction_flags& flags) {
    if (flags.pairs.has_value() == (flags.positive || flags.negative)) {
        fail("--pairs, --positive: expected one of the two, got {}",
             flags.pairs ? "both" : "neither");
    }
    if (flags.pairs) { return read_pairs(*flags.pairs); }
    if (!flags.positive) { fail("--positive: expected a file of lines, got nothing"); }
    if (!flags.negative) { fail("--negative: expected a file of lines, got nothing"); }
    return read_pairs(*flags.positive, *flags.negative);
}

std::vector<text_pair> tokens_of(const engine& opened, const direction_flags& flags,
                                 const std::vector<written_pair>& pairs) {
    std::vector<text_pair> out;
    for (const written_pair& pair : pairs) {
        const auto encode = [&](const std::string& text, const char* side) {
            std::vector<token_id> ids = opened.text().encode_prompt(text, flags.how.options());
            if (ids.size() > opened.config().context) {
                fail("{}: {}: {} tokens, the model reads at most {}", pair.place, side, ids.size(),
                     opened.config().context);
            }
            const std::size_t least = flags.position == "mean" ? 2 : 1;
            if (ids.size() < least) {
                fail("{}: {}: {} tokens, expected at least {}", pair.place, side, ids.size(),
                     least);
            }
            return ids;
        };
        out.push_back({encode(pair.positive, "positive"), encode(pair.negative, "negative")});
    }
    return out;
}

/// --layers; of a control vector, which has none of layer 0, all others where it says nothing.
std::vector<std::size_t> layers_of(const direction_flags& flags, std::size_t count,
                                   bool control_vector) {
    std::vector<std::size_t> out = parse_ranges("--layers", flags.layers.value_or("all"), count);
    if (control_vector && out.front() == 0 && flags.layers.value_or("all") == "all") {
        out.erase(out.begin());
    }
    for (const std::size_t l : out) {
        if (control_vector && l == 0) {
            fail("--layers: expected 1 to {} for a .gguf, which has no layer 0, got 0", count - 1);
        }
    }
    if (out.empty()) { fail("--layers: a .gguf has no layer 0, and the model no other"); }
    return out;
}

void write_json(const engine& opened, const direction_flags& flags,
                const fitted_directions& found) {
    run_record run = record_of(opened);
    run.seed = flags.seed;
    json_writer out(std::move(run));
    out.begin_object();
    out.field("pairs", found.set.pairs);
    out.field("site", flags.site);
    out.field("position", flags.position);
    out.field("method", flags.method);
    out.key("layers");
    out.begin_array();
    for (const auto& [layer, d] : found.set.of) { out.value(layer); }
    out.end_array();
    out.key("separation");
    out.begin_array();
    for (const direction_separation& s : found.separation) {
        out.begin_object();
        out.field("layer", s.layer);
        out.field("length", s.length);
        out.field("held_out", s.held_out);
        out.field("margin", s.margin);
        out.field("random", s.random);
        out.field("random_high", s.random_high);
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

void print_table(const direction_flags& flags, const fitted_directions& found) {
    fmt::print("{}: {} direction{} of {} pair{}, {} of the {} position{}, {} the FFN update\n",
               *flags.path, found.set.of.size(), found.set.of.size() == 1 ? "" : "s",
               found.set.pairs, found.set.pairs == 1 ? "" : "s", flags.method, flags.position,
               flags.position == "mean" ? "s" : "", flags.site);
    if (found.separation.empty()) {
        fmt::print("one pair: none can be held out\n");
        return;
    }
    table_line()
        .right("layer", 5)
        .right("length", 10)
        .right("held out", 11)
        .right("margin", 9)
        .right("random", 9)
        .right("1 in 20", 9)
        .print();
    for (const direction_separation& s : found.separation) {
        const bool better = s.held_out > s.random_high;
        table_line()
            .right(std::to_string(s.layer), 5)
            .right(fmt::format("{:.2f}", s.length), 10)
            .right(fmt::format("{:.1f} %", 100.0 * s.held_out), 11,
                   better ? style::good : style::plain)
            .right(fmt::format("{:.2f}", s.margin), 9)
            .right(fmt::format("{:.1f} %", 100.0 * s.random), 9)
            .right(fmt::format("{:.1f} %", 100.0 * s.random_high), 9)
            .print();
    }
}

void run(const direction_flags& flags) {
    if (!flags.path) { fail("-o: expected a file to write, got nothing"); }
    const bool control_vector = is_control_vector(*flags.path);
    if (control_vector && flags.site != "after") {
        fail("--site: expected after for a .gguf, got {}", flags.site);
    }
    std::vector<input_mark> read;  // what is read cannot be written over
    for (const auto* file : {&flags.pairs, &flags.positive, &flags.negative}) {
        if (*file) { read.emplace_back(**file); }
    }
    const std::vector<written_pair> written = pairs_of(flags);
    const engine opened(flags.common);
    fit_directions_options options;
    options.layers = layers_of(flags, opened.config().layers, control_vector);
    options.site = flags.site == "before" ? hook::before : hook::after;
    options.position =
        flags.position == "mean" ? direction_position::mean : direction_position::last;
    options.method = flags.method == "pca" ? direction_method::pca : direction_method::mean;
    options.seed = flags.seed;
    const std::vector<text_pair> pairs = tokens_of(opened, flags, written);
    atomic_file to(*flags.path);  // before the work: it may be refused
    note(opened.manifest());
    const fitted_directions found = [&] {
        progress_bar bar("direction");
        options.progress = std::ref(bar);
        return fit_directions(opened.model(), pairs, options);
    }();
    control_vector ? write_control_vector(to, found.set) : write_directions(to, found.set);
    flags.common.json ? write_json(opened, flags, found) : print_table(flags, found);
}

}  // namespace

void add_direction(command_line& program) {
    const auto flags = std::make_shared<direction_flags>();
    arguments a = program.add(
        "direction", "Make steering vectors of pairs of texts, and say how well they separate",
        "xlens direction default --pairs pairs.jsonl -o happy.safetensors\n"
        "  xlens direction default --positive happy.txt --negative sad.txt -o happy.gguf\n"
        "  xlens generate default --prompt \"Today I feel\" --steer happy.gguf:12-18=1.5",
        [flags] { run(*flags); });
    flags->common.declare(a);
    flags->common.declare_cache(a);
    a.text("--pairs", flags->pairs, "FILE",
           "JSON lines {\"positive\": TEXT, \"negative\": TEXT}; - is standard input");
    a.text("--positive", flags->positive, "FILE", "Or a text a line, and");
    a.text("--negative", flags->negative, "FILE", "as many lines of the texts that they oppose");
    flags->how.declare(a);
    a.text("-o", flags->path, "FILE",
           "File to write: .safetensors, or .gguf, a control vector of llama.cpp");
    a.choice("--site", flags->site, {"after", "before"},
             "The residual after a layer's FFN update, or before it");
    a.text("--layers", flags->layers, "3,5-8", "Layers (all; a .gguf has no layer 0)");
    a.choice("--position", flags->position, {"last", "mean"},
             "What of a text is read: its last position, or the mean of all but the\n"
             "first");
    a.choice("--method", flags->method, {"mean", "pca"},
             "The mean difference, or the first principal component of the\n"
             "differences");
    a.whole("--seed", flags->seed, 0, std::numeric_limits<std::size_t>::max(),
            "Seed of the random directions that stand beside it");
}

}  // namespace xlens::program
