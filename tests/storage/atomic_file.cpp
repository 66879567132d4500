// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE atomic_file
#include <boost/test/unit_test.hpp>

#include <xlens/core/later_work.hpp>
#include <xlens/storage/atomic_file.hpp>

#include "support/error_message.hpp"
#include "support/temporary_directory.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
void write(atomic_file& file, std::string_view text) { file.write(std::as_bytes(std::span(text))); }

std::size_t files_in(const std::filesystem::path& folder) {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

BOOST_AUTO_TEST_CASE(appears_when_it_is_whole) {
    const temporary_directory folder;
    const auto path = folder.write("name", "old");
    {
        atomic_file file(path);
        write(file, "new ");
        write(file, "contents");
        BOOST_TEST(contents(path) == "old");
        file.commit();
    }
    BOOST_TEST(contents(path) == "new contents");
    BOOST_TEST(files_in(folder.path()) == 1U);
}

BOOST_AUTO_TEST_CASE(leaves_nothing_behind_without_a_commit) {
    const temporary_directory folder;
    const auto path = folder.write("name", "old");
    {
        atomic_file file(path);
        write(file, "half");
    }
    BOOST_TEST(contents(path) == "old");
    BOOST_TEST(files_in(folder.path()) == 1U);
}

BOOST_AUTO_TEST_CASE(has_the_rights_of_a_new_file) {
    const temporary_directory folder;
    const mode_t before = ::umask(027);
    {
        atomic_file file(folder.path() / "name");
        file.commit();
    }
    ::umask(before);
    struct stat status {};
    BOOST_REQUIRE(::stat((folder.path() / "name").c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 0777) == 0640);
}

// Pieces that are no whole blocks of a disk; on a file system that has no other way, too.
BOOST_AUTO_TEST_CASE(goes_past_the_cache_with_the_same_bytes) {
    std::string text(std::size_t{5} << 19U, ' ');
    for (std::size_t i = 0; i < text.size(); ++i) { text[i] = static_cast<char>(i * i / 7); }
    for (const std::filesystem::path& parent :
         {std::filesystem::temp_directory_path(), std::filesystem::path("/dev/shm")}) {
        if (!std::filesystem::is_directory(parent)) { continue; }
        const temporary_directory folder(parent);
        for (const std::size_t size :
             {text.size(), std::size_t{0}, std::size_t{1}, std::size_t{1} << 20U}) {
            const std::string_view all = std::string_view(text).substr(0, size);
            const auto path = folder.path() / "name";
            atomic_file file(path);
            file.write_past_cache();
            for (std::size_t at = 0, n = 1; at < size; at += n, n = n * 5 + 3) {
                n = std::min(n, size - at);
                write(file, all.substr(at, n));
            }
            file.commit();
            BOOST_TEST((contents(path) == all));
        }
    }
}

BOOST_AUTO_TEST_CASE(says_why_it_cannot_be_written) {
    const temporary_directory folder;
    const std::string missing = (folder.path() / "no" / "name").string();
    BOOST_TEST(error_message([&] { atomic_file{missing}; }) ==
               missing + ": cannot be written: No such file or directory");
    BOOST_TEST(error_message([&] { atomic_file{folder.path()}; }) ==
               folder.path().string() + ": cannot be written: Is a directory");
    const std::string pipe = (folder.path() / "pipe").string();
    BOOST_REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    BOOST_TEST(error_message([&] { atomic_file{pipe}; }) ==
               pipe + ": cannot be written: not a regular file");
}

BOOST_AUTO_TEST_CASE(commits_beside_what_comes_next) {
    const temporary_directory folder;
    later_work later;
    const std::vector<std::string> names = {"first", "second", "third"};
    for (const std::string& name : names) {
        auto file = std::make_unique<atomic_file>(folder.path() / name);
        write(*file, name + "'s");
        later.begin([kept = std::shared_ptr(std::move(file))] { kept->commit(); });
    }
    later.wait();
    for (const std::string& name : names) {
        BOOST_TEST(contents(folder.path() / name) == name + "'s");
    }
    BOOST_TEST(files_in(folder.path()) == 3U);
    later.wait();  // there is nothing to wait for
}

BOOST_AUTO_TEST_CASE(tells_later_of_what_could_not_be_committed) {
    const temporary_directory folder;
    const auto inner = folder.path() / "inner";
    later_work later;
    for (const bool by_the_next : {false, true}) {
        std::filesystem::create_directory(inner);
        auto file = std::make_unique<atomic_file>(inner / "name");
        std::filesystem::remove_all(inner);
        later.begin([kept = std::shared_ptr(std::move(file))] { kept->commit(); });
        BOOST_TEST(error_message([&] {
                       if (!by_the_next) { return later.wait(); }
                       later.begin([] {});
                   }) ==
                   (inner / "name").string() + ": cannot be written: No such file or directory");
    }
    BOOST_TEST(files_in(folder.path()) == 0U);
}
