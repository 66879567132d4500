// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE input_text
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/text/input_text.hpp>

#include <sys/stat.h>

#include <fstream>
#include <string>
#include <thread>

using xlens::input_text;

namespace {

std::string read(const std::string& bytes) {
    const xlens::test::temporary_directory folder;
    const input_text text(folder.write("text", bytes));
    return std::string(text.checked());
}

/// The error for a text, without the path of the file.
std::string refusal(const std::string& bytes) {
    const xlens::test::temporary_directory folder;
    const auto path = folder.write("text", bytes);
    const std::string message =
        xlens::test::error_message([&] { static_cast<void>(input_text(path).checked()); });
    BOOST_TEST(message.starts_with(path.string() + ": "));
    return message.substr(path.string().size() + 2);
}

}  // namespace

BOOST_AUTO_TEST_CASE(bytes_stay_as_they_are) {
    for (const std::string& text : {std::string("a"), std::string("one\r\ntwo\r\n"),
                                    std::string("a\0b", 3), std::string("\xC3\xA9t\xC3\xA9")}) {
        BOOST_TEST(read(text) == text);
    }
}

BOOST_AUTO_TEST_CASE(a_byte_order_mark_of_utf8_is_left_out) {
    BOOST_TEST(read("\xEF\xBB\xBFword") == "word");
    BOOST_TEST(refusal("\xEF\xBB\xBF") == "empty, expected a text");
    // Places are those of the file.
    BOOST_TEST(refusal("\xEF\xBB\xBFw\xFFx").starts_with("byte 4 is 0xFF, which is not UTF-8"));
}

BOOST_AUTO_TEST_CASE(other_encodings_are_named) {
    using namespace std::string_literals;
    const auto marked = [](const std::string& name) {
        return "begins with the byte order mark of " + name + ", expected UTF-8 (iconv -f " + name +
               " makes it)";
    };
    BOOST_TEST(refusal("\xFF\xFEw\0o\0"s) == marked("UTF-16LE"));
    BOOST_TEST(refusal("\xFE\xFF\0w\0o"s) == marked("UTF-16BE"));
    BOOST_TEST(refusal("\xFF\xFE\0\0w\0\0\0"s) == marked("UTF-32LE"));
    BOOST_TEST(refusal("\0\0\xFE\xFF\0\0\0w"s) == marked("UTF-32BE"));
    BOOST_TEST(
        refusal("w\0o\0r\0d\0"s) ==
        "every other byte is 0, as in UTF-16LE, expected UTF-8 (iconv -f UTF-16LE makes it)");
    BOOST_TEST(
        refusal("\0w\0o\0r\0d"s) ==
        "every other byte is 0, as in UTF-16BE, expected UTF-8 (iconv -f UTF-16BE makes it)");
    BOOST_TEST(refusal("caf\xE9 au lait") ==
               "byte 3 is 0xE9, which is not UTF-8, expected a text in UTF-8; it may be LATIN1 "
               "(iconv -f LATIN1)");
    BOOST_TEST(refusal("caf\xE9 \x81") ==
               "byte 3 is 0xE9, which is not UTF-8, expected a text in UTF-8");
    BOOST_TEST(refusal("") == "empty, expected a text");
}

BOOST_AUTO_TEST_CASE(a_pipe_is_read_whole) {
    const xlens::test::temporary_directory folder;
    const auto path = folder.path() / "pipe";
    BOOST_REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    std::thread writer([&] { std::ofstream(path) << std::string(100'000, 'a'); });
    const input_text text(path);
    writer.join();
    BOOST_TEST(text.checked() == std::string(100'000, 'a'));
}

BOOST_AUTO_TEST_CASE(what_is_no_text_is_refused) {
    BOOST_TEST(xlens::test::error_message([] { input_text("/dev/null"); }) ==
               "/dev/null: expected a regular file, got a device");
    BOOST_TEST(xlens::test::error_message([] { input_text("/no/such"); }) ==
               "/no/such: cannot be opened: No such file or directory");
}
