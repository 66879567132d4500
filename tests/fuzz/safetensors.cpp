// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer target: any bytes as a safetensors file. See fuzz.hpp for how the seeds are written.
#include <fuzz/fuzz.hpp>
#include <support/safetensors_bytes.hpp>

#include <xlens/io/safetensors_parse.hpp>

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    using xlens::test::safetensors_bytes;
    xlens::test::write_seeds({
        {"empty", safetensors_bytes("{}", 0)},
        {"one",
         safetensors_bytes(R"({"t":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})", 24)},
        {"three", safetensors_bytes(R"( {"__metadata__":{"format":"pt"},)"
                                    R"("a":{"dtype":"BF16","shape":[0],"data_offsets":[4,4]},)"
                                    R"("b":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]},)"
                                    R"("c":{"dtype":"F16","shape":[],"data_offsets":[4,6]}}  )",
                                    6)},
    });
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const xlens::test::exact_copy file(data, size);
    xlens::test::accept_error([&] {
        const auto contents = xlens::parse_safetensors("fuzz", file.bytes());
        std::size_t bytes = 0;
        for (const auto& [name, tensor] : contents.tensors) {
            xlens::test::check_inside(tensor, file.bytes());
            bytes += tensor.bytes;
        }
        if (bytes > size) { std::abort(); }  // two tensors share bytes
    });
    return 0;
}
