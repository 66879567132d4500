// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE torch_file
#include <boost/test/unit_test.hpp>

#include <xlens/io/torch_file.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/temporary_directory.hpp"
#include "support/zip_bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using namespace std::string_literals;

namespace {

// tests/golden/make_lenses.py writes it.
std::filesystem::path tensors() { return golden_path("lenses/tensors.pt"); }

std::vector<float> values(const torch_file& file, const char* key, std::vector<std::size_t> shape) {
    return file.read(*file.root().find(key), shape, key);
}

/// What is said of a file of this pickle.
std::string refused(const std::string& pickle) {
    const temporary_directory folder;
    zip_bytes zip;
    zip.entries = {{"a/data.pkl", pickle}, {"a/data/0", std::string(8, '\0')}};
    const auto path = folder.write("file.pt", zip());
    const std::string message = error_message([&] { const torch_file file(path); });
    const std::string begin = path.string() + ": ";
    return message.starts_with(begin) ? message.substr(begin.size()) : message;
}

std::string with(const zip_bytes& zip) {
    const temporary_directory folder;
    const auto path = folder.write("file.pt", zip());
    const std::string message = error_message([&] { const torch_file file(path); });
    const std::string begin = path.string() + ": ";
    return message.starts_with(begin) ? message.substr(begin.size()) : message;
}

const zip_bytes good{{{"a/data.pkl", "\x80\x02}."}, {"a/byteorder", "little"}}};

}  // namespace

BOOST_AUTO_TEST_CASE(tensors_of_torch_are_read_as_they_were) {
    const torch_file file(tensors());
    using floats = std::vector<float>;
    BOOST_TEST(values(file, "double", {2, 2}) == (floats{1.0F / 3.0F, 2.5F, -4.0F, 1e-3F}));
    floats turned;
    for (int c = 0; c < 6; ++c) {
        for (int r = 0; r < 4; ++r) { turned.push_back(static_cast<float>(6 * r + c)); }
    }
    BOOST_TEST(values(file, "turned", {6, 4}) == turned);
    floats part;
    for (int i = 5; i < 17; ++i) { part.push_back(static_cast<float>(i)); }
    BOOST_TEST(values(file, "part", {3, 4}) == part);
    BOOST_TEST(values(file, "bfloat", {2}) == (floats{1.5F, -2.25F}));
    BOOST_TEST(values(file, "half", {}) == floats{0.125F});
    BOOST_TEST(values(file, "stepped", {6}) == (floats{1, 5, 9, 13, 17, 21}));
}

BOOST_AUTO_TEST_CASE(values_of_python_are_read_as_they_were) {
    const torch_file file(tensors());
    const pickle_value& root = file.root();
    using kind = pickle_value::kind;
    BOOST_TEST((root.find("none")->is == kind::none));
    BOOST_TEST((root.find("yes")->is == kind::boolean && root.find("yes")->integer == 1));
    BOOST_TEST((root.find("no")->is == kind::boolean && root.find("no")->integer == 0));
    BOOST_TEST(root.find("float")->real == 0.1);
    std::vector<std::int64_t> numbers;
    for (const pickle_value* v : root.find("numbers")->items) { numbers.push_back(v->integer); }
    BOOST_TEST(numbers == (std::vector<std::int64_t>{0, 255, 65535, -7, std::int64_t{1} << 40,
                                                     -(std::int64_t{1} << 33)}));
    const pickle_value* tuple = root.find("tuple");
    BOOST_REQUIRE(tuple->items.size() == 3);
    BOOST_TEST(tuple->items[1]->text == "\xc3\xa4");
    BOOST_TEST((root.find("nothing") == nullptr));
}

BOOST_AUTO_TEST_CASE(tensors_that_do_not_fit_are_refused) {
    const torch_file file(tensors());
    const std::string name = file.name();
    BOOST_TEST(error_message([&] { values(file, "double", {4}); }) ==
               name + ": double: expected (4), got (2, 2)");
    BOOST_TEST(error_message([&] { values(file, "float", {1}); }) ==
               name + ": float: expected a tensor, got a float");
    BOOST_TEST(error_message([&] { values(file, "expanded", {3}); }) ==
               name + ": expanded: (3) reaches beyond its storage of 1 elements");
}

BOOST_AUTO_TEST_CASE(other_pickles_are_refused_by_name) {
    BOOST_TEST(refused("\x80\x02}.") == "(no error)");
    BOOST_TEST(refused("\x80\x02"
                       "cos\nsystem\n.") ==
               "pickle: byte 13: asks for os.system; known are OrderedDict, _rebuild_tensor_v2 and "
               "storages of floats");
    BOOST_TEST(refused("\x80\x02"
                       "ctorch\nLongStorage\n.")
                   .find("asks for torch.LongStorage") != std::string::npos);
    BOOST_TEST(refused("\x80\x02i") == "pickle: byte 3: opcode 0x69 is not one of torch.save");
    BOOST_TEST(refused("\x80\x04}.") == "pickle: byte 2: expected protocol 2, got 4");
    BOOST_TEST(refused("\x80\x02") ==
               "opcode at byte 2: expected 1 more bytes, got 0 before the end of the file");
    BOOST_TEST(refused("\x80\x02R.") == "pickle: byte 3: takes a value of an empty stack");
    BOOST_TEST(refused("\x80\x02}}.") == "pickle: byte 5: ends with another stack");
    BOOST_TEST(refused("\x80\x02(.") == "pickle: byte 4: ends with another stack");
    BOOST_TEST(refused("\x80\x02t.") == "pickle: byte 3: has no mark");
    BOOST_TEST(refused("\x80\x02h\x05.") == "pickle: byte 4: recalls a value that it did not keep");
    BOOST_TEST(refused("\x80\x02}(N.") == "pickle: byte 6: ends with another stack");
    BOOST_TEST(refused("\x80\x02}NNs.") == "pickle: byte 6: a key that is None");
    BOOST_TEST(refused("\x80\x02]NNs.") == "pickle: byte 6: adds to a list");
    BOOST_TEST(refused("\x80\x02X\xff\xff\xff\x7f.").starts_with("string at byte 7: expected "));
    BOOST_TEST(refused("\x80\x02"s + "\x8a\x09" + "123456789.") ==
               "pickle: byte 4: an integer of 9 bytes, expected at most 8");
    BOOST_TEST(refused("\x80\x02r\xff\xff\xff\xff.") ==
               "pickle: byte 7: keeps a value of an empty stack");
    BOOST_TEST(refused("\x80\x02}r\xff\xff\xff\x0f.") ==
               "pickle: byte 8: keeps a value under a number out of order");
    BOOST_TEST(refused("\x80\x02"s + std::string(300, '(') + ".") ==
               "pickle: byte 259: more than 256 marks");
    BOOST_TEST(refused("\x80\x02"s + std::string((1U << 20U) + 1, 'N') + ".") ==
               "pickle: byte 1048579: more than 1048576 values");
    BOOST_TEST(refused("\x80\x02}Q.") ==
               "pickle: byte 4: expected ('storage', class, key, device, elements)");
    BOOST_TEST(refused("\x80\x02"
                       "ctorch._utils\n_rebuild_tensor_v2\n)R.") ==
               "pickle: byte 37: _rebuild_tensor_v2: expected a storage, an offset, sizes and "
               "strides");
    // A list that holds itself is no harm.
    BOOST_TEST(refused("\x80\x02]q\x01h\x01"
                       "a.") == "(no error)");
}

BOOST_AUTO_TEST_CASE(other_archives_are_refused) {
    BOOST_TEST(with(good) == "(no error)");
    zip_bytes zip = good;
    zip.method = 8;
    BOOST_TEST(with(zip).starts_with("entry 'a/data.pkl': is compressed (method 8), expected "));
    zip = good;
    zip.flags = 1;
    BOOST_TEST(with(zip) == "entry 'a/data.pkl': is encrypted");
    zip = good;
    zip.crc_error = 1;
    BOOST_TEST(with(zip).starts_with("entry 'a/byteorder': checksum "));
    zip = good;
    zip.entries[1].second = "big";
    BOOST_TEST(with(zip) == "byteorder: expected little, got big");
    zip = good;
    zip.extra_size = 4000;
    BOOST_TEST(with(zip).starts_with("entry 'a/data.pkl' at byte 40: expected 4004 more bytes"));
    zip = good;
    zip.offset_error = 1;
    BOOST_TEST(with(zip) == "entry 'a/data.pkl': expected an entry at 1, got none");
    zip = good;
    zip.entries.push_back(zip.entries.front());
    BOOST_TEST(with(zip) == "entry 'a/data.pkl': is there twice");
    zip = good;
    zip.entries.front().first = "a/other";
    BOOST_TEST(with(zip) == "expected a file of torch.save, got no data.pkl");
    zip = good;
    zip.entries.emplace_back("b/data.pkl", "");
    BOOST_TEST(with(zip) == "two entries named data.pkl");
}

// Every prefix of a file of torch, and every byte of it changed, is read or refused.
BOOST_AUTO_TEST_CASE(damaged_files_are_refused) {
    std::ifstream in(tensors(), std::ios::binary);
    const std::string whole{std::istreambuf_iterator<char>(in), {}};
    const temporary_directory folder;
    const auto read = [&](const std::string& bytes) {
        const auto path = folder.write("file.pt", bytes);
        return error_message([&] {
            const torch_file file(path);
            for (const auto& [key, v] : file.root().members) {
                if (v->is == pickle_value::kind::tensor && key->text != "expanded") {
                    static_cast<void>(file.read(*v, file.shape(*v, key->text), key->text));
                }
            }
        });
    };
    BOOST_TEST(read(whole) == "(no error)");
    for (std::size_t length = 0; length < whole.size(); length += 7) {
        BOOST_TEST(read(whole.substr(0, length)) != "(no error)", length);
    }
    for (std::size_t i = 0; i < whole.size(); i += 3) {
        std::string bytes = whole;
        bytes[i] = static_cast<char>(bytes[i] ^ 0x5a);
        read(bytes);
    }
}
