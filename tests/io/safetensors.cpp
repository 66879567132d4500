// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE safetensors
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/safetensors_bytes.hpp>

#include <xlens/io/safetensors.hpp>

#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using xlens::test::error_message;
using xlens::test::safetensors_bytes;

std::filesystem::path golden(const std::string& name) {
    const char* root = std::getenv("XLENS_TEST_DATA");
    BOOST_REQUIRE_MESSAGE(root != nullptr, "XLENS_TEST_DATA is not set");
    return std::filesystem::path(root) / "io" / name;
}

xlens::safetensors_contents parse(const std::string& bytes) {
    return xlens::parse_safetensors("m.safetensors", std::as_bytes(std::span(bytes)));
}

std::vector<float> values(const xlens::stored_tensor& t) {
    std::vector<float> out(t.bytes / xlens::format_bytes(t.format));
    xlens::visit_format(t.format,
                        [&]<class F>(F) { xlens::decode_row<F>(t.data, std::span(out)); });
    return out;
}

using shape = std::vector<std::size_t>;

const std::string two_tensors = R"({"__metadata__":{"format":"pt"},)"
                                R"("b":{"dtype":"F16","shape":[2,2],"data_offsets":[12,20]},)"
                                R"("a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})";

}  // namespace

BOOST_AUTO_TEST_CASE(written_by_the_python_package) {
    const xlens::safetensors_file f(golden("values.safetensors"));
    BOOST_TEST(f.tensors().size() == 5U);
    BOOST_TEST(f.find("nothing") == nullptr);
    const auto check = [&](const char* name, xlens::format_id format, const shape& s,
                           const std::vector<float>& expected) {
        BOOST_TEST_CONTEXT(name) {
            const auto* t = f.find(name);
            BOOST_REQUIRE(t != nullptr);
            BOOST_TEST(t->name == name);
            BOOST_TEST(t->file == f.name());
            BOOST_TEST((t->format == format));
            BOOST_TEST(t->shape == s, boost::test_tools::per_element());
            BOOST_TEST(values(*t) == expected, boost::test_tools::per_element());
        }
    };
    using enum xlens::format_id;
    check("f32", f32, {2, 3}, {0, 1, 2, 3, 4, 5});
    check("f16", f16, {4, 1, 1}, {10, 11, 12, 13});
    check("bf16", bf16, {3}, {20, 21, 22});
    check("scalar", f32, {}, {7});
    check("empty", f32, {0, 5}, {});
    BOOST_TEST(f.skipped().size() == 2U);
    BOOST_TEST(f.skipped().at("attn.bias") == "BOOL");
    BOOST_TEST(f.skipped().at("position_ids") == "I64");
    BOOST_TEST(f.metadata().at("format") == "pt");
    BOOST_TEST(f.metadata().at("note") == "na\xc3\xafve");
}

BOOST_AUTO_TEST_CASE(white_space_around_the_header) {
    for (const std::string before : {"", " ", "\n\t "}) {
        for (const std::string after : {"", " ", "       \r\n"}) {
            const auto bytes = safetensors_bytes(before + two_tensors + after, 20);
            BOOST_TEST(parse(bytes).tensors.size() == 2U);
        }
    }
}

BOOST_AUTO_TEST_CASE(files_without_data) {
    BOOST_TEST(parse(safetensors_bytes("{}", 0)).tensors.empty());
    const auto empty = R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)"
                       R"("b":{"dtype":"BF16","shape":[3,0],"data_offsets":[0,0]}})";
    BOOST_TEST(parse(safetensors_bytes(empty, 0)).tensors.size() == 2U);
}

BOOST_AUTO_TEST_CASE(an_empty_tensor_between_two_others) {
    const auto header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                        R"("b":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},)"
                        R"("c":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}})";
    const auto contents = parse(safetensors_bytes(header, 5));
    BOOST_TEST(contents.tensors.at("b").bytes == 0U);
    BOOST_TEST(contents.skipped.at("c") == "U8");
}

BOOST_AUTO_TEST_CASE(names_may_hold_control_characters) {
    const auto header = R"({"a\nb":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})";
    BOOST_TEST(parse(safetensors_bytes(header, 4)).tensors.contains("a\nb"));
    const auto bad = R"({"a\nb":{"dtype":"F32","shape":[],"data_offsets":[0,5]}})";
    BOOST_TEST(error_message([&] { parse(safetensors_bytes(bad, 5)); }) ==
               "m.safetensors: tensor 'a\\x0ab': expected 4 bytes for F32 and shape [], got "
               "data_offsets [0, 5]");
}

BOOST_AUTO_TEST_CASE(a_moved_file_keeps_its_tensors) {
    xlens::safetensors_file first(golden("values.safetensors"));
    const auto* before = first.find("f32")->data;
    const xlens::safetensors_file second(std::move(first));
    BOOST_TEST(second.find("f32")->data == before);
    BOOST_TEST(values(*second.find("f32"))[5] == 5.0F);
}

BOOST_AUTO_TEST_CASE(every_prefix_is_refused) {
    const auto bytes = safetensors_bytes(two_tensors, 20);
    BOOST_TEST(parse(bytes).tensors.size() == 2U);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto message = error_message([&] { parse(bytes.substr(0, size)); });
        BOOST_TEST(message.starts_with("m.safetensors: "), size << ": " << message);
    }
}

BOOST_AUTO_TEST_CASE(every_changed_byte_is_refused_or_stays_in_the_file) {
    const auto good = safetensors_bytes(two_tensors, 20);
    std::size_t refused = 0;
    for (std::size_t at = 0; at < good.size() - 20; ++at) {
        for (const char value : {'\x00', '\x01', '9', '"', '}', ' ', '\xff'}) {
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
            BOOST_TEST(message.starts_with("m.safetensors: "), message);
            BOOST_TEST(message.find('\n') == std::string::npos, message);
        }
    }
    BOOST_TEST(refused > good.size());
}
