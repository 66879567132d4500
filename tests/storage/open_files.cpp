// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE open_files
#include <boost/test/unit_test.hpp>

#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/storage/open_files.hpp>

#include "support/error_message.hpp"
#include "support/temporary_directory.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {
std::string refusal(const std::filesystem::path& path) {
    const std::string message = error_message([&] { atomic_file{path}; });
    return message == "(no error)" ? "" : message;
}
std::string line(const std::filesystem::path& out, const std::filesystem::path& in) {
    return out.string() + ": cannot be written: it is the input " + in.string();
}
}  // namespace

BOOST_AUTO_TEST_CASE(a_file_that_is_mapped_is_not_written_over) {
    const temporary_directory folder;
    const auto path = folder.write("model", "bytes");
    const auto link = folder.path() / "link";
    const auto hard = folder.path() / "hard";
    std::filesystem::create_symlink(path, link);
    std::filesystem::create_hard_link(path, hard);
    BOOST_TEST(refusal(path).empty());
    {
        const mapped_file file(path);
        BOOST_TEST(refusal(path) == line(path, path));
        BOOST_TEST(refusal(link) == line(link, path));
        BOOST_TEST(refusal(hard) == line(hard, path));
        BOOST_TEST(refusal(folder.path() / "other").empty());
    }
    BOOST_TEST(refusal(path).empty());
}

BOOST_AUTO_TEST_CASE(a_mapping_that_is_moved_or_doubled_stays_an_input) {
    const temporary_directory folder;
    const auto path = folder.write("model", "bytes");
    const auto empty = folder.write("empty", "");
    auto first = std::make_unique<mapped_file>(path);
    mapped_file second(path);
    first.reset();
    BOOST_TEST(refusal(path) == line(path, path));
    mapped_file moved = std::move(second);
    BOOST_TEST(refusal(path) == line(path, path));
    moved = mapped_file(empty);
    BOOST_TEST(refusal(path).empty());
    BOOST_TEST(refusal(empty) == line(empty, empty));
}

BOOST_AUTO_TEST_CASE(a_file_that_is_opened_after_the_output_was_begun) {
    const temporary_directory folder;
    const auto path = folder.write("model", "bytes");
    atomic_file out(path);
    const mapped_file in(path);
    BOOST_TEST(error_message([&] { out.commit(); }) == line(path, path));
}

BOOST_AUTO_TEST_CASE(a_mark_makes_an_input_of_what_was_closed) {
    const temporary_directory folder;
    const auto path = folder.write("text", "words");
    {
        const input_mark text(path);
        BOOST_TEST(refusal(path) == line(path, path));
    }
    BOOST_TEST(refusal(path).empty());
    const input_mark nothing(folder.path() / "missing");
    BOOST_TEST(refusal(folder.path() / "missing").empty());
}

BOOST_AUTO_TEST_CASE(threads_may_open_and_close_at_one_time) {
    const temporary_directory folder;
    const auto path = folder.write("model", "bytes");
    const mapped_file kept(path);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 200; ++i) { const mapped_file file(path); }
        });
    }
    for (std::thread& t : threads) { t.join(); }
    BOOST_TEST(refusal(path) == line(path, path));
}
