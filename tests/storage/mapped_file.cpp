// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE mapped_file
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/storage/mapped_file.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace {

std::string text(const xlens::mapped_file& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

std::string error(const std::filesystem::path& path) {
    return xlens::test::error_message([&] { const xlens::mapped_file file(path); });
}

const xlens::test::temporary_directory folder;

}  // namespace

BOOST_AUTO_TEST_CASE(the_bytes_of_a_file) {
    const auto path = folder.write("a", std::string_view("a\0b\n", 4));
    const xlens::mapped_file file(path);
    BOOST_TEST(text(file) == std::string("a\0b\n", 4));
    BOOST_TEST(file.name() == path.string());
}

BOOST_AUTO_TEST_CASE(an_empty_file_has_no_bytes) {
    BOOST_TEST(xlens::mapped_file(folder.write("empty", "")).bytes().empty());
}

BOOST_AUTO_TEST_CASE(moving_keeps_the_bytes_in_place) {
    xlens::mapped_file first(folder.write("first", "first"));
    const auto* before = first.bytes().data();
    xlens::mapped_file second(std::move(first));
    BOOST_TEST(second.bytes().data() == before);
    xlens::mapped_file third(folder.write("third", "third"));
    third = std::move(second);
    BOOST_TEST(third.bytes().data() == before);
    BOOST_TEST(text(third) == "first");
    auto& itself = third;
    third = std::move(itself);
    BOOST_TEST(text(third) == "first");
}

BOOST_AUTO_TEST_CASE(a_removed_file_stays_mapped) {
    const auto path = folder.write("removed", "bytes");
    const xlens::mapped_file file(path);
    std::filesystem::remove(path);
    BOOST_TEST(text(file) == "bytes");
}

BOOST_AUTO_TEST_CASE(what_is_no_regular_file) {
    BOOST_TEST(error("/dev/zero") == "/dev/zero: expected a regular file, got a device");
    BOOST_TEST(error(folder.path()) ==
               folder.path().string() + ": expected a regular file, got a folder");
    const auto pipe = folder.path() / "pipe";
    BOOST_REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    BOOST_TEST(error(pipe) == pipe.string() + ": expected a regular file, got a pipe");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_opened) {
    const auto missing = (folder.path() / "missing").string();
    BOOST_TEST(error(missing) == missing + ": cannot be opened: No such file or directory");
    BOOST_TEST(error("") == ": cannot be opened: No such file or directory");
    const auto below = folder.write("plain", "x") / "below";
    BOOST_TEST(error(below) == below.string() + ": cannot be opened: Not a directory");
    const auto control = folder.path() / "a\nb";
    BOOST_TEST(error(control) ==
               folder.path().string() + "/a\\x0ab: cannot be opened: No such file or directory");
}

BOOST_AUTO_TEST_CASE(an_unreadable_file) {
    const auto path = folder.write("unreadable", "x");
    std::filesystem::permissions(path, std::filesystem::perms::none);
    // Root may read everything.
    const auto expected =
        ::geteuid() == 0 ? "(no error)" : path.string() + ": cannot be opened: Permission denied";
    BOOST_TEST(error(path) == expected);
}
