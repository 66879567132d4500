// SPDX-License-Identifier: BSD-3-Clause
#include "engine.hpp"
#include "exit_request.hpp"
#include "json_writer.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "subcommands.hpp"
#include "table_line.hpp"

#include <xlens/core/error.hpp>
#include <xlens/early_exit/exit_splits.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/storage/open_files.hpp>
#include <xlens/text/tokenizer.hpp>

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xlens::program {

namespace {

struct exit_flags {
    common_flags common;
    std::string action;
    std::optional<std::string> file;
    std::optional<std::string> rule;
    std::optional<float> agreement;
    std::optional<std::string> layers;
    std::optional<std::string> path;
    std::optional<std::string> fit_file;
    std::optional<std::string> seeds;
    exit_request request;
};

exit_request checked(const exit_flags& flags) {
    if (flags.action != "fit" && flags.action != "eval" && flags.action != "table") {
        fail("exit: expected fit, eval or table, got '{}'", printable(flags.action));
    }
    if (!flags.file) { fail("--file: expected a text file, got nothing"); }
    const bool table = flags.action == "table";
    if (table && flags.rule) { fail("--rule: exit table measures the paper's rules"); }
    if (table && !flags.request.clusters) {
        fail("--clusters: exit table needs a file of 'xlens cluster', got nothing");
    }
    if (!table && !flags.rule) { fail("--rule: expected a rule's name or file, got nothing"); }
    if (flags.action == "fit" && !flags.path) { fail("-o: expected a file to write, got nothing"); }
    if (flags.action != "fit" && flags.path) { fail("-o: exit {} writes no file", flags.action); }
    if (flags.action != "eval" && flags.fit_file) { fail("--fit-file: is for exit eval"); }
    if (flags.action != "table" && flags.seeds) { fail("--seeds: is for exit table"); }
    exit_request out = flags.request;
    out.rule = flags.rule.value_or("");
    out.layers = flags.layers.value_or("");
    out.agreement = flags.agreement ? double{*flags.agreement} : 0.95;
    if (!(out.agreement > 0.0 && out.agreement < 1.0)) {
        fail("--agreement: expected between 0 and 1, got {}", out.agreement);
    }
    return out;
}

void write_json(json_writer& out, const exit_report& r) {
    out.begin_object();
    out.field("rule", r.rule);
    out.field("agreement", r.agreement);
    out.field("saved_layers", r.saved_layers);
    out.field("saved_fraction", r.saved_fraction);
    out.field("seconds_full", r.seconds_full);
    out.field("seconds_exit", r.seconds_exit);
    out.field("threshold", r.threshold);
    out.field("fitted_tokens", r.fitted);
    out.field("measured_tokens", r.measured);
    out.field("agreement_bound", r.agreement_bound);
    out.field("saved_time", r.saved_time());
    out.field("live_tokens", r.live_tokens);
    out.field("live_agreement", r.live_agreement);
    out.field("live_saved_layers", r.live_saved_layers);
    out.key("exits");
    out.begin_array();
    for (const std::size_t n : r.exits) { out.value(n); }
    out.end_array();
    if (!r.curve.empty()) {
        out.key("curve");
        out.begin_array();
        for (const exit_report::point& p : r.curve) {
            out.begin_object();
            out.field("threshold", p.threshold);
            out.field("agreement", p.agreement);
            out.field("saved_layers", p.saved_layers);
            out.field("saved_fraction", p.saved_layers / static_cast<double>(r.exits.size()));
            out.end_object();
        }
        out.end_array();
    }
    out.end_object();
}

/// One report is a document; several are a list of them.
void write_json(const std::vector<exit_report>& reports) {
    json_writer out;
    if (reports.size() > 1) { out.begin_array(); }
    for (const exit_report& r : reports) { write_json(out, r); }
    if (reports.size() > 1) { out.end_array(); }
}

/// Whether a decision costs an unembedding: such a rule saves layers sooner than time.
bool reads_vocabulary(std::string_view rule) {
    return rule == "confidence" || rule == "margin" || rule == "stable";
}

void print(const exit_report& r) {
    fmt::print("rule           {}, threshold {:.6g}\n", r.rule, r.threshold);
    fmt::print("agreement      {:.4f} (at least {:.4f} with 95 %), {} tokens\n", r.agreement,
               r.agreement_bound, r.measured);
    fmt::print("saved layers   {:.2f} of {}, {:.1f} %\n", r.saved_layers, r.exits.size(),
               100.0 * r.saved_fraction);
    if (!r.ratios.empty()) {
        fmt::print(
            "decoding       {:.2f} s in full, {:.2f} s with exits; ratio {:.3f} / {:.3f} / "
            "{:.3f} (min, median, max of {} turns)\n",
            r.seconds_full, r.seconds_exit, r.ratios.front(), r.ratios[r.ratios.size() / 2],
            r.ratios.back(), r.ratios.size());
        fmt::print("               {:.1f} % {} time{}\n", 100.0 * std::abs(r.saved_time()),
                   r.saved_time() >= 0.0 ? "less" : "more",
                   reads_vocabulary(r.rule) ? "; each decision reads the whole vocabulary" : "");
        fmt::print("live           agreement {:.4f}, saved layers {:.2f}, {} tokens\n",
                   r.live_agreement, r.live_saved_layers, r.live_tokens);
    }
    fmt::print("exits          layer: share\n");
    for (std::size_t l = 0; l < r.exits.size(); ++l) {
        if (r.exits[l] == 0) { continue; }
        fmt::print("               {:5}: {:.4f}\n", l,
                   static_cast<double>(r.exits[l]) / static_cast<double>(r.measured));
    }
}

void print(const std::vector<exit_report>& reports) {
    for (const exit_report& r : reports) {
        if (&r != reports.data()) { fmt::print("\n"); }
        print(r);
        if (!r.curve.empty()) { fmt::print("curve          threshold, agreement, saved layers\n"); }
        for (const exit_report::point& p : r.curve) {
            fmt::print("               {:10.6g}  {:.4f}  {:5.2f}\n", p.threshold, p.agreement,
                       p.saved_layers);
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

void write_json(const std::vector<split_row>& table, const std::vector<std::uint64_t>& seeds) {
    json_writer out;
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

std::vector<token_id> tokens_of(const engine& model, const std::string& path) {
    const mapped_file file{std::filesystem::path(path)};
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                                file.bytes().size());
    std::vector<token_id> out = model.text().encode(text);
    if (out.size() < 2) { fail("{}: {} tokens, expected at least 2", file.name(), out.size()); }
    return out;
}

void run(const exit_flags& flags) {
    const exit_request request = checked(flags);
    const engine model(flags.common);
    const input_mark text(*flags.file);
    if (flags.path) { refuse_input(*flags.path); }  // now, not after the work
    if (flags.action == "table") {
        std::vector<std::uint64_t> seeds;
        for (const token_id s : parse_ids(flags.seeds.value_or("38,39,40,41,42"))) {
            seeds.push_back(static_cast<std::uint64_t>(s));
        }
        const std::vector<token_id> tokens = tokens_of(model, *flags.file);
        note(model.manifest());
        const std::vector<split_row> table = [&] {
            progress_bar bar("exit");
            return model.exit_table(tokens, seeds, request, std::ref(bar));
        }();
        flags.common.json ? write_json(table, seeds) : print(table);
        return;
    }
    model.check_exit(request);
    const std::vector<token_id> tokens = tokens_of(model, *flags.file);
    const std::vector<token_id> fit =
        flags.fit_file ? tokens_of(model, *flags.fit_file) : std::vector<token_id>();
    note(model.manifest());
    const std::vector<exit_report> reports = [&] {
        progress_bar bar("exit");
        if (flags.action == "fit") {
            return std::vector{model.fit_exit(tokens, request, *flags.path, std::ref(bar))};
        }
        return model.evaluate_exit(tokens, fit, request, std::ref(bar));
    }();
    flags.common.json ? write_json(reports) : print(reports);
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
    a.text("--file", flags->file, "FILE", "The text");
    a.text("--rule", flags->rule, "RULE",
           "gate, confidence, margin, stable, similarity, classifier, cluster, oracle,\n"
           "or a file that exit fit wrote; eval by name fits on the text's first\n"
           "half, and takes several with commas between");
    a.number("--agreement", flags->agreement,
             "Share of tokens that must be the whole model's (0.95)");
    a.text("-o", flags->path, "FILE", "File to write (fit)");
    a.choice("--lens", flags->request.lens, {"plain", "linear", "tuned"},
             "What confidence, margin, stable, similarity and oracle read with");
    a.choice("--reads", flags->request.reads, {"residual", "update", "both"},
             "What classifier looks at");
    a.text("--layers", flags->layers, "L,L,..", "Layers at which the rule decides");
    a.text("--clusters", flags->request.clusters, "FILE",
           "Clusters of xlens cluster (cluster, table)");
    a.text("--fit-file", flags->fit_file, "FILE", "Text that eval by name fits on");
    a.whole("--curve", flags->request.curve, 0, 1U << 16U,
            "Thresholds to report beside the one that is used (eval)");
    a.text("--seeds", flags->seeds, "S,S,..", "One split each (table; 38,39,40,41,42)");
    a.whole("--window", flags->request.window, 2, 1U << 28U, "Tokens that are read together");
    a.whole("--timed", flags->request.timed, 0, 1U << 28U,
            "Tokens that are decoded one by one for the times; 0: none");
}

}  // namespace xlens::program
