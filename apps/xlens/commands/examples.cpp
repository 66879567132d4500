// SPDX-License-Identifier: BSD-3-Clause
#include "output/examples.hpp"
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "engine/read.hpp"
#include "engine/search_query.hpp"
#include "output/json_writer.hpp"
#include "output/note.hpp"
#include "output/progress.hpp"

#include <xlens/concepts/search_neurons.hpp>
#include <xlens/concepts/value_concepts.hpp>
#include <xlens/core/comma_separated.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/model.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/open_files.hpp>
#include <xlens/text/text_windows.hpp>
#include <xlens/trace/find_examples.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::program {

namespace {

constexpr std::size_t concept_tokens = 10;  // of each end

struct examples_flags {
    common_flags common;
    std::optional<std::string> neurons;
    query_flags query;
    std::size_t hits = 5;
    bool all = false;
    std::optional<std::string> file;
    text_flags how;
    std::optional<std::size_t> window;
    std::optional<std::size_t> limit;
    std::optional<std::size_t> context;
    std::optional<std::size_t> skipped;
    std::optional<float> threshold;
    example_shape keep;
    std::optional<std::string> lines;
    std::optional<std::string> html;

    [[nodiscard]] bool asks() const {
        return query.words || query.pattern || query.ids || query.like;
    }
};

std::vector<neuron> parse_neurons(std::string_view list) {
    std::vector<neuron> out;
    for (const std::string_view one : comma_separated(list)) {
        out.push_back(parse_neuron(one, "NEURONS"));
        if (std::count(out.begin(), out.end(), out.back()) > 1) {
            fail("NEURONS: {}: expected once, got twice", to_string(out.back()));
        }
    }
    return out;
}

/// Throws xlens::error for what is wrong without a model.
void check(const examples_flags& flags) {
    const int ways = (flags.neurons ? 1 : 0) + (flags.asks() ? 1 : 0) + (flags.all ? 1 : 0);
    if (ways != 1) {
        fail("NEURONS, --words and the like, --all: expected one of them, got {}",
             ways == 0 ? "none" : std::to_string(ways));
    }
    if (flags.neurons) { static_cast<void>(parse_neurons(*flags.neurons)); }
    if (flags.asks()) { flags.query.check(); }
    if (!flags.file) { fail("--file: expected a text file, got nothing"); }
    if (flags.all && !flags.lines) { fail("--all: expected -o FILE for its neurons, got none"); }
    if (flags.all && (flags.context || flags.html || flags.common.json)) {
        fail("--all: goes to -o FILE; --context, --html and --json are for some neurons");
    }
}

std::unique_ptr<atomic_file> file_of(std::string_view flag, const std::optional<std::string>& to) {
    if (!to) { return nullptr; }
    if (to->empty()) { fail("{}: expected a file to write, got ''", flag); }
    return std::make_unique<atomic_file>(*to);
}

std::vector<neuron> neurons_of(const examples_flags& flags, const engine& opened) {
    const xlens::model& model = opened.model();
    if (flags.all) { return all_neurons(model.sizes()); }
    std::vector<neuron> out;
    if (flags.neurons) {
        out = parse_neurons(*flags.neurons);
        for (const neuron& n : out) {
            check_neuron(n, model.config.layers, model.config.inner_width);
        }
        return out;
    }
    const search_query query = read_query(opened, flags.query);
    search_neurons_options options;
    options.search.limit = flags.hits;
    options.search.scale = query.like ? score_scale::norm : score_scale::spread;
    options.top = 1;
    options.control = 0;
    const search_report found = query.like ? search_neurons(model, *query.like, options)
                                           : search_neurons(model, query.tokens, options);
    if (query.like) { out.push_back(*query.like); }
    for (const search_report::hit& hit : found.hits) { out.push_back(hit.where); }
    return out;
}

example_options options_of(const examples_flags& flags, const engine& opened) {
    example_options out;
    out.keep = flags.keep;
    out.keep.context = flags.all ? 0 : flags.context.value_or(out.keep.context);
    if (flags.threshold) { out.keep.threshold = *flags.threshold; }
    if (out.keep.threshold < 0.0F) {
        fail("--threshold: expected at least 0, got {}", out.keep.threshold);
    }
    const std::size_t most = opened.config().context;
    out.window = flags.window.value_or(std::min(out.window, most));
    if (out.window > most) {
        fail("--window: expected 2 to {}, the model's context, got {}", most, out.window);
    }
    out.prefix = window_prefix(opened, flags.how);
    out.keep.skipped = flags.skipped.value_or(std::max<std::size_t>(1, out.prefix.size()));
    if (out.window <= std::max(out.prefix.size(), out.keep.skipped)) {
        fail("--window: expected more than the {} tokens that begin it or are skipped, got {}",
             std::max(out.prefix.size(), out.keep.skipped), out.window);
    }
    return out;
}

/// As many tokens of the text as are to be read.
std::vector<token_id> text_of(const examples_flags& flags, const engine& opened) {
    constexpr std::size_t most = std::size_t{1} << 32U;
    text_windows text(*flags.file, opened.text(), flags.limit.value_or(most),
                      {.special = flags.how.special, .bos = false});
    std::vector<token_id> out = text.next();
    if (out.empty()) { fail("--file: {}: expected at least 1 token, got 0", *flags.file); }
    return out;
}

void run(examples_flags flags) {
    check(flags);
    const auto lines = file_of("-o", flags.lines);
    const auto page = file_of("--html", flags.html);
    const engine opened(flags.common);
    for (const auto& path : {flags.lines, flags.html}) {
        if (path) { refuse_input(*path); }  // now, not after the work
    }
    example_options options = options_of(flags, opened);
    const std::vector<neuron> neurons = neurons_of(flags, opened);
    const std::vector<token_id> text = text_of(flags, opened);
    const xlens::model& model = opened.model();
    const text_examples found = [&] {
        progress_bar bar("examples");
        options.progress = std::ref(bar);
        return find_examples(model, text, neurons, options);
    }();
    note(opened.manifest());
    examples_view view{opened, *flags.file, found, neurons, {}};
    if (lines) { write_example_lines(*lines, view); }
    if (flags.all) {
        note(fmt::format("{}: {} neurons at {} positions", *flags.lines, neurons.size(),
                         found.found.positions()));
        return;
    }
    view.concepts = concepts_of(concept_reader(model, projection::folded), model.value_matrices(),
                                std::min(concept_tokens, model.config.vocabulary), neurons);
    if (page) {
        const std::size_t bytes = write_examples_page(*page, view);
        note(fmt::format("{}: {} neurons, {:.2f} MB", *flags.html, neurons.size(),
                         static_cast<double>(bytes) / 1e6));
    }
    if (flags.common.json) {
        json_writer out(record_of(opened));
        write_examples(out, view);
    } else {
        print_examples(view);
    }
}

}  // namespace

void add_examples(command_line& program) {
    constexpr std::size_t most = std::size_t{1} << 32U;
    const auto flags = std::make_shared<examples_flags>();
    arguments a = program.add(
        "examples", "Show where in a text neurons fire: the contexts of their largest m",
        "xlens examples default 29:1189 --file book.txt --html neuron.html\n"
        "  xlens examples default --words doctor,hospital --file book.txt --limit 20000\n"
        "  xlens examples default --all --file book.txt -o book.jsonl",
        [flags] { run(*flags); });
    flags->common.declare(a);
    flags->common.declare_cache(a);
    a.positional("NEURONS", flags->neurons, "Neurons to look at: 29:1189,12:1033");
    flags->query.declare(a);
    a.whole("--hits", flags->hits, 1, 1'000'000,
            "Neurons of such a search; of --like that neuron, too");
    a.flag("--all", flags->all, "All neurons of the model in one pass, to -o");
    a.text("--file", flags->file, "FILE", "The text, in UTF-8; - is standard input");
    flags->how.declare(a);
    a.whole("--window", flags->window, 2, 1U << 28U,
            "Tokens that are read together, the start token among them; contexts end\n"
            "where a window does (512, or the model's context)");
    a.whole("--limit", flags->limit, 1, most, "Tokens of the text to read at most (all)");
    a.whole("--top", flags->keep.top, 1, 100'000, "Examples of each sign");
    a.whole("--context", flags->context, 0, 1U << 20U,
            "Tokens shown before and behind each, with m at them (12)");
    a.whole("--apart", flags->keep.apart, 1, 1U << 28U,
            "Of so many positions of a window in a row show the best alone");
    a.whole("--skip", flags->skipped, 0, 1U << 28U,
            "First positions of a window, read but not looked at: the start token, or\n"
            "the first where there is none, which attends to itself alone (1)");
    a.number("--threshold", flags->threshold, "Count the share of positions with |m| above (0.5)");
    a.text("-o", flags->lines, "FILE", "Write JSON lines, one a neuron, without contexts");
    a.text("--html", flags->html, "FILE", "Write a page with the contexts shaded by m");
}

}  // namespace xlens::program
