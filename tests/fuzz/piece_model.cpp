// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer target: any bytes as a SentencePiece model, and texts cut by it. See fuzz.hpp for how
// the seeds are written.
#include <fuzz/cut_texts.hpp>
#include <fuzz/fuzz.hpp>
#include <support/piece_bytes.hpp>

#include <xlens/text/folder_tokenizer.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    using namespace xlens::test;
    const std::string pieces = piece_bytes("<unk>", 0, 2) + piece_bytes("<s>", 0, 3) +
                               piece_bytes("</s>", 0, 3) + piece_bytes("\u2581a", -1, 1) +
                               piece_bytes("b", -2, 1) + piece_bytes("ab", -1.5F, 4) +
                               piece_bytes("<0x0A>", 0, 6);
    write_seeds({
        {"unigram", pieces},
        {"bpe", pieces + wire_bytes(2, wire_number(3, 2) + wire_number(35, 1))},
        {"spaces", pieces + wire_bytes(3, wire_bytes(1, "nmt_nfkc") + wire_number(3, 0))},
    });
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const xlens::test::memory_file file(data, size);
    xlens::test::accept_error(
        [&] { xlens::test::cut_texts(xlens::load_piece_model(file.path())); });
    return 0;
}
