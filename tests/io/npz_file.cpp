// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE npz_file
#include <boost/test/unit_test.hpp>

#include <xlens/io/npz_file.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"
#include "support/temporary_directory.hpp"
#include "support/zip_bytes.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;
using namespace std::string_literals;

namespace {

std::string array(const std::string& header, std::size_t bytes, char version = 1) {
    std::string out = "\x93NUMPY"s + version + '\0';
    out += static_cast<char>(header.size());
    out += '\0';
    return out + header + std::string(bytes, '\0');
}

std::string refused(const std::string& bytes) {
    return error_message([&] { parse_npy("file", "x", std::as_bytes(std::span(bytes))); });
}

}  // namespace

// What numpy.savez wrote: tests/golden/make_saes.py.
BOOST_AUTO_TEST_CASE(arrays_of_numpy_are_read) {
    const npz_file file(golden_path("saes/gemma-scope-2b-pt-res/layer_0/width_40/params.npz"));
    BOOST_TEST(file.tensors().size() == 5);
    const stored_tensor& w = file.tensors().at("w_enc");
    BOOST_TEST((w.format == format_id::f32));
    BOOST_TEST(w.shape == (std::vector<std::size_t>{32, 40}));
    BOOST_TEST(file.tensors().at("threshold").shape == (std::vector<std::size_t>{40}));
}

BOOST_AUTO_TEST_CASE(other_arrays_are_refused) {
    const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
    BOOST_TEST(refused(array(good, 24)) == "(no error)");
    BOOST_TEST(refused(array(good, 23)) == "file: x: shape (2, 3) of <f4, got 23 bytes");
    BOOST_TEST(refused(array("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", 8)) ==
               "file: x: descr: expected <f4 or <f2, got '<f8'");
    BOOST_TEST(refused(array("{'descr': '<f2', 'fortran_order': True, 'shape': (4,), }", 8)) ==
               "file: x: expected C order, got Fortran's");
    BOOST_TEST(refused(array("{'descr': '<f4', 'fortran_order': False}", 4)) ==
               "file: x: header: no shape");
    const std::string huge =
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999, 9999999999999)}";
    BOOST_TEST(refused(array(huge, 4)) ==
               "file: x: shape (9999999999999, 9999999999999) of <f4, got 4 bytes");
    for (const char* header :
         {"", "{", "{'descr'", "{'descr': '<f4'", "{'other': 1}", "{'shape': (1 2)}",
          "{'shape': (-1,)}", "{'shape': (1,}", "{'fortran_order': 0}", "{}x"}) {
        BOOST_TEST(
            refused(array(header, 4)).starts_with("file: x: header: expected a dict of descr, "),
            header);
    }
    BOOST_TEST(refused(array(good, 24, 4)) == "file: x: expected format 1 to 3, got 4");
    BOOST_TEST(refused("something") == "file: x: expected an array of NumPy");
    for (std::size_t length = 0; length < 24; ++length) {
        BOOST_TEST(refused(array(good, 24).substr(0, length)) != "(no error)");
    }
    const temporary_directory folder;
    const auto path = folder.write("a.npz", zip_bytes{{{"x.txt", "text"}}}());
    BOOST_TEST(error_message([&] { const npz_file file(path); }) ==
               path.string() + ": entry 'x.txt': expected an array, .npy");
}
