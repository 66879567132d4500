// SPDX-License-Identifier: BSD-3-Clause

// What a GGUF model of the llama kind expects after a prompt, and the dominant sub-updates of one
// layer, by includes alone.   include_only [MODEL [PROMPT]]; without MODEL, $XLENS_MODEL.
#include <fmt/format.h>
#include <xlens/core/neuron.hpp>
#include <xlens/io/assemble.hpp>
#include <xlens/io/gguf_hyperparameters.hpp>
#include <xlens/io/gguf_tokenizer.hpp>
#include <xlens/text/make_tokenizer.hpp>
#include <xlens/trace/trace.hpp>

#include <cstdlib>

int main(int argc, char** argv) try {
    const char* path = argc > 1 ? argv[1] : std::getenv("XLENS_MODEL");
    if (path == nullptr) { xlens::fail("usage: include_only MODEL [PROMPT]"); }
    const char* prompt = argc > 2 ? argv[2] : "The capital of France is";

    const xlens::checkpoint file{xlens::gguf_file(path)};
    const auto model = xlens::assemble(file);
    const auto text =
        xlens::make_tokenizer(xlens::read_tokenizer(*file.origin<xlens::gguf_file>()));
    const auto ids = text.encode_prompt(prompt);
    const auto positions = xlens::trace(model, ids);
    const xlens::traced_position& last = positions.back();
    const xlens::reading& next = last.prediction();
    for (std::size_t i = 0; i < 5; ++i) {
        fmt::print("{:7.4f}  {}\n", next.probability(next.top[i]), text.text(next.top[i].id));
    }
    const xlens::traced_layer& layer = last.layers[last.saturation_layer];
    for (const xlens::traced_sub_update& s : layer.sub_updates) {
        fmt::print("m = {:7.3f}  |m|*norm = {:7.3f}  {:8}", s.observed.coefficient,
                   s.observed.dominance,
                   xlens::to_string(xlens::neuron{layer.layer, s.observed.index}));
        for (const xlens::scored& token : s.concept_of_value->promotes) {
            fmt::print(" {}", text.text(token.id));
        }
        fmt::print("\n");
    }
} catch (const xlens::error& e) { return fmt::print(stderr, "{}\n", e.what()), 2; }
