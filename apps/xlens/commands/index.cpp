// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "engine/engine.hpp"
#include "output/json_writer.hpp"
#include "output/note.hpp"
#include "output/progress.hpp"

#include <xlens/concepts/concept_index.hpp>
#include <xlens/core/error.hpp>
#include <xlens/model/model.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace xlens::program {

namespace {

struct index_flags {
    common_flags common;
    std::optional<std::string> path;
    std::size_t top = 50;
    std::string form;
};

void run(const index_flags& flags) {
    if (!flags.path) { fail("-o: expected a file to write, got nothing"); }
    const engine opened(flags.common);
    const xlens::model& model = opened.model();
    {
        progress_bar bar("index");
        write_index(model, model.fingerprint(), flags.top, parse_projection(flags.form),
                    *flags.path, std::ref(bar));
    }
    const std::size_t neurons = model.config.layers * model.config.inner_width;
    const std::size_t top = std::min(flags.top, model.config.vocabulary);
    if (flags.common.json) {
        json_writer out(record_of(opened));
        out.begin_object();
        out.field("path", *flags.path);
        out.field("neurons", neurons);
        out.field("top", top);
        out.field("projection", flags.form);
        out.end_object();
    } else {
        note(fmt::format("{}: {} value vectors, {} tokens an end, {} projection", *flags.path,
                         neurons, top, flags.form));
    }
}

}  // namespace

void add_index(command_line& program) {
    constexpr std::size_t most = 10'000'000;
    const auto flags = std::make_shared<index_flags>();
    arguments a =
        program.add("index", "Write the concepts of all value vectors, both ends, to a file",
                    "xlens index default -o default.index", [flags] { run(*flags); });
    flags->common.declare(a);
    a.text("-o", flags->path, "FILE", "File to write");
    a.whole("--top", flags->top, 1, most, "Tokens of each end");
    a.choice("--projection", flags->form, {"folded", "raw", "normed", "standard"},
             "How v is read: with the final norm's gain, as it is, normed, or a token's\n"
             "score beside what all value vectors of the model score for it");
}

}  // namespace xlens::program
