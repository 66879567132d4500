// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer target: any bytes as a GGUF file. See fuzz.hpp for how the seeds are written.
#include <fuzz/fuzz.hpp>
#include <support/gguf_builder.hpp>

#include <xlens/io/gguf_parse.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace {

using b = xlens::test::gguf_builder;

std::string every_type() {
    b file;
    file.text("general.architecture", "llama").key("general.alignment", b::u32, 32U);
    file.key("a", b::u8, std::uint8_t{1}).key("b", b::i8, std::int8_t{-1});
    file.key("c", b::u16, std::uint16_t{1}).key("d", b::i16, std::int16_t{-1});
    file.key("e", b::i32, std::int32_t{-1}).key("f", b::f32, 1.0F).key("g", b::f64, 1.0);
    file.key("h", b::u64, std::uint64_t{1}).key("i", b::i64, std::int64_t{-1});
    file.key("j", b::boolean, std::uint8_t{1}).key("split.count", b::u16, std::uint16_t{1});
    file.texts("k", {"a", "", "bc"}).numbers<float>("l", b::f32, {1, 2});
    return file.bytes();
}
std::string tensors() {
    b file;
    file.tensor("token_embd.weight", {4, 2}, 0, 0).tensor("q4_1", {32, 1}, 3, 32);
    return file.tensor("empty", {0}, 1, 64).tensor("scalar", {}, 30, 64).data(66).bytes();
}
std::string aligned() {
    b file;
    file.alignment = 8;
    file.version = 2;
    file.key("general.alignment", b::u32, 8U).tensor("t", {1, 1, 1, 3}, 0, 0);
    return file.data(12).bytes();
}

void read_value(const xlens::gguf_value& value) {
    static_cast<void>(xlens::describe(value));
    if (value.type == xlens::gguf_type::string) {
        xlens::byte_reader in("fuzz", value.bytes, value.bytes.size());
        for (std::uint64_t i = 0; i < value.count; ++i) { static_cast<void>(in.string("value")); }
        return;
    }
    const auto stride = xlens::gguf_type_bytes(value.type);
    for (std::size_t at = 0; at < value.bytes.size(); at += stride) {
        const auto* from = value.bytes.data() + at;
        static_cast<void>(xlens::load_gguf_number(value.type, from));
        static_cast<void>(xlens::load_gguf_integer<std::int64_t>(value.type, from));
    }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    xlens::test::write_seeds(
        {{"types", every_type()}, {"tensors", tensors()}, {"aligned", aligned()}});
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const xlens::test::exact_copy file(data, size);
    xlens::test::accept_error([&] {
        const auto contents = xlens::parse_gguf("fuzz", file.bytes());
        for (const auto& [name, tensor] : contents.tensors) {
            xlens::test::check_inside(tensor, file.bytes());
        }
        for (const auto& [key, value] : contents.metadata) { read_value(value); }
    });
    return 0;
}
