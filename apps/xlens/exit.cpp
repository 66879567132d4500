// SPDX-License-Identifier: BSD-3-Clause
#include "engine.hpp"
#include "exit_request.hpp"
#include "json_writer.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "subcommands.hpp"

#include <xlens/core/error.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/text/tokenizer.hpp>

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

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
    exit_request request;
};

exit_request checked(const exit_flags& flags) {
    if (flags.action != "fit" && flags.action != "eval") {
        fail("exit: expected fit or eval, got '{}'", printable(flags.action));
    }
    if (!flags.file) { fail("--file: expected a text file, got nothing"); }
    if (!flags.rule) { fail("--rule: expected a rule's name or file, got nothing"); }
    if (flags.action == "fit" && !flags.path) { fail("-o: expected a file to write, got nothing"); }
    if (flags.action == "eval" && flags.path) { fail("-o: exit eval writes no file"); }
    exit_request out = flags.request;
    out.rule = *flags.rule;
    out.layers = flags.layers.value_or("");
    out.agreement = flags.agreement ? double{*flags.agreement} : 0.95;
    if (!(out.agreement > 0.0 && out.agreement < 1.0)) {
        fail("--agreement: expected between 0 and 1, got {}", out.agreement);
    }
    return out;
}

void write_json(const exit_report& r) {
    json_writer out;
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
    out.end_object();
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

void run(const exit_flags& flags) {
    const exit_request request = checked(flags);
    const engine model(flags.common);
    model.check_exit(request);
    const mapped_file file{std::filesystem::path(*flags.file)};
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                                file.bytes().size());
    const std::vector<token_id> tokens = model.text().encode(text);
    if (tokens.size() < 2) {
        fail("{}: {} tokens, expected at least 2", file.name(), tokens.size());
    }
    note(model.manifest());
    const exit_report report = [&] {
        progress_bar bar("exit");
        return flags.action == "fit" ? model.fit_exit(tokens, request, *flags.path, std::ref(bar))
                                     : model.evaluate_exit(tokens, request, std::ref(bar));
    }();
    flags.common.json ? write_json(report) : print(report);
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
    a.positional("ACTION", flags->action, "fit or eval");
    flags->common.declare(a);
    a.text("--file", flags->file, "FILE", "The text");
    a.text("--rule", flags->rule, "RULE",
           "gate, confidence, margin, stable, similarity, classifier, cluster, oracle,\n"
           "or a file that exit fit wrote; eval by name fits on the text's first half");
    a.number("--agreement", flags->agreement,
             "Share of tokens that must be the whole model's (0.95)");
    a.text("-o", flags->path, "FILE", "File to write (fit)");
    a.choice("--lens", flags->request.lens, {"plain", "linear", "tuned"},
             "What confidence, margin, stable, similarity and oracle read with");
    a.choice("--reads", flags->request.reads, {"residual", "update", "both"},
             "What classifier looks at");
    a.text("--layers", flags->layers, "L,L,..", "Layers at which the rule decides");
    a.text("--clusters", flags->request.clusters, "FILE", "Clusters of xlens cluster (cluster)");
    a.whole("--window", flags->request.window, 2, 1U << 28U, "Tokens that are read together");
    a.whole("--timed", flags->request.timed, 0, 1U << 28U,
            "Tokens that are decoded one by one for the times; 0: none");
}

}  // namespace xlens::program
