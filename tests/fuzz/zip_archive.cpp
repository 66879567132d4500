// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer target: any bytes as a ZIP archive, and its entries as arrays of NumPy. See fuzz.hpp
// for how the seeds are written.
#include <fuzz/fuzz.hpp>
#include <support/zip_bytes.hpp>

#include <xlens/io/npz_file.hpp>
#include <xlens/io/zip_archive.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    using namespace std::string_literals;
    const std::string array =
        "\x93NUMPY\x01\0\x36\0{'descr': '<f4', 'fortran_order': False, "
        "'shape': (1,), }\0\0\0\0"s;
    xlens::test::write_seeds({
        {"empty", xlens::test::zip_bytes{}()},
        {"two",
         xlens::test::zip_bytes{{{"a/data.pkl", "\x80\x02}."}, {"a/byteorder", "little"}}}()},
        {"array", xlens::test::zip_bytes{{{"x.npy", array}}}()},
    });
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const xlens::test::memory_file file(data, size);
    xlens::test::accept_error([&] {
        const xlens::zip_archive zip(file.path());
        for (const auto& named : zip.entries()) {
            const auto& entry = named.second;  // OpenMP's clang++ captures no structured binding
            if (entry.bytes.size() > size) { std::abort(); }
            xlens::test::accept_error(
                [&] { static_cast<void>(xlens::parse_npy("fuzz", "x", entry.bytes)); });
        }
    });
    return 0;
}
