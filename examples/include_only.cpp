// SPDX-License-Identifier: BSD-3-Clause

// What a model expects after a prompt, and the dominant sub-updates of one layer, by includes
// alone.
//   include_only [MODEL [PROMPT]]; without MODEL, $XLENS_MODEL.
#include <fmt/core.h>
#include <xlens/core/neuron.hpp>
#include <xlens/io/load.hpp>
#include <xlens/trace/trace.hpp>

#include <cstdlib>

int main(int argc, char** argv) try {
    const char* path = argc > 1 ? argv[1] : std::getenv("XLENS_MODEL");
    if (path == nullptr) { xlens::fail("usage: include_only MODEL [PROMPT]"); }
    const char* prompt = argc > 2 ? argv[2] : "The capital of France is";

    const xlens::model model = xlens::load(path);
    const auto positions = xlens::trace(model, model.encode(prompt));
    const xlens::traced_position& last = positions.back();
    const xlens::reading& next = last.prediction();
    for (std::size_t i = 0; i < 5; ++i) {
        fmt::print("{:7.4f}  {}\n", next.probability(next.top[i]), model.text(next.top[i].id));
    }
    const xlens::traced_layer& layer = last.layers[last.saturation_layer];
    for (const xlens::traced_sub_update& s : layer.sub_updates) {
        fmt::print("m = {:7.3f}  |m|*norm = {:7.3f}  {:8}", s.coefficient, s.dominance,
                   xlens::to_string(s.where));
        for (const xlens::scored& token : s.concept_of_value->promotes) {
            fmt::print(" {}", model.text(token.id));
        }
        fmt::print("\n");
    }
} catch (const xlens::error& e) { return fmt::print(stderr, "{}\n", e.what()), 2; }
