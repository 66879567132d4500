// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE gguf
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/gguf_builder.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/io/gguf.hpp>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using xlens::test::error_message;
using xlens::test::gguf_builder;
using b = gguf_builder;

std::filesystem::path golden(const std::string& name) {
    const char* root = std::getenv("XLENS_TEST_DATA");
    BOOST_REQUIRE_MESSAGE(root != nullptr, "XLENS_TEST_DATA is not set");
    return std::filesystem::path(root) / "io" / name;
}

xlens::gguf_contents parse(const std::string& bytes) {
    return xlens::parse_gguf("m.gguf", std::as_bytes(std::span(bytes)));
}

std::vector<float> values(const xlens::stored_tensor& t) {
    std::vector<float> out(t.bytes / xlens::format_bytes(t.format) * xlens::format_block(t.format));
    xlens::visit_format(t.format,
                        [&]<class F>(F) { xlens::decode_row<F>(t.data, std::span(out)); });
    return out;
}

std::vector<float> counting(float first, std::size_t count) {
    std::vector<float> out;
    for (std::size_t i = 0; i < count; ++i) { out.push_back(first + static_cast<float>(i)); }
    return out;
}

using shape = std::vector<std::size_t>;

/// A file with one key of each kind, two tensors and padding, for what is done to every byte.
std::string sample() {
    gguf_builder file;
    file.text("general.architecture", "llama").key("general.alignment", b::u32, 32U);
    file.texts("names", {"a", "bc", ""}).numbers<float>("floats", b::f32, {1.0F, 2.0F});
    file.key("flag", b::boolean, std::uint8_t{1}).key("big", b::i64, std::int64_t{-1});
    file.tensor("t", {4, 2}, 0, 0).tensor("u", {32}, 3, 32).data(64);
    return file.bytes();
}

}  // namespace

BOOST_AUTO_TEST_CASE(values_written_by_gguf_py) {
    const xlens::gguf_file f(golden("values.gguf"));
    BOOST_TEST(f.string("general.architecture") == "llama");
    BOOST_TEST(f.unsigned_integer("value.uint8") == 200U);
    BOOST_TEST(f.number("value.int8") == -100.0);
    BOOST_TEST(f.unsigned_integer("value.uint16") == 60000U);
    BOOST_TEST(f.number("value.int16") == -30000.0);
    BOOST_TEST(f.unsigned_integer("value.uint32") == 4000000000U);
    BOOST_TEST(f.number("value.int32") == -2000000000.0);
    BOOST_TEST(f.unsigned_integer("value.uint64") == std::numeric_limits<std::uint64_t>::max());
    BOOST_TEST(f.number("value.int64") == -9223372036854775808.0);
    BOOST_TEST(f.number("value.float32") == static_cast<double>(0.1F));
    BOOST_TEST(f.number("value.float64") == 0.1);
    BOOST_TEST(f.boolean("value.bool") == true);
    BOOST_TEST(f.string("value.string") == "na\xc3\xafve\n");
    BOOST_TEST(f.strings("value.strings") == (std::vector<std::string>{"a", "", "gr\xc3\xbcn"}),
               boost::test_tools::per_element());
    BOOST_TEST(f.numbers("value.floats") == (std::vector<float>{0.5F, -1.25F}),
               boost::test_tools::per_element());
    BOOST_TEST(f.integers("value.integers") == (std::vector<std::int64_t>{3, -4, 5}),
               boost::test_tools::per_element());
    BOOST_TEST(f.numbers("value.integers") == (std::vector<float>{3, -4, 5}),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(tensors_written_by_gguf_py) {
    const xlens::gguf_file f(golden("values.gguf"));
    BOOST_TEST(f.tensors().size() == 5U);
    BOOST_TEST(f.find("nothing") == nullptr);
    const auto check = [&](const char* name, xlens::format_id format, const shape& s,
                           const std::vector<float>& expected, float tolerance) {
        BOOST_TEST_CONTEXT(name) {
            const auto* t = f.find(name);
            BOOST_REQUIRE(t != nullptr);
            BOOST_TEST(t->name == name);
            BOOST_TEST(t->file == f.name());
            BOOST_TEST((t->format == format));
            BOOST_TEST(t->shape == s, boost::test_tools::per_element());
            const auto got = values(*t);
            BOOST_REQUIRE(got.size() == expected.size());
            for (std::size_t i = 0; i < got.size(); ++i) {
                BOOST_TEST(std::abs(got[i] - expected[i]) <= tolerance);
            }
        }
    };
    using enum xlens::format_id;
    check("f32", f32, {2, 3}, counting(0, 6), 0);
    check("f16", f16, {4, 1, 1}, counting(10, 4), 0);
    check("q4_1", q4_1, {2, 32}, counting(0, 64), 1.1F);  // a step is 31 / 15
    check("q8_0", q8_0, {2, 32}, counting(0, 64), 0.3F);  // a step is 63 / 127
    check("bf16", bf16, {2, 32}, counting(0, 64), 0);
}

BOOST_AUTO_TEST_CASE(getters_name_the_key_and_both_types) {
    const xlens::gguf_file f(golden("values.gguf"));
    const auto says = [&](auto&& get, const std::string& message) {
        BOOST_TEST(error_message(get) == f.name() + ": key " + message);
    };
    says([&] { (void)f.string("value.uint8"); }, "'value.uint8': expected a string, got uint8 200");
    says([&] { (void)f.string("value.strings"); },
         "'value.strings': expected a string, got array of string");
    says([&] { (void)f.string("none\n"); }, "'none\\x0a': expected a string, got no such key");
    says([&] { (void)f.unsigned_integer("value.int8"); },
         "'value.int8': expected an integer of at least 0, got int8 -100");
    says([&] { (void)f.unsigned_integer("value.string"); },
         "'value.string': expected an integer of at least 0, got string");
    says([&] { (void)f.unsigned_integer("value.integers"); },
         "'value.integers': expected an integer of at least 0, got array of int32");
    says([&] { (void)f.unsigned_integer("value.float64"); },
         "'value.float64': expected an integer of at least 0, got float64 0.1");
    says([&] { (void)f.unsigned_integer("value.bool"); },
         "'value.bool': expected an integer of at least 0, got bool");
    says([&] { (void)f.number("value.bool"); }, "'value.bool': expected a finite number, got bool");
    says([&] { (void)f.number("value.floats"); },
         "'value.floats': expected a finite number, got array of float32");
    says([&] { (void)f.boolean("value.uint8"); }, "'value.uint8': expected bool, got uint8 200");
    says([&] { (void)f.strings("value.string"); },
         "'value.string': expected array of string, got string");
    says([&] { (void)f.strings("value.floats"); },
         "'value.floats': expected array of string, got array of float32");
    says([&] { (void)f.numbers("value.strings"); },
         "'value.strings': expected array of numbers, got array of string");
    says([&] { (void)f.numbers("value.float32"); },
         "'value.float32': expected array of numbers, got float32 0.1");
    says([&] { (void)f.integers("value.floats"); },
         "'value.floats': expected array of integers below 2^63, got array of float32");
}

BOOST_AUTO_TEST_CASE(fallbacks_stand_for_missing_keys_only) {
    const xlens::gguf_file f(golden("values.gguf"));
    BOOST_TEST(f.has("value.uint8"));
    BOOST_TEST(!f.has("none"));
    BOOST_TEST(f.string("none", "else") == "else");
    BOOST_TEST(f.unsigned_integer("none", 7) == 7U);
    BOOST_TEST(f.number("none", 0.5) == 0.5);
    BOOST_TEST(f.boolean("none", true));
    BOOST_TEST(f.unsigned_integer("value.uint8", 7) == 200U);
    BOOST_TEST(error_message([&] { (void)f.unsigned_integer("value.string", 7); }) ==
               f.name() + ": key 'value.string': expected an integer of at least 0, got string");
}

BOOST_AUTO_TEST_CASE(numbers_must_be_finite_and_fit) {
    const xlens::test::temporary_directory folder;
    gguf_builder file;
    file.key("nan", b::f32, std::numeric_limits<float>::quiet_NaN());
    file.key("inf", b::f64, std::numeric_limits<double>::infinity());
    file.numbers<std::uint64_t>("big", b::u64, {std::uint64_t{1} << 63U});
    const xlens::gguf_file f(folder.write("m.gguf", file.bytes()));
    BOOST_TEST(error_message([&] { (void)f.number("nan"); }) ==
               f.name() + ": key 'nan': expected a finite number, got float32 nan");
    BOOST_TEST(error_message([&] { (void)f.number("inf"); }) ==
               f.name() + ": key 'inf': expected a finite number, got float64 inf");
    BOOST_TEST(error_message([&] { (void)f.integers("big"); }) ==
               f.name() +
                   ": key 'big': expected array of integers below 2^63, got array of uint64");
}

BOOST_AUTO_TEST_CASE(odd_but_good_files) {
    BOOST_TEST(parse(gguf_builder().bytes()).tensors.empty());
    gguf_builder second;
    second.version = 2;
    BOOST_TEST(parse(second.tensor("t", {2}, 0, 0).data(8).bytes()).tensors.size() == 1U);

    // A scalar, a tensor without elements in the middle, one whose last padding is missing.
    gguf_builder odd;
    odd.tensor("scalar", {}, 0, 0).tensor("empty", {5, 0}, 0, 32).tensor("last", {3}, 0, 32);
    const auto bytes = odd.data(32).data("\x01\x02\x03\x04").data(8).bytes();
    const auto tensors = parse(bytes).tensors;
    BOOST_TEST(tensors.at("scalar").shape.empty());
    BOOST_TEST(tensors.at("scalar").bytes == 4U);
    BOOST_TEST(tensors.at("empty").shape == (shape{0, 5}), boost::test_tools::per_element());
    BOOST_TEST(tensors.at("empty").bytes == 0U);
    BOOST_TEST(static_cast<int>(tensors.at("last").data[3]) == 4);

    BOOST_TEST(parse(gguf_builder().tensor("t", {1}, 0, 0).data(32).bytes()).tensors.size() == 1U);
    BOOST_TEST(parse(gguf_builder().key("split.count", b::u16, std::uint16_t{1}).bytes())
                   .metadata.size() == 1U);
    const std::string longest(63, 'n');
    BOOST_TEST(parse(gguf_builder().tensor(longest, {1, 1, 1, 1}, 0, 0).data(4).bytes())
                   .tensors.contains(longest));
}

BOOST_AUTO_TEST_CASE(alignment_of_the_file) {
    for (const std::uint32_t alignment : {1U, 8U, 64U, 1U << 20U}) {
        gguf_builder file;
        file.alignment = alignment;
        file.key("general.alignment", b::u32, alignment);
        const std::uint64_t second = (4 + alignment - 1) / alignment * alignment;
        file.tensor("t", {1}, 0, 0).tensor("u", {1}, 0, second);
        const auto bytes = file.data(second).data("abcd").bytes();
        const auto* u = parse(bytes).tensors.at("u").data;
        BOOST_TEST(std::string(reinterpret_cast<const char*>(u), 4) == "abcd");
    }
}

BOOST_AUTO_TEST_CASE(a_moved_file_keeps_its_tensors) {
    xlens::gguf_file first(golden("values.gguf"));
    const auto* before = first.find("f32")->data;
    const xlens::gguf_file second(std::move(first));
    BOOST_TEST(second.find("f32")->data == before);
    BOOST_TEST(values(*second.find("f32")) == counting(0, 6), boost::test_tools::per_element());
    BOOST_TEST(second.string("value.string") == "na\xc3\xafve\n");
}

BOOST_AUTO_TEST_CASE(opening_does_not_read_the_data) {
    // 64 GiB that no disk holds: a sparse file opens, since nothing but its header is read.
    const std::uint64_t bytes = std::uint64_t{1} << 36U;
    const xlens::test::temporary_directory folder;
    const auto path = folder.write("m.gguf", gguf_builder().tensor("t", {bytes / 4}, 0, 0).bytes());
    const auto header = std::filesystem::file_size(path);
    std::filesystem::resize_file(path, header + bytes);
    const xlens::gguf_file f(path);
    BOOST_TEST(f.find("t")->bytes == bytes);
    BOOST_TEST(f.bytes().size() == header + bytes);
}

BOOST_AUTO_TEST_CASE(every_prefix_is_refused) {
    const auto bytes = sample();
    BOOST_TEST(parse(bytes).tensors.size() == 2U);
    // The last tensor ends 12 bytes before the file does: what is cut there is padding.
    for (std::size_t size = 0; size < bytes.size() - 12; ++size) {
        const auto message = error_message([&] { parse(bytes.substr(0, size)); });
        BOOST_TEST(message.starts_with("m.gguf: "), size << ": " << message);
    }
    for (std::size_t size = bytes.size() - 12; size < bytes.size(); ++size) {
        BOOST_TEST(parse(bytes.substr(0, size)).tensors.size() == 2U);
    }
}

BOOST_AUTO_TEST_CASE(every_changed_byte_is_refused_or_stays_in_the_file) {
    const auto good = sample();
    std::size_t refused = 0;
    for (std::size_t at = 0; at < good.size() - 64; ++at) {
        for (const char value : {'\x00', '\x01', '\x7f', '\x80', '\xff'}) {
            auto bytes = good;
            bytes[at] = value;
            const auto message = error_message([&] {
                for (const auto& [name, t] : parse(bytes).tensors) {
                    const auto begin = reinterpret_cast<const char*>(t.data) - bytes.data();
                    BOOST_TEST(begin >= 0);
                    BOOST_TEST(static_cast<std::size_t>(begin) + t.bytes <= bytes.size());
                }
            });
            if (message == "(no error)") { continue; }
            ++refused;
            BOOST_TEST(message.starts_with("m.gguf: "), message);
            BOOST_TEST(message.find('\n') == std::string::npos, message);
        }
    }
    BOOST_TEST(refused > good.size());
}
