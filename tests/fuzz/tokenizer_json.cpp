// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer target: any bytes as a tokenizer.json, and texts cut by it. See fuzz.hpp for how the
// seeds are written.
#include <fuzz/cut_texts.hpp>
#include <fuzz/fuzz.hpp>

#include <xlens/text/tokenizer_json.hpp>

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    xlens::test::write_seeds({
        {"bpe",
         R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},)"
         R"("normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace",)"
         R"("pattern":{"Regex":" +"},"content":"a"}]},"pre_tokenizer":{"type":"Split",)"
         R"("pattern":{"Regex":"a|b+"},"behavior":"Isolated","invert":false},)"
         R"("added_tokens":[{"id":3,"content":"<s>","special":true}]})"},
        {"bytes", R"({"model":{"type":"BPE","vocab":{"a":0,"Ġ":1},"merges":[["a","Ġ"]]},)"
                  R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true},)"
                  R"("decoder":{"type":"ByteLevel"}})"},
        {"unigram", R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["▁a",-1],)"
                    R"(["b",-2.5]]},"pre_tokenizer":{"type":"Metaspace","replacement":"▁",)"
                    R"("prepend_scheme":"always"},"decoder":{"type":"Metaspace"}})"},
        {"wordpiece", R"({"model":{"type":"WordPiece","unk_token":"[UNK]","vocab":{"[UNK]":0,)"
                      R"("a":1,"##b":2},"continuing_subword_prefix":"##"},)"
                      R"("normalizer":{"type":"BertNormalizer","lowercase":true},)"
                      R"("pre_tokenizer":{"type":"BertPreTokenizer"}})"},
    });
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const xlens::test::memory_file file(data, size);
    xlens::test::accept_error(
        [&] { xlens::test::cut_texts(xlens::load_tokenizer_json(file.path())); });
    return 0;
}
