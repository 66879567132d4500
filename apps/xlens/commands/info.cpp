// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "output/cells.hpp"
#include "output/json_writer.hpp"

#include <xlens/model/model.hpp>
#include <xlens/text/utf8.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace xlens::program {

namespace {

/// What is told besides the sizes.
struct model_facts {
    std::string activation;
    bool gated = false;
    std::uint64_t parameters = 0;  // weights in all tensors of the file
};

model_facts facts_of(const xlens::model& model) {
    const auto& ffn = model.blocks.front().ffn;
    model_facts out{std::string(ffn.activation().name), ffn.is_gated(), 0};
    for (const auto& [name, tensor] : model.tensors()) {
        std::uint64_t weights = 1;
        for (const std::size_t size : tensor.shape) { weights *= size; }
        out.parameters += weights;
    }
    return out;
}

void write_info(const engine& opened) {
    const hyperparameters& config = opened.config();
    const model_facts facts = facts_of(opened.model());
    json_writer out(record_of(opened));
    out.begin_object();
    out.field("path", replace_invalid(opened.path()));
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

void print_info(const engine& opened) {
    const hyperparameters& config = opened.config();
    const model_facts facts = facts_of(opened.model());
    const auto line = [](std::string_view name, const std::string& content) {
        fmt::print("{:<14}{}\n", name, content);
    };
    line("path", visible(opened.path()));
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
    line("fingerprint", fmt::format("{:016x}", opened.model().fingerprint()));
}

}  // namespace

void add_info(command_line& program) {
    const auto flags = std::make_shared<common_flags>();
    arguments a = program.add("info", "Show what a model is: its architecture and its sizes",
                              "xlens info default", [flags] {
                                  const engine opened(*flags);
                                  flags->json ? write_info(opened) : print_info(opened);
                              });
    flags->declare(a);
}

}  // namespace xlens::program
