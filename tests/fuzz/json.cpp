// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer target: any bytes as a JSON text. What is accepted must survive being written and read
// again. See fuzz.hpp for how the seeds are written.
#include <fuzz/fuzz.hpp>

#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/json/writer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

/// The whole value, as JSON.
std::string written(const xlens::json_value& value) {
    std::string out;
    if (value.is_list()) {
        for (const auto& item : value.list()) { out += (out.empty() ? "" : ",") + written(item); }
        return "[" + out + "]";
    }
    if (!value.is_object()) { return value.text(); }
    for (const auto& [key, member] : value.object()) {
        if (!out.empty()) { out += ","; }
        xlens::append_json_string(out, key);
        out += ":" + written(member);
    }
    return "{" + out + "}";
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    xlens::test::write_seeds({
        {"object", R"({"a":[1,-2,0.5e3,true,false,null],"b":{"c":"x\u00e9\n"}})"},
        {"config", R"({"model_type":"llama","hidden_size":576,"rope_scaling":{"factor":32.0}})"},
        {"deep", "[[[[[[[[]]]]]]]]"},
        {"large", "[18446744073709551615,-9223372036854775808,1e308,\"\\ud83d\\ude00\"]"},
    });
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const xlens::test::exact_copy file(data, size);
    xlens::test::accept_error([&] {
        const auto json = xlens::parse_json("fuzz", file.bytes(), {.depth = 64, .values = 4096});
        const auto text = written(json);
        if (written(xlens::parse_json("again", text)) != text) { std::abort(); }
        const xlens::json_object fields("fuzz", json);
        for (const auto& item : json.object()) {
            xlens::test::accept_error([&] { static_cast<void>(fields.number(item.first, 0.0)); });
            xlens::test::accept_error(
                [&] { static_cast<void>(fields.unsigned_integer(item.first)); });
            xlens::test::accept_error([&] { static_cast<void>(fields.string(item.first)); });
            xlens::test::accept_error([&] { static_cast<void>(fields.object(item.first)); });
        }
    });
    return 0;
}
