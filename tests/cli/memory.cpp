// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_memory
#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/run_program.hpp"
#include "support/temporary_directory.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

// What streams does not grow with what it writes. Natively alone: sanitizers keep freed memory.

namespace {

namespace fs = std::filesystem;

/// So many prompts of 40 tokens of the tiny model each, as JSON lines.
std::string prompts_of(std::size_t count) {
    std::string out;
    std::size_t state = 1;
    for (std::size_t i = 0; i < count; ++i) {
        out += R"({"ids":[)";
        for (std::size_t t = 0; t < 40; ++t) {
            state = (state * 1103515245 + 12345) % 2147483648;
            out += (t == 0 ? "" : ",") + std::to_string(state % 90);
        }
        out += "]}\n";
    }
    return out;
}

struct captured {
    long peak_kib = 0;
    std::uintmax_t bytes = 0;
};

captured capture(std::size_t prompts) {
    const xlens::test::temporary_directory folder;
    const std::string file = folder.write("prompts.jsonl", prompts_of(prompts)).string();
    const fs::path to = folder.path() / "captured";
    const auto result = xlens::test::run_program(
        {"capture", xlens::test::golden_path("models/llama/hf").string(), "--prompts", file,
         "--sites", "embedding,before,after", "--file-size", "1", "-o", to.string()});
    BOOST_TEST_REQUIRE(result.exit_code == 0, result.err);
    captured out{result.peak_kib, 0};
    for (const auto& entry : fs::directory_iterator(to)) { out.bytes += entry.file_size(); }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_capture_takes_no_more_memory_for_more_text) {
    const captured few = capture(200);
    const captured many = capture(4000);
    BOOST_TEST_MESSAGE(few.bytes << " bytes in " << few.peak_kib << " KiB, " << many.bytes << " in "
                                 << many.peak_kib);
    BOOST_TEST(many.bytes > few.bytes + (std::uintmax_t{80} << 20U));
    // The prompts themselves, and their records of the manifest.
    BOOST_TEST(many.peak_kib < few.peak_kib + (8 << 10));
}
