// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE gguf_malformed
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <support/byte_writer.hpp>
#include <support/error_message.hpp>
#include <support/gguf_builder.hpp>
#include <support/malformed_file.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/io/gguf.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace {

using xlens::test::byte_writer;
using xlens::test::gguf_builder;
using xlens::test::malformed_file;
using b = gguf_builder;

constexpr auto largest = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t f32 = 0;
constexpr std::uint32_t q4_1 = 3;

gguf_builder with(void (*change)(gguf_builder&)) {
    gguf_builder file;
    change(file);
    return file;
}
std::string bytes_of(void (*change)(gguf_builder&)) { return with(change).bytes(); }

/// A key "k" whose type and value are written by hand.
template <class... Numbers>
std::string raw_value(Numbers... numbers) {
    byte_writer value;
    (value.number(numbers), ...);
    return gguf_builder().raw_key("k", value).bytes();
}

/// One tensor "t", followed by `data` zero bytes.
std::string one_tensor(const std::vector<std::uint64_t>& dims, std::uint32_t type,
                       std::uint64_t offset, std::size_t data) {
    return gguf_builder().tensor("t", dims, type, offset).data(data).bytes();
}

std::string cut(std::string bytes, std::size_t count) {
    bytes.resize(bytes.size() - count);
    return bytes;
}

std::vector<malformed_file> header_cases() {
    const std::string empty = gguf_builder().bytes();
    return {
        {"empty", "", "magic at byte 0: expected 4 more bytes, got 0 before the end of the file"},
        {"three bytes", "GGU",
         "magic at byte 0: expected 4 more bytes, got 3 before the end of the file"},
        {"bad magic", bytes_of([](b& f) { f.magic = "GGML"; }),
         "magic: expected 'GGUF', got 'GGML': not a GGUF file"},
        {"unprintable magic", bytes_of([](b& f) { f.magic = "PK\x03\x04"; }),
         "magic: expected 'GGUF', got 'PK\\x03\\x04': not a GGUF file"},
        {"no version", "GGUF",
         "version at byte 4: expected 4 more bytes, got 0 before the end of the file"},
        {"version 0", bytes_of([](b& f) { f.version = 0; }), "version: expected 2 or 3, got 0"},
        {"version 1", bytes_of([](b& f) { f.version = 1; }), "version: expected 2 or 3, got 1"},
        {"version 4", bytes_of([](b& f) { f.version = 4; }), "version: expected 2 or 3, got 4"},
        {"big endian", bytes_of([](b& f) { f.version = 0x03000000; }),
         "version: expected 2 or 3, got 0x03000000: a big-endian file, which is not supported"},
        {"no counts", empty.substr(0, 8),
         "number of tensors at byte 8: expected 8 more bytes, got 0 before the end of the file"},
        {"half a count", empty.substr(0, 20),
         "number of keys at byte 16: expected 8 more bytes, got 4 before the end of the file"},
        {"-1 tensors", bytes_of([](b& f) { f.tensor_count = largest; }),
         "number of tensors: expected 0 to 131072, got -1"},
        {"too many tensors", bytes_of([](b& f) { f.tensor_count = 131073; }),
         "number of tensors: expected 0 to 131072, got 131073"},
        {"many tensors, short file", bytes_of([](b& f) { f.tensor_count = 131072; }),
         "name of tensor 0 of 131072 at byte 24: expected 8 more bytes, got 0 before the end of "
         "the "
         "file"},
        {"-1 keys", bytes_of([](b& f) { f.key_count = largest; }),
         "number of keys: expected 0 to 65536, got -1"},
        {"too many keys", bytes_of([](b& f) { f.key_count = 65537; }),
         "number of keys: expected 0 to 65536, got 65537"},
        {"many keys, short file", bytes_of([](b& f) { f.key_count = 65536; }),
         "key 0 of 65536 at byte 24: expected 8 more bytes, got 0 before the end of the file"},
        {"bytes after an empty file", empty + std::string(33, '\0'),
         "expected the file to end at byte 32, after its last tensor, got 57 bytes"},
    };
}

std::vector<malformed_file> key_cases() {
    const std::string long_key(65536, 'k');
    return {
        {"key length 2^64 - 1",
         with([](b& f) { f.key_count = 1; }).bytes() + byte_writer().number(largest).bytes(),
         "key 0 of 1 at byte 32: expected 18446744073709551615 more bytes, got 0 before the end of "
         "the file"},
        {"empty key", bytes_of([](b& f) { f.key("", b::u8, std::uint8_t{1}); }),
         "key 0 of 1: expected 1 to 65535 bytes, got 0"},
        {"long key", gguf_builder().key(long_key, b::u8, std::uint8_t{1}).bytes(),
         "key 0 of 1: expected 1 to 65535 bytes, got 65536"},
        {"NUL in a key", gguf_builder().key(std::string("a\0b", 3), b::u8, std::uint8_t{1}).bytes(),
         "key 0 of 1: expected no NUL byte, got 'a\\x00b'"},
        {"key twice", bytes_of([](b& f) { f.text("k", "a").text("k", "b"); }),
         "key 1 of 2: 'k' appears twice"},
        {"type 13", raw_value(std::uint32_t{13}),
         "type of value of key 'k': expected a number below 13, got 13"},
        {"type 2^32 - 1", raw_value(std::uint32_t{0xffffffff}),
         "type of value of key 'k': expected a number below 13, got 4294967295"},
        {"array of type 13", raw_value(std::uint32_t{b::array}, std::uint32_t{13}, largest),
         "type of value of key 'k': expected a number below 13, got 13"},
        {"array of arrays",
         raw_value(std::uint32_t{b::array}, std::uint32_t{b::array}, std::uint64_t{1}),
         "value of key 'k': expected an array of numbers or strings, got an array of arrays"},
        {"array over 2^30",
         raw_value(std::uint32_t{b::array}, std::uint32_t{b::u8}, std::uint64_t{(1U << 30U) + 1}),
         "value of key 'k': expected at most 1073741824 elements, got 1073741825"},
        {"array of 2^64 - 1", raw_value(std::uint32_t{b::array}, std::uint32_t{b::u64}, largest),
         "value of key 'k': expected at most 1073741824 elements, got 18446744073709551615"},
        {"array over the rest",
         raw_value(std::uint32_t{b::array}, std::uint32_t{b::f64}, std::uint64_t{2}, 1.0),
         "value of key 'k' at byte 49: expected 16 more bytes, got 8 before the end of the file"},
        {"strings over the rest",
         raw_value(std::uint32_t{b::array}, std::uint32_t{b::string}, std::uint64_t{1U << 30U},
                   std::uint64_t{0}),
         "value of key 'k' at byte 57: expected 8 more bytes, got 0 before the end of the file"},
        {"string of 2^64 - 1", raw_value(std::uint32_t{b::string}, largest),
         "value of key 'k' at byte 45: expected 18446744073709551615 more bytes, got 0 before the "
         "end of the file"},
        {"string over the rest", raw_value(std::uint32_t{b::string}, std::uint64_t{2}, 'x'),
         "value of key 'k' at byte 45: expected 2 more bytes, got 1 before the end of the file"},
        {"half a number", raw_value(std::uint32_t{b::u32}, std::uint16_t{1}),
         "value of key 'k' at byte 37: expected 4 more bytes, got 2 before the end of the file"},
        {"no value", raw_value(std::uint32_t{b::f32}),
         "value of key 'k' at byte 37: expected 4 more bytes, got 0 before the end of the file"},
        {"bool 2", bytes_of([](b& f) { f.key("k", b::boolean, std::uint8_t{2}); }),
         "value of key 'k': expected bool 0 or 1, got 2"},
        {"bool 255 in an array",
         gguf_builder().numbers<std::uint8_t>("k", b::boolean, {0, 1, 255}).bytes(),
         "value of key 'k': expected bool 0 or 1, got 255"},
        {"control bytes in a key", bytes_of([](b& f) { f.key("a\nb\x1b", b::boolean, 'x'); }),
         "value of key 'a\\x0ab\\x1b': expected bool 0 or 1, got 120"},
    };
}

std::vector<malformed_file> alignment_cases() {
    const auto aligned = [](std::uint32_t to) {
        return gguf_builder().key("general.alignment", b::u32, to).bytes();
    };
    const auto rule = "general.alignment: expected a power of two up to 1048576, got ";
    return {
        {"alignment 0", aligned(0), rule + std::string("0")},
        {"alignment 13", aligned(13), rule + std::string("13")},
        {"alignment 2 MiB", aligned(1U << 21U), rule + std::string("2097152")},
        {"alignment 2^31", aligned(0x80000000), rule + std::string("2147483648")},
        {"alignment int32", bytes_of([](b& f) { f.key("general.alignment", b::i32, 32); }),
         "general.alignment: expected uint32, got int32 32"},
        {"alignment string", bytes_of([](b& f) { f.text("general.alignment", "32"); }),
         "general.alignment: expected uint32, got string"},
        {"alignment array",
         gguf_builder().numbers<std::uint32_t>("general.alignment", b::u32, {32}).bytes(),
         "general.alignment: expected uint32, got array of uint32"},
        {"one part of three",
         bytes_of([](b& f) { f.key("split.count", b::u16, std::uint16_t{3}); }),
         "split.count: a part of 3 files, whose name must end in -00001-of-00003.gguf"},
        {"split.count string", bytes_of([](b& f) { f.text("split.count", "one"); }),
         "split.count: expected an integer, got string"},
    };
}

std::vector<malformed_file> tensor_cases() {
    const std::string long_name(64, 'n');
    return {
        {"empty name", bytes_of([](b& f) { f.tensor("", {1}, f32, 0).data(4); }),
         "name of tensor 0 of 1: expected 1 to 63 bytes, got 0"},
        {"name of 64 bytes", gguf_builder().tensor(long_name, {1}, f32, 0).data(4).bytes(),
         "name of tensor 0 of 1: expected 1 to 63 bytes, got 64"},
        {"NUL in a name", gguf_builder().tensor(std::string("t\0", 2), {1}, f32, 0).bytes(),
         "name of tensor 0 of 1: expected no NUL byte, got 't\\x00'"},
        {"name twice",
         bytes_of([](b& f) { f.tensor("t", {8}, f32, 0).tensor("t", {8}, f32, 32).data(64); }),
         "tensor 't' appears twice"},
        {"five dimensions", one_tensor({1, 1, 1, 1, 1}, f32, 0, 4),
         "tensor 't': expected at most 4 dimensions, got 5"},
        {"dimension -1", one_tensor({largest}, f32, 0, 4),
         "tensor 't': dimension 0: expected at least 0, got -1"},
        {"2^63 elements", one_tensor({1ULL << 32U, 1ULL << 31U}, f32, 0, 4),
         "tensor 't': dimension 1 is 2147483648: the tensor has more than 2^63 - 1 elements"},
        {"2^64 elements", one_tensor({1ULL << 32U, 1ULL << 32U}, f32, 0, 4),
         "tensor 't': dimension 1 is 4294967296: the tensor has more than 2^63 - 1 elements"},
        {"bytes wrap", one_tensor({1ULL << 31U, 1ULL << 31U, 1}, f32, 0, 4),
         "tensor 't': 4611686018427387904 elements of f32 are more bytes than can be addressed"},
        // From the report of the size wrap in ggml: 2^42 + 1 rows.
        {"exabytes", one_tensor({1024, (1ULL << 42U) + 1}, f32, 0, 4096),
         "tensor 't': expected 18014398509486080 bytes at byte 96 + 0, got a file of 4192 bytes"},
        {"type -1", one_tensor({1}, 0xffffffff, 0, 4),
         "tensor 't': type 4294967295 is not a GGUF tensor type"},
        {"type 1000", one_tensor({1}, 1000, 0, 4),
         "tensor 't': type 1000 is not a GGUF tensor type"},
        {"removed type", one_tensor({32}, 4, 0, 32),
         "tensor 't': type 4 is not a GGUF tensor type"},
        {"type without support", one_tensor({256}, 9, 0, 288),
         "tensor 't': type Q8_1 is not supported: expected one of F32, F16, Q4_0, Q4_1, Q5_0, "
         "Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ2_XXS, IQ2_XS, IQ3_XXS, IQ1_S, IQ4_NL, "
         "IQ3_S, IQ2_S, IQ4_XS, IQ1_M, BF16, TQ1_0, TQ2_0, MXFP4, NVFP4"},
        {"half a block", one_tensor({48, 2}, q4_1, 0, 60),
         "tensor 't': expected rows of a multiple of 32 elements for q4_1, got 48"},
        {"scalar of blocks", one_tensor({}, q4_1, 0, 20),
         "tensor 't': expected rows of a multiple of 32 elements for q4_1, got 1"},
        {"first offset", one_tensor({1}, f32, 32, 64),
         "tensor 't': offset: expected 0, where the tensor before it ends, got 32"},
        {"overlap",
         bytes_of([](b& f) { f.tensor("t", {1}, f32, 0).tensor("u", {1}, f32, 0).data(64); }),
         "tensor 'u': offset: expected 32, where the tensor before it ends, got 0"},
        {"hole",
         bytes_of([](b& f) { f.tensor("t", {1}, f32, 0).tensor("u", {1}, f32, 64).data(96); }),
         "tensor 'u': offset: expected 32, where the tensor before it ends, got 64"},
        {"misaligned",
         bytes_of([](b& f) { f.tensor("t", {1}, f32, 0).tensor("u", {1}, f32, 4).data(64); }),
         "tensor 'u': offset: expected 32, where the tensor before it ends, got 4"},
        {"offset 2^64 - 1", one_tensor({1}, f32, largest, 4),
         "tensor 't': offset: expected 0, where the tensor before it ends, got "
         "18446744073709551615"},
        {"sum of sizes wraps", bytes_of([](b& f) {
             f.tensor("t", {0x1fffffffffffffe0}, f32, 0)
                 .tensor("u", {0x1fffffffffffffe0}, f32, 0x7fffffffffffff80)
                 .tensor("v", {0x1fffffffffffffe0}, f32, 0xffffffffffffff00);
         }),
         "tensor 'v': 9223372036854775680 bytes at 18446744073709551360 do not fit any file"},
        {"padding wraps", bytes_of([](b& f) {
             f.tensor("t", {0x3fffffffffffffff}, f32, 0).tensor("u", {1}, f32, 0);
         }),
         "tensor 'u': offset: expected less than 2^64, where the tensor before it ends, got 0"},
        {"no data", cut(one_tensor({8}, f32, 0, 32), 32),
         "tensor 't': expected 32 bytes at byte 64 + 0, got a file of 64 bytes"},
        {"one byte short", cut(one_tensor({8}, f32, 0, 32), 1),
         "tensor 't': expected 32 bytes at byte 64 + 0, got a file of 95 bytes"},
        {"second tensor cut",
         bytes_of([](b& f) { f.tensor("t", {8}, f32, 0).tensor("u", {8}, f32, 32).data(63); }),
         "tensor 'u': expected 32 bytes at byte 96 + 32, got a file of 159 bytes"},
        {"bytes after the data", one_tensor({8}, f32, 0, 33),
         "expected the file to end at byte 96, after its last tensor, got 97 bytes"},
        {"bytes after the padding", one_tensor({1}, f32, 0, 33),
         "expected the file to end at byte 96, after its last tensor, got 97 bytes"},
        {"list cut", gguf_builder().tensor("t", {8}, f32, 0).bytes().substr(0, 53),
         "tensor 't': offset at byte 49: expected 8 more bytes, got 4 before the end of the file"},
    };
}

void check(const malformed_file& file) {
    const xlens::test::temporary_directory folder;
    const auto path = folder.write("bad.gguf", file.bytes);
    BOOST_TEST(xlens::test::error_message([&] { const xlens::gguf_file f(path); }) ==
               path.string() + ": " + file.message);
}

}  // namespace

namespace data = boost::unit_test::data;

BOOST_DATA_TEST_CASE(header, data::make(header_cases()), file) { check(file); }
BOOST_DATA_TEST_CASE(keys, data::make(key_cases()), file) { check(file); }
BOOST_DATA_TEST_CASE(alignment, data::make(alignment_cases()), file) { check(file); }
BOOST_DATA_TEST_CASE(tensors, data::make(tensor_cases()), file) { check(file); }

BOOST_AUTO_TEST_CASE(a_header_over_the_limit_is_not_read) {
    // The limit is 100 MB: a sparse file that claims one long string.
    const xlens::test::temporary_directory folder;
    const auto bytes = raw_value(std::uint32_t{b::string}, std::uint64_t{150'000'000});
    const auto path = folder.write("bad.gguf", bytes);
    std::filesystem::resize_file(path, 200'000'000);
    BOOST_TEST(xlens::test::error_message([&] { const xlens::gguf_file f(path); }) ==
               path.string() +
                   ": value of key 'k' at byte 45: expected 150000000 more bytes, got "
                   "99999955 before the limit of a header, 100000000 bytes");
}
