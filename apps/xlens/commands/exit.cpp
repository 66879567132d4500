// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "engine/read.hpp"
#include "output/drafts.hpp"
#include "output/json_writer.hpp"
#include "output/note.hpp"
#include "output/progress.hpp"
#include "output/table_line.hpp"

#include <xlens/core/comma_separated.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/number_ranges.hpp>
#include <xlens/early_exit/any_rule.hpp>
#include <xlens/early_exit/cluster_rule.hpp>
#include <xlens/early_exit/evaluate_words.hpp>
#include <xlens/early_exit/exit_options.hpp>
#include <xlens/early_exit/exit_report.hpp>
#include <xlens/early_exit/fit.hpp>
#include <xlens/early_exit/paper_table.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/model/model.hpp>
#include <xlens/storage/open_files.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::program {

using namespace early_exit;

namespace {

constexpr std::size_t usual_timed = 256;

/// What is asked for: the words that stand for rules, and the library's options, but for `clusters`
/// and `progress`.
struct exit_request {
    std::vector<std::string> rules;       // names, or files that `exit fit` wrote
    std::optional<std::string> clusters;  // file of `xlens cluster`
    std::optional<std::string> lens;      // file of a fitted lens
    exit_options options;
};

struct exit_flags {
    common_flags common;
    std::string action;
    std::optional<std::string> file;
    text_flags how;
    std::optional<std::string> rule;
    std::optional<float> agreement;
    std::optional<std::string> layers;
    std::optional<std::string> path;
    std::optional<std::string> fit_file;
    std::optional<std::string> seeds;
    std::optional<std::string> clusters;
    std::optional<std::string> lens;
    std::optional<std::string> reads;
    std::optional<std::size_t> curve;
    std::optional<std::size_t> timed;
    exit_options options;
};

/// The words of --rule: a file that exists is one whatever its name.
std::vector<std::string> rules_of(const std::string& text) {
    if (std::filesystem::exists(text)) { return {text}; }
    const auto words = comma_separated(text);
    return {words.begin(), words.end()};
}

/// Throws xlens::error unless every rule is known and has what it needs.
void check_rules(const exit_request& request) {
    for (const std::string& word : request.rules) {
        const rule_facts* rule = find_rule(word);
        if (rule == nullptr && !std::filesystem::exists(word)) {
            fail("--rule: expected {} or a file of 'exit fit', got '{}'", rule_names(),
                 printable(word));
        }
        if (rule != nullptr && rule->clusters && !request.clusters) {
            fail("--clusters: the rule '{}' needs a file of 'xlens cluster', got nothing", word);
        }
    }
}

/// Throws xlens::error for a flag that none of the rules asks for.
void check_use(const exit_flags& flags, const exit_request& request) {
    const auto any = [&](auto holds) {
        return std::ranges::any_of(request.rules, [&](const std::string& word) {
            const rule_facts* rule = find_rule(word);
            return rule != nullptr && holds(*rule);
        });
    };
    const std::string rule = printable(request.rules.front());
    if (flags.lens && !any([](const rule_facts& r) { return r.lens; })) {
        fail("--lens: {} read with a lens, got --rule {}", rule_names(&rule_facts::lens, " and "),
             rule);
    }
    if (flags.clusters && !any([](const rule_facts& r) { return r.clusters; })) {
        fail("--clusters: is for the rule {}, got --rule {}",
             rule_names(&rule_facts::clusters, " and "), rule);
    }
    if (flags.reads && !any([](const rule_facts& r) { return r.input; })) {
        fail("--reads: is for the rule {}, got --rule {}", rule_names(&rule_facts::input, " and "),
             rule);
    }
    if (any([](const rule_facts&) { return true; })) { return; }
    for (const auto& [flag, given] : {std::pair{"--agreement", flags.agreement.has_value()},
                                      std::pair{"--layers", flags.layers.has_value()},
                                      std::pair{"--fit-file", flags.fit_file.has_value()}}) {
        if (given) {
            fail("{}: is for a rule by name, which is fitted; got the file {}", flag, rule);
        }
    }
}

/// Throws xlens::error for a flag of another action.
void check_action(const exit_flags& flags) {
    const bool table = flags.action == "table";
    const bool eval = flags.action == "eval";
    if (flags.action != "fit" && flags.path) { fail("-o: exit {} writes no file", flags.action); }
    if (!eval && flags.fit_file) { fail("--fit-file: is for exit eval"); }
    if (!eval && flags.options.verify) { fail("--verify: is for exit eval"); }
    if (!eval && flags.curve) { fail("--curve: is for exit eval"); }
    if (!table && flags.seeds) { fail("--seeds: is for exit table"); }
    if (!table) { return; }
    for (const auto& [flag, given] : {std::pair{"--layers", flags.layers.has_value()},
                                      std::pair{"--agreement", flags.agreement.has_value()},
                                      std::pair{"--lens", flags.lens.has_value()},
                                      std::pair{"--reads", flags.reads.has_value()},
                                      std::pair{"--timed", flags.timed.has_value()}}) {
        if (given) { fail("{}: is for exit fit and exit eval", flag); }
    }
}

/// What exit fit takes beside that: one rule, by name, that can be fitted.
void check_fit(const std::string& given) {
    const rule_facts* rule = find_rule(given);
    if (rule == nullptr) {
        fail("--rule: exit fit takes the name of one rule, got '{}'", printable(given));
    }
    if (rule->told) {
        fail("--rule: '{}' knows the answers and cannot be fitted; measure it with exit eval",
             rule->name);
    }
}

exit_request checked(const exit_flags& flags) {
    if (flags.action != "fit" && flags.action != "eval" && flags.action != "table") {
        fail("exit: expected fit, eval or table, got '{}'", printable(flags.action));
    }
    if (!flags.file) { fail("--file: expected a text file, got nothing"); }
    const bool table = flags.action == "table";
    if (table && flags.rule) { fail("--rule: exit table measures the paper's rules"); }
    if (table && !flags.clusters) {
        fail("--clusters: exit table needs a file of 'xlens cluster', got nothing");
    }
    if (!table && !flags.rule) { fail("--rule: expected a rule's name or file, got nothing"); }
    if (flags.action == "fit" && !flags.path) { fail("-o: expected a file to write, got nothing"); }
    check_action(flags);
    exit_request out{rules_of(flags.rule.value_or("")), flags.clusters, {}, flags.options};
    exit_options& options = out.options;
    options.text = "--file";
    options.curve = flags.curve.value_or(0);
    options.timed = flags.timed.value_or(usual_timed);
    if (options.verify && options.timed == 0) {
        fail("--verify: expected --timed of 1 or more, got 0");
    }
    if (flags.lens == "linear" || flags.lens == "tuned") {
        options.lens = flags.lens == "linear" ? exit_lens::linear : exit_lens::tuned;
    } else if (flags.lens && flags.lens != "plain") {
        if (!std::filesystem::exists(*flags.lens)) {
            fail("--lens: expected plain, linear, tuned or a lens's file, got '{}'",
                 printable(*flags.lens));
        }
        out.lens = flags.lens;
    }
    if (flags.reads && flags.reads != "residual") {
        options.reads = flags.reads == "update" ? classifier_input::update : classifier_input::both;
    }
    if (flags.agreement) { options.agreement = *flags.agreement; }
    if (!(options.agreement > 0.0 && options.agreement < 1.0)) {
        fail("--agreement: expected between 0 and 1, got {}", options.agreement);
    }
    return out;
}

void write_json(json_writer& out, const exit_report& r) {
    out.begin_object();
    out.field("rule", r.rule);
    out.field("agreement", r.seen.agreement());
    out.field("saved_layers", r.seen.saved_layers());
    out.field("saved_fraction", r.seen.saved_fraction());
    out.field("seconds_full", r.timed.seconds_full);
    out.field("seconds_exit", r.timed.seconds_exit);
    out.field("threshold", double{r.threshold});
    out.field("fitted_tokens", r.fitted);
    out.field("measured_tokens", r.seen.positions);
    out.field("agreement_bound", r.agreement_bound);
    out.field("saved_time", r.timed.saved_time());
    out.field("live_tokens", r.timed.tokens);
    out.field("live_agreement", r.timed.agreement());
    out.field("live_saved_layers", r.timed.saved_layers());
    if (r.timed.drafts.passes > 0) {
        out.key("verified");
        write_drafts(out, r.timed.drafts, r.seen.layers);
    }
    out.key("exits");
    out.begin_array();
    for (const std::size_t n : r.seen.exits) { out.value(n); }
    out.end_array();
    if (!r.curve.empty()) {
        out.key("curve");
        out.begin_array();
        for (const exit_point& p : r.curve) {
            out.begin_object();
            out.field("threshold", double{p.threshold});
            out.field("agreement", p.summary.agreement());
            out.field("saved_layers", p.summary.saved_layers());
            out.field("saved_fraction", p.summary.saved_fraction());
            out.end_object();
        }
        out.end_array();
    }
    out.end_object();
}

/// One report is a document; several are a list of them.
void write_json(const std::vector<exit_report>& reports, const engine& opened) {
    json_writer out(record_of(opened));
    if (reports.size() > 1) { out.begin_array(); }
    for (const exit_report& r : reports) { write_json(out, r); }
    if (reports.size() > 1) { out.end_array(); }
}

/// Whether a decision costs an unembedding: such a rule saves layers sooner than time.
bool reads_vocabulary(std::string_view rule) {
    const rule_facts* facts = find_rule(rule);
    return facts != nullptr && facts->vocabulary;
}

void print(const exit_report& r) {
    fmt::print("rule           {}, threshold {:.6g}\n", r.rule, double{r.threshold});
    fmt::print("agreement      {:.4f} (at least {:.4f} with 95 %), {} tokens\n", r.seen.agreement(),
               r.agreement_bound, r.seen.positions);
    fmt::print("saved layers   {:.2f} of {}, {:.1f} %\n", r.seen.saved_layers(), r.seen.layers,
               100.0 * r.seen.saved_fraction());
    const timed_exit& timed = r.timed;
    if (!timed.ratios.empty()) {
        fmt::print(
            "decoding       {:.2f} s in full, {:.2f} s with exits; ratio {:.3f} / {:.3f} / "
            "{:.3f} (min, median, max of {} turns)\n",
            timed.seconds_full, timed.seconds_exit, timed.ratios.front(),
            timed.ratios[timed.ratios.size() / 2], timed.ratios.back(), timed.ratios.size());
        fmt::print("               {:.1f} % {} time{}\n", 100.0 * std::abs(timed.saved_time()),
                   timed.saved_time() >= 0.0 ? "less" : "more",
                   reads_vocabulary(r.rule) ? "; each decision reads the whole vocabulary" : "");
        fmt::print("live           agreement {:.4f}, saved layers {:.2f}, {} tokens\n",
                   timed.agreement(), timed.saved_layers(), timed.tokens);
    }
    if (timed.drafts.passes > 0) {
        fmt::print("verified       {}\n", draft_words(timed.drafts, r.seen.layers));
    }
    fmt::print("exits          layer: share\n");
    for (std::size_t l = 0; l < r.seen.exits.size(); ++l) {
        if (r.seen.exits[l] == 0) { continue; }
        fmt::print("               {:5}: {:.4f}\n", l,
                   static_cast<double>(r.seen.exits[l]) / static_cast<double>(r.seen.positions));
    }
}

void print(const std::vector<exit_report>& reports) {
    for (const exit_report& r : reports) {
        if (&r != reports.data()) { fmt::print("\n"); }
        print(r);
        if (!r.curve.empty()) { fmt::print("curve          threshold, agreement, saved layers\n"); }
        for (const exit_point& p : r.curve) {
            fmt::print("               {:10.6g}  {:.4f}  {:5.2f}\n", double{p.threshold},
                       p.summary.agreement(), p.summary.saved_layers());
        }
    }
}

struct moments {
    double mean = 0.0;
    double deviation = 0.0;  ///< of a population, as in the paper's notebook (numpy)
};
template <class Of>
moments over(const std::vector<exit_summary>& splits, Of of) {
    moments out;
    const auto count = static_cast<double>(splits.size());
    for (const exit_summary& s : splits) { out.mean += of(s) / count; }
    for (const exit_summary& s : splits) {
        out.deviation += (of(s) - out.mean) * (of(s) - out.mean) / count;
    }
    out.deviation = std::sqrt(out.deviation);
    return out;
}

struct table_cells {
    moments agreement;
    moments saved;
};
table_cells cells_of(const split_row& row) {
    return {over(row.splits, [](const exit_summary& s) { return s.agreement(); }),
            over(row.splits, [](const exit_summary& s) { return s.saved_layers(); })};
}

void write_json(const std::vector<split_row>& table, const std::vector<std::uint64_t>& seeds,
                const engine& opened) {
    json_writer out(record_of(opened));
    out.begin_object();
    out.key("seeds");
    out.begin_array();
    for (const std::uint64_t s : seeds) { out.value(static_cast<std::size_t>(s)); }
    out.end_array();
    out.key("rows");
    out.begin_array();
    for (const split_row& row : table) {
        const table_cells cells = cells_of(row);
        out.begin_object();
        out.field("rule", row.rule);
        out.field("agreement", cells.agreement.mean);
        out.field("agreement_deviation", cells.agreement.deviation);
        out.field("saved_layers", cells.saved.mean);
        out.field("saved_layers_deviation", cells.saved.deviation);
        out.end_object();
    }
    out.end_array();
    out.end_object();
}

void print(const std::vector<split_row>& table) {
    table_line()
        .cell("rule", 26)
        .right("agreement", 18)
        .right("saved layers", 16)
        .right("of all", 10)
        .print();
    for (const split_row& row : table) {
        const table_cells cells = cells_of(row);
        const auto layers = static_cast<double>(row.splits.front().layers);
        table_line()
            .cell(row.rule, 26)
            .right(fmt::format("{:.1f} ({:.1f}) %", 100.0 * cells.agreement.mean,
                               100.0 * cells.agreement.deviation),
                   18)
            .right(fmt::format("{:.2f} ({:.2f})", cells.saved.mean, cells.saved.deviation), 16)
            .right(fmt::format("{:.1f} %", 100.0 * cells.saved.mean / layers), 10)
            .print();
    }
}

std::vector<exit_report> measure(const engine& opened, const exit_flags& flags,
                                 std::span<const token_id> tokens,
                                 std::span<const token_id> fitted_on, const exit_request& request,
                                 const progress_function& progress) {
    const xlens::model& model = opened.model();
    exit_options options = request.options;
    options.progress = progress;
    options.prefix = window_prefix(opened, flags.how);
    if (opened.lens() != nullptr) { options.given_lens = *opened.lens(); }
    if (flags.action != "fit") {
        if (request.clusters) { options.clusters = cluster_rule(model, *request.clusters); }
        return evaluate_words(model, tokens, request.rules, options, fitted_on);
    }
    exit_writer to(*flags.path, model.fingerprint());  // before the work: it may be refused
    if (request.clusters) { options.clusters = cluster_rule(model, *request.clusters); }
    const fit_result found = fit(model, tokens, request.rules.front(), options);
    save(found.exit, to);
    return {found.held_back};
}

std::vector<std::uint64_t> seeds_of(const exit_flags& flags) {
    return parse_numbers("--seeds", flags.seeds.value_or("38,39,40,41,42"),
                         std::numeric_limits<std::uint32_t>::max());
}

void run_table(const engine& opened, const exit_flags& flags, const exit_request& request) {
    const std::vector<std::uint64_t> seeds = seeds_of(flags);
    const std::vector<token_id> tokens = read_text(opened, *flags.file, flags.how);
    note(opened.manifest());
    const std::vector<split_row> table = [&] {
        progress_bar bar("exit");
        const xlens::model& model = opened.model();
        return paper_table(model, tokens, cluster_rule(model, *request.clusters),
                           {.seeds = seeds,
                            .window = request.options.window,
                            .prefix = window_prefix(opened, flags.how),
                            .progress = std::ref(bar)});
    }();
    flags.common.json ? write_json(table, seeds, opened) : print(table);
}

void run(const exit_flags& flags) {
    exit_request request = checked(flags);
    engine opened(flags.common);
    const input_mark text(*flags.file);
    if (flags.path) { refuse_input(*flags.path); }  // now, not after the work
    if (flags.action == "table") { return run_table(opened, flags, request); }
    check_rules(request);
    check_use(flags, request);
    if (request.lens) { opened.use_lens(*request.lens); }
    if (flags.action == "fit") { check_fit(*flags.rule); }
    if (flags.layers) {  // all but the last, at which nothing is saved
        const std::size_t end = std::max<std::size_t>(opened.config().layers, 2) - 1;
        request.options.layers = parse_ranges("--layers", *flags.layers, end);
    }
    const std::vector<token_id> tokens = read_text(opened, *flags.file, flags.how);
    const std::vector<token_id> fitted_on =
        flags.fit_file ? read_text(opened, *flags.fit_file, flags.how) : std::vector<token_id>();
    note(opened.manifest());
    const std::vector<exit_report> reports = [&] {
        progress_bar bar("exit");
        return measure(opened, flags, tokens, fitted_on, request, std::ref(bar));
    }();
    flags.common.json ? write_json(reports, opened) : print(reports);
}

}  // namespace

void add_exit(command_line& program) {
    const auto flags = std::make_shared<exit_flags>();
    arguments a =
        program.add("exit", "Fit a rule of early exit, or measure one",
                    "xlens exit fit default --file fit.txt --rule gate -o gate.exit\n"
                    "  xlens exit eval default --file other.txt --rule gate.exit\n"
                    "  xlens generate default --prompt \"The capital of\" --exit gate.exit",
                    [flags] { run(*flags); });
    a.positional("ACTION", flags->action, "fit, eval, or table: the paper's rules over splits");
    flags->common.declare(a);
    flags->common.declare_cache(a);
    a.text("--file", flags->file, "FILE", "The text, in UTF-8; - is standard input");
    flags->how.declare(a);
    a.text("--rule", flags->rule, "RULE",
           rule_names() +
               ",\nor a file that exit fit wrote; eval by name fits on the text's first\n"
               "half, and takes several with commas between");
    a.number("--agreement", flags->agreement,
             "Share of tokens that must be the whole model's (0.95)");
    a.text("-o", flags->path, "FILE", "File to write (fit)");
    a.text("--lens", flags->lens, "LENS",
           "What " + rule_names(&rule_facts::lens, " and ") +
               " read with:\nplain, linear, tuned, or a file as of trace --lens");
    a.choice("--reads", flags->reads, {"residual", "update", "both"},
             "What classifier looks at (residual)");
    a.text("--layers", flags->layers, "3,5-8", "Layers at which the rule decides");
    a.text("--clusters", flags->clusters, "FILE", "Clusters of xlens cluster (cluster, table)");
    a.text("--fit-file", flags->fit_file, "FILE", "Text that eval by name fits on");
    a.whole("--curve", flags->curve, 0, 1U << 16U,
            "Thresholds to report beside the one that is used (eval)");
    a.text("--seeds", flags->seeds, "S,S,..", "One split each (table; 38,39,40,41,42)");
    a.whole("--window", flags->options.window, 2, 1U << 28U, "Tokens that are read together");
    a.whole("--timed", flags->timed, 0, 1U << 28U,
            "Tokens that are decoded one by one for the times; 0: none (256)");
    a.flag("--verify", flags->options.verify,
           "Decode them with exits that are verified, as generate --verify does (eval)");
}

}  // namespace xlens::program
