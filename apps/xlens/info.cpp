// SPDX-License-Identifier: BSD-3-Clause
#include "cells.hpp"
#include "engine.hpp"
#include "json_writer.hpp"
#include "subcommands.hpp"

#include <xlens/model/hyperparameters.hpp>
#include <xlens/text/utf8.hpp>

#include <fmt/format.h>

#include <memory>

namespace xlens::program {

namespace {

void write_info(const engine& model) {
    const hyperparameters& config = model.config();
    const model_facts facts = model.facts();
    json_writer out;
    out.begin_object();
    out.field("path", replace_invalid(model.path()));
    out.field("architecture", config.architecture);
    out.field("layers", config.layers);
    out.field("width", config.width);
    out.field("inner_width", config.inner_width);
    out.field("heads", config.heads);
    out.field("kv_heads", config.kv_heads);
    out.field("vocabulary", config.vocabulary);
    out.field("context", config.context);
    out.field("activation", facts.activation);
    out.field("gated", facts.gated);
    out.field("quantization", config.quantization);
    out.field("parameters", facts.parameters);
    out.end_object();
}

void print_info(const engine& model) {
    const hyperparameters& config = model.config();
    const model_facts facts = model.facts();
    const auto line = [](std::string_view name, const std::string& content) {
        fmt::print("{:<14}{}\n", name, content);
    };
    line("path", visible(model.path()));
    line("architecture", config.architecture);
    line("layers", std::to_string(config.layers));
    line("width", std::to_string(config.width));
    line("inner width", fmt::format("{}, {} sub-updates in all layers", config.inner_width,
                                    config.layers * config.inner_width));
    line("heads", fmt::format("{}, {} for keys and values", config.heads, config.kv_heads));
    line("vocabulary", std::to_string(config.vocabulary));
    line("context", std::to_string(config.context));
    line("activation", facts.activation + (facts.gated ? ", gated" : ""));
    line("quantization", config.quantization);
    line("parameters", fmt::format("{} ({:.1f} million)", facts.parameters,
                                   static_cast<double>(facts.parameters) / 1e6));
    line("fingerprint", fmt::format("{:016x}", facts.fingerprint));
}

}  // namespace

void add_info(command_line& program) {
    const auto flags = std::make_shared<common_flags>();
    arguments a = program.add("info", "Show what a model is: its architecture and its sizes",
                              "xlens info default", [flags] {
                                  const engine model(*flags);
                                  flags->json ? write_info(model) : print_info(model);
                              });
    flags->declare(a);
}

}  // namespace xlens::program
