// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE safetensors_malformed
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <support/byte_writer.hpp>
#include <support/error_message.hpp>
#include <support/malformed_file.hpp>
#include <support/safetensors_bytes.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/io/safetensors.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace {

using xlens::test::byte_writer;
using xlens::test::malformed_file;
using xlens::test::safetensors_bytes;

std::string length_only(std::uint64_t length, std::string_view rest = "{}") {
    return byte_writer().number(length).raw(rest).bytes();
}

/// One tensor "t" with the given fields, and `data` zero bytes.
std::string one(const std::string& fields, std::size_t data) {
    return safetensors_bytes("{\"t\":{" + fields + "}}", data);
}
std::string shaped(const std::string& dtype, const std::string& shape, const std::string& offsets,
                   std::size_t data) {
    return one("\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets,
               data);
}

/// Tensors of four-byte F32 vectors, one for each pair of offsets.
std::string laid_out(const std::vector<std::string>& offsets, std::size_t data) {
    std::string header;
    for (std::size_t i = 0; i < offsets.size(); ++i) {
        header += header.empty() ? "{" : ",";
        header += "\"t" + std::to_string(i) +
                  "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":" + offsets[i] + "}";
    }
    return safetensors_bytes(header + "}", data);
}

std::vector<malformed_file> header_cases() {
    constexpr auto largest = std::numeric_limits<std::uint64_t>::max();
    const std::string deep(100'000, '[');
    return {
        {"empty", "",
         "header length at byte 0: expected 8 more bytes, got 0 before the end of the file"},
        {"seven bytes", std::string(7, '\0'),
         "header length at byte 0: expected 8 more bytes, got 7 before the end of the file"},
        {"length over the limit", length_only(100'000'001),
         "header length: expected at most 100000000, got 100000001"},
        {"length over the file", length_only(3),
         "header at byte 8: expected 3 more bytes, got 2 before the end of the file"},
        {"length 2^64 - 1", length_only(largest),
         "header length: expected at most 100000000, got 18446744073709551615"},
        {"length 2^64 - 8", length_only(largest - 7),
         "header length: expected at most 100000000, got 18446744073709551608"},
        {"length 0", length_only(0, ""), "header: byte 0: not valid JSON near ''"},
        {"not UTF-8", safetensors_bytes("\xff", 0), "header: byte 0: not valid JSON near '\\xff'"},
        {"not UTF-8 in a name", safetensors_bytes("{\"\xff\":1}", 0),
         "header: byte 2: not valid JSON near '{\"\\xff'"},
        {"overlong UTF-8", safetensors_bytes("{\"\xc0\x80\":1}", 0),
         "header: byte 2: not valid JSON near '{\"\\xc0'"},
        {"byte order mark", safetensors_bytes("\xef\xbb\xbf{}", 0),
         "header: byte 0: not valid JSON near '\\xef'"},
        {"open brace", safetensors_bytes("{", 0), "header: byte 1: not valid JSON near '{'"},
        {"two values", safetensors_bytes("{}{}", 0), "header: byte 2: not valid JSON near '{}{'"},
        {"NUL after the value", safetensors_bytes(std::string("{}\0", 3), 0),
         "header: byte 2: not valid JSON near '{}\\x00'"},
        {"trailing comma", safetensors_bytes("{\"a\":1,}", 0),
         "header: byte 7: not valid JSON near '{\"a\":1,}'"},
        {"comment", safetensors_bytes("{}//", 0), "header: byte 2: not valid JSON near '{}/'"},
        {"array", safetensors_bytes("[]", 0), "header: expected an object, got an array"},
        {"100,000 deep", safetensors_bytes(deep, 0),
         "header: expected JSON nested at most 64 deep, got deeper"},
        {"1e400", safetensors_bytes("{\"t\":1e400}", 0),
         "header: byte 9: number out of range near '{\"t\":1e400'"},
        {"name twice", safetensors_bytes("{\"t\":{},\"t\":{}}", 0),
         "header: key 't' appears twice in one object"},
        {"metadata number", safetensors_bytes("{\"__metadata__\":{\"a\":1}}", 0),
         "__metadata__.a: expected a string, got 1"},
        {"metadata array", safetensors_bytes("{\"__metadata__\":[]}", 0),
         "__metadata__: expected an object, got an array"},
        {"metadata twice", safetensors_bytes("{\"__metadata__\":{},\"__metadata__\":{}}", 0),
         "header: key '__metadata__' appears twice in one object"},
        {"bytes without a tensor", safetensors_bytes("{}", 1),
         "expected 0 bytes of data, where the last tensor ends, got 1"},
    };
}

std::vector<malformed_file> tensor_cases() {
    const std::string t = "tensor 't': ";
    return {
        {"tensor is a number", safetensors_bytes("{\"t\":1}", 0),
         "tensor 't': expected an object, got 1"},
        {"no dtype", one("\"shape\":[],\"data_offsets\":[0,4]", 4),
         "tensor 't'.dtype: expected a string, got no such key"},
        {"dtype a number", one("\"dtype\":5,\"shape\":[],\"data_offsets\":[0,4]", 4),
         "tensor 't'.dtype: expected a string, got 5"},
        {"dtype unknown", shaped("F33", "[1]", "[0,4]", 4),
         t + "dtype 'F33' is not a safetensors type"},
        {"dtype in small letters", shaped("f32", "[1]", "[0,4]", 4),
         t + "dtype 'f32' is not a safetensors type"},
        {"dtype without support", shaped("F64", "[1]", "[0,8]", 8),
         t + "dtype F64 is not supported: expected F32, F16, BF16, F8_E4M3 or F8_E5M2"},
        {"float of 8 bits", shaped("F8_E8M0", "[1]", "[0,1]", 1),
         t + "dtype F8_E8M0 is not supported: expected F32, F16, BF16, F8_E4M3 or F8_E5M2"},
        {"float of 4 bits", shaped("F4", "[3]", "[0,1]", 1),
         t + "dtype F4 is not supported: expected F32, F16, BF16, F8_E4M3 or F8_E5M2"},
        {"no shape", one("\"dtype\":\"F32\",\"data_offsets\":[0,4]", 4),
         t + "shape: expected an array of integers, got no such key"},
        {"shape a number", shaped("F32", "1", "[0,4]", 4),
         t + "shape: expected an array of integers, got number"},
        {"shape -1", shaped("F32", "[-1]", "[0,4]", 4),
         t + "shape: expected integers from 0 to 2^64 - 1, got -1"},
        {"shape -0", shaped("F32", "[-0]", "[0,0]", 0),
         t + "shape: expected integers from 0 to 2^64 - 1, got -0"},
        {"shape 0.0", shaped("F32", "[0.0]", "[0,0]", 0),
         t + "shape: expected integers from 0 to 2^64 - 1, got 0.0"},
        {"shape 1.5", shaped("F32", "[1.5]", "[0,4]", 4),
         t + "shape: expected integers from 0 to 2^64 - 1, got 1.5"},
        {"shape 1.0", shaped("F32", "[1.0]", "[0,4]", 4),
         t + "shape: expected integers from 0 to 2^64 - 1, got 1.0"},
        {"shape 2^64", shaped("F32", "[18446744073709551616]", "[0,4]", 4),
         t + "shape: expected integers from 0 to 2^64 - 1, got 1.8446744073709552e+19"},
        {"shape of strings", shaped("F32", "[\"1\"]", "[0,4]", 4),
         t + "shape: expected integers from 0 to 2^64 - 1, got \"1\""},
        {"shape of arrays", shaped("F32", "[[1]]", "[0,4]", 4),
         t + "shape: expected integers from 0 to 2^64 - 1, got array"},
        {"elements wrap", shaped("F32", "[2,18446744073709551614]", "[0,4]", 4),
         t + "shape: 2 x 18446744073709551614 elements of F32 are more bytes than 2^64 - 1"},
        {"bytes wrap", shaped("F32", "[2,9223372036854775807]", "[0,4]", 4),
         t + "shape: 2 x 9223372036854775807 elements of F32 are more bytes than 2^64 - 1"},
        {"integers wrap", shaped("I64", "[1152921504606846976,16]", "[0,8]", 8),
         t + "shape: 1152921504606846976 x 16 elements of I64 are more bytes than 2^64 - 1"},
        {"no offsets", one("\"dtype\":\"F32\",\"shape\":[1]", 4),
         t + "data_offsets: expected an array of integers, got no such key"},
        {"one offset", shaped("F32", "[1]", "[4]", 4),
         t + "data_offsets: expected [begin, end] with begin <= end, got [4]"},
        {"three offsets", shaped("F32", "[1]", "[0,4,8]", 8),
         t + "data_offsets: expected [begin, end] with begin <= end, got [0, 4, 8]"},
        {"end before begin", shaped("F32", "[1]", "[4,0]", 4),
         t + "data_offsets: expected [begin, end] with begin <= end, got [4, 0]"},
        {"negative offset", shaped("F32", "[1]", "[-4,0]", 4),
         t + "data_offsets: expected integers from 0 to 2^64 - 1, got -4"},
        {"shape over the offsets", shaped("F32", "[2,3]", "[0,20]", 20),
         t + "expected 24 bytes for F32 and shape [2, 3], got data_offsets [0, 20]"},
        {"mask over the offsets", shaped("BOOL", "[3]", "[0,4]", 4),
         t + "expected 3 bytes for BOOL and shape [3], got data_offsets [0, 4]"},
        {"scalar without bytes", shaped("F32", "[]", "[0,0]", 0),
         t + "expected 4 bytes for F32 and shape [], got data_offsets [0, 0]"},
        {"name with NUL",
         safetensors_bytes(
             "{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4),
         "tensor 'a\\x00b': expected a name without NUL"},
    };
}

std::vector<malformed_file> layout_cases() {
    return {
        {"two bytes short", laid_out({"[0,4]", "[4,8]"}, 6),
         "tensor 't1': data_offsets: expected an end of at most 6, got 8: the file is too short"},
        {"one byte more", laid_out({"[0,4]", "[4,8]"}, 9),
         "expected 8 bytes of data, where the last tensor ends, got 9"},
        {"hole at the start", laid_out({"[4,8]"}, 8),
         "tensor 't0': data_offsets: expected to begin at 0, where the tensor before it ends, got "
         "4"},
        {"hole", laid_out({"[0,4]", "[8,12]"}, 12),
         "tensor 't1': data_offsets: expected to begin at 4, where the tensor before it ends, got "
         "8"},
        {"overlap", laid_out({"[0,4]", "[2,6]"}, 6),
         "tensor 't1': data_offsets: expected to begin at 4, where the tensor before it ends, got "
         "2"},
        {"same bytes", laid_out({"[0,4]", "[0,4]", "[0,4]"}, 4),
         "tensor 't1': data_offsets: expected to begin at 4, where the tensor before it ends, got "
         "0"},
        {"out of the file", laid_out({"[0,4]", "[18446744073709551608,18446744073709551612]"}, 8),
         "tensor 't1': data_offsets: expected to begin at 4, where the tensor before it ends, got "
         "18446744073709551608"},
    };
}

void check(const malformed_file& file) {
    const xlens::test::temporary_directory folder;
    const auto path = folder.write("bad.safetensors", file.bytes);
    BOOST_TEST(xlens::test::error_message([&] { const xlens::safetensors_file f(path); }) ==
               path.string() + ": " + file.message);
}

}  // namespace

namespace data = boost::unit_test::data;

BOOST_DATA_TEST_CASE(header, data::make(header_cases()), file) { check(file); }
BOOST_DATA_TEST_CASE(tensors, data::make(tensor_cases()), file) { check(file); }
BOOST_DATA_TEST_CASE(layout, data::make(layout_cases()), file) { check(file); }
