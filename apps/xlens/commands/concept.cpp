// SPDX-License-Identifier: BSD-3-Clause
#include "output/concept.hpp"
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "output/json_writer.hpp"
#include "output/run_record.hpp"

#include <xlens/concepts/concept_control.hpp>
#include <xlens/concepts/concept_index.hpp>
#include <xlens/concepts/value_concepts.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/model/model.hpp>
#include <xlens/text/input_lines.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::program {

namespace {

struct concept_flags {
    common_flags common;
    std::vector<std::string> where;
    std::optional<std::string> file;
    std::size_t top = 30;
    std::string form;
    std::optional<std::string> index;
    std::size_t control = 0;
    std::optional<std::string> seed;
};

/// A neuron that is asked for, and the line of a file that does.
struct asked_neuron {
    neuron where;
    std::string place;  ///< for messages
    std::optional<prompt_record> from = std::nullopt;
};

std::vector<asked_neuron> neurons_of(const concept_flags& flags) {
    std::vector<asked_neuron> out;
    if (flags.where.empty() != flags.file.has_value()) {
        fail("L:I, --prompts: expected one of the two, got {}", flags.file ? "both" : "neither");
    }
    for (const std::string& text : flags.where) { out.push_back({parse_neuron(text, "L:I"), ""}); }
    if (!flags.file) { return out; }
    static constexpr std::array<std::string_view, 1> ours{"neuron"};
    each_line(*flags.file, "neuron", [&](std::size_t number, const json_object& line) {
        const std::string field = line.file() + ": neuron";
        out.push_back({parse_neuron(line.string("neuron"), field), line.file() + ": ",
                       prompt_record{*flags.file, number, members_beside(line, ours)}});
    });
    return out;
}

value_concept find_concept(const xlens::model& model, const neuron& where,
                           const concept_flags& flags) {
    const projection form = parse_projection(flags.form);
    if (!flags.index) { return concept_of(model, where, flags.top, form); }
    check_neuron(where, model.config.layers, model.config.inner_width);
    const std::size_t top = std::min(flags.top, model.config.vocabulary);
    return concept_of(model, open_index(*flags.index, model, form, top), where, top);
}

constexpr std::uint64_t most_seed = std::numeric_limits<std::uint64_t>::max();

void show(const concept_flags& flags, const engine& opened, const asked_neuron& asked,
          const value_concept& found, const std::optional<concept_control>& random,
          std::uint64_t seed) {
    const neuron& where = asked.where;
    std::optional<concept_beside_random> control;
    if (random) {
        control = {random->compare(where, flags.top, flags.control, seed), flags.control, seed};
    }
    if (flags.common.json) {
        run_record run = record_of(opened);
        run.prompt = asked.from;
        if (control) { run.seed = seed; }
        json_writer out(std::move(run));
        write_concept(out, opened, where, found, control);
    } else {
        print_concept(opened, where, found, flags.form);
        if (control) { print_control(*control); }
    }
}

void run(const concept_flags& flags) {
    const std::vector<asked_neuron> neurons = neurons_of(flags);
    if (flags.control > 0 && flags.form != "folded" && flags.form != "raw") {
        fail("--control: expected --projection folded or raw, got {}", flags.form);
    }
    const std::uint64_t seed = flags.seed ? parse_whole("--seed", *flags.seed, 0, most_seed) : 0;
    const engine opened(flags.common);
    const auto& config = opened.model().config;
    for (const asked_neuron& n : neurons) {
        try {
            check_neuron(n.where, config.layers, config.inner_width);
        } catch (const error& e) { fail("{}{}", n.place, e.what()); }
    }
    std::optional<concept_control> random;
    if (flags.control > 0) { random.emplace(opened.model(), parse_projection(flags.form)); }
    for (const asked_neuron& n : neurons) {
        show(flags, opened, n, find_concept(opened.model(), n.where, flags), random, seed);
    }
}

}  // namespace

void add_concept(command_line& program) {
    constexpr std::size_t most = 10'000'000;
    const auto flags = std::make_shared<concept_flags>();
    arguments a =
        program.add("concept", "Show the tokens that a value vector promotes and suppresses",
                    "xlens concept default 12:1033 --top 15", [flags] { run(*flags); });
    flags->common.declare(a);
    a.positionals("L:I", flags->where,
                  "The neuron: layer and index, from 0; several give several tables, or\n"
                  "documents a line each",
                  false);
    a.text("--prompts", flags->file, "FILE",
           "Many neurons, one a line, or JSON lines with \"neuron\" and what else is to\n"
           "be carried along; - is standard input");
    a.whole("--top", flags->top, 1, most, "Tokens of each end");
    a.choice("--projection", flags->form, {"folded", "raw", "normed", "standard"},
             "How v is read: with the final norm's gain, as it is, normed, or a token's\n"
             "score beside what all value vectors of the model score for it");
    a.text("--index", flags->index, "FILE", "Read the tokens from a file that xlens index made");
    constexpr std::size_t most_random = 100'000;
    a.whole("--control", flags->control, 0, most_random, "Random vectors to compare with");
    a.text("--seed", flags->seed, "N", "Seed of the random vectors (0)");
}

}  // namespace xlens::program
