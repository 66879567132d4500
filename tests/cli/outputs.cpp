// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_outputs
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/run_program.hpp"
#include "support/temporary_directory.hpp"

#include <filesystem>
#include <string>
#include <vector>

// An output that is an input is refused by one line that names both, and the input is left alone.

namespace {

using xlens::test::run_program;
using xlens::test::temporary_directory;
using strings = std::vector<std::string>;

const std::string model = xlens::test::default_model().string();

std::string contents(const std::filesystem::path& path) {
    return xlens::test::detail::contents(path);
}
std::filesystem::path copied(const std::string& golden, const std::filesystem::path& to) {
    std::filesystem::copy_file(xlens::test::golden_path(golden), to);
    return to;
}

void refused(const strings& arguments, const std::filesystem::path& out,
             const std::filesystem::path& in) {
    const std::string before = contents(in);
    const auto result = run_program(arguments);
    BOOST_TEST(result.exit_code == 2);
    BOOST_TEST(result.out.empty());
    const std::string line =
        out.string() + ": cannot be written: it is the input " + in.string() + "\n";
    BOOST_TEST(result.err.ends_with(line), result.err);
    BOOST_TEST((contents(in) == before));
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_model_is_not_written_over) {
    const temporary_directory folder;
    const auto in = copied("models/gpt2/model.gguf", folder.path() / "m.gguf");
    const auto link = folder.path() / "link";
    std::filesystem::create_hard_link(in, link);
    for (const auto& out : {in, link}) {
        refused({"index", in, "-o", out}, out, in);
        refused({"cluster", in, "-k", "3", "-o", out}, out, in);
        refused({"trace", in, "--ids", "1,2", "--html", out}, out, in);
    }
}

BOOST_AUTO_TEST_CASE(nor_is_a_file_of_its_folder) {
    const temporary_directory folder;
    const auto config = copied("models/gpt2/hf/config.json", folder.path() / "config.json");
    const auto weights =
        copied("models/gpt2/hf/model.safetensors", folder.path() / "model.safetensors");
    for (const auto& in : {config, weights}) {
        refused({"index", folder.path(), "-o", in}, in, in);
        refused({"trace", folder.path(), "--ids", "1,2", "--html", in}, in, in);
    }
    const auto index = folder.path() / "index";
    BOOST_TEST(run_program({"index", folder.path(), "-o", index}).exit_code == 0);
    BOOST_TEST(run_program({"index", folder.path(), "-o", index}).exit_code == 0);
}

BOOST_AUTO_TEST_CASE(a_text_is_not_written_over) {
    const temporary_directory folder;
    const auto text = folder.write("text.txt", "The capital of France is Paris.");
    refused({"exit", "fit", model, "--file", text, "--rule", "confidence", "-o", text}, text, text);
    for (const char* name : {"events.csv", "events.csv.part", "report.html"}) {
        const auto in =
            folder.write(std::string(name) + ".d/" + name, "The capital of France is Paris.");
        refused({"events", model, "--file", in, "-o", in.parent_path()}, in, in);
    }
}
