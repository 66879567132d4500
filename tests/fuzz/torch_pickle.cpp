// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer target: any bytes as data.pkl of torch.save. See fuzz.hpp for how seeds are written.
#include <fuzz/fuzz.hpp>

#include <xlens/io/torch_pickle.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    using namespace std::string_literals;
    const std::string tensor =
        "ctorch._utils\n_rebuild_tensor_v2\nq\x01((X\x07\0\0\0storagectorch\nHalfStorage\n"
        "X\x01\0\0\0000X\x03\0\0\0cpuK\x04tQK\0K\x02K\x02\x86K\x02K\x01\x86\x89"
        "ccollections\nOrderedDict\n)RtR"s;
    xlens::test::write_seeds({
        {"empty", "\x80\x02}q\x00."s},
        {"values",
         "\x80\x02}q\x00(X\x01\0\0\0aK\x05X\x01\0\0\0b]q\x01(M\xff\xffJ\xf9\xff\xff\xff"
         "\x8a\x06\0\0\0\0\0\x01NG?\xb9\x99\x99\x99\x99\x99\x9a\x88\x89"
         "eX\x01\0\0\0ch\x01)u."s},
        {"tensor", "\x80\x02}X\x01\0\0\0Js."s},
        {"lens", "\x80\x02}X\x01\0\0\0J}K\0"s + tensor + "ss."},
    });
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const xlens::test::exact_copy file(data, size);
    xlens::test::accept_error([&] {
        const xlens::torch_pickle pickle("fuzz", file.bytes());
        for (const auto& [key, value] : pickle.root().members) {
            if (key->kind_name().empty() || value->kind_name().empty()) { std::abort(); }
            if (pickle.root().find(key->text) == nullptr &&
                key->is == xlens::pickle_value::kind::text) {
                std::abort();
            }
        }
    });
    return 0;
}
