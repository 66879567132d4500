// SPDX-License-Identifier: BSD-3-Clause
#include "commands/commands.hpp"
#include "output/capture.hpp"
#include "output/progress.hpp"

#include <xlens/core/error.hpp>
#include <xlens/core/version.hpp>
#include <xlens/json/writer.hpp>
#include <xlens/trace/merge_captures.hpp>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace xlens::program {

namespace {

struct merge_flags {
    std::vector<std::string> folders;
    std::optional<std::string> to;
    bool json = false;
};

void run(const merge_flags& flags) {
    if (!flags.to || flags.to->empty()) { fail("-o: expected a folder, got nothing"); }
    const std::vector<std::filesystem::path> parts(flags.folders.begin(), flags.folders.end());
    const capture_result merged = [&] {
        progress_bar bar("merge");
        return merge_captures(parts, *flags.to, std::ref(bar));
    }();
    if (!flags.json) { return print_capture(*flags.to, merged); }
    std::string text;
    xlens::json_writer out(text);
    out.begin_object();
    write_capture(out, *flags.to, merged);
    out.field("version", version);  // which merged; the run is that of the captures
    out.key("run");
    out.literal(merged.run);
    out.end_object();
    out.finish();
    std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace

void add_merge(command_line& program) {
    const auto flags = std::make_shared<merge_flags>();
    arguments a = program.add("merge", "Put the shards of a capture together",
                              "xlens merge part0 part1 part2 -o whole", [flags] { run(*flags); });
    a.positionals("FOLDER", flags->folders,
                  "The folders that 'xlens capture --shard 0/N' to 'N-1/N' wrote, in any order");
    a.text("-o", flags->to, "FOLDER",
           "A new folder: it gets, byte for byte, the files of the run without --shard");
    a.flag("--json", flags->json, "Print one JSON document and nothing else");
}

}  // namespace xlens::program
