// SPDX-License-Identifier: BSD-3-Clause
// Encodes many strings with one tokenizer, for scripts that compare it with others:
//     encode_strings TOKENIZER [--special] [--prompt] < STRINGS > IDS
//
// TOKENIZER is a .gguf file, a folder, a tokenizer.json or a SentencePiece model. STRINGS and IDS
// are rows: a little-endian 32-bit count, then as many bytes, or as many 32-bit ids. With --prompt
// the tokens around a prompt are there too. Warnings go to stderr.
#include <xlens/io/load_tokenizer.hpp>
#include <xlens/text/tokenizer.hpp>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

int main(int argc, char** argv) {
    try {
        bool special = false;
        bool prompt = false;
        for (int i = 2; i < argc; ++i) {
            special = special || std::strcmp(argv[i], "--special") == 0;
            prompt = prompt || std::strcmp(argv[i], "--prompt") == 0;
        }
        const xlens::tokenizer tok = xlens::load_tokenizer(argc > 1 ? argv[1] : "");
        for (const std::string& line : tok.warnings()) {
            std::fprintf(stderr, "%s\n", line.c_str());
        }
        std::uint32_t size = 0;
        while (std::fread(&size, sizeof size, 1, stdin) == 1) {
            std::string text(size, '\0');
            if (std::fread(text.data(), 1, size, stdin) != size) { return 2; }
            const auto ids = prompt ? tok.encode_prompt(text, {.special = special})
                                    : tok.encode(text, {.special = special});
            const auto count = static_cast<std::uint32_t>(ids.size());
            std::fwrite(&count, sizeof count, 1, stdout);
            std::fwrite(ids.data(), sizeof ids[0], ids.size(), stdout);
        }
        return 0;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "encode_strings: %s\n", e.what());
        return 2;
    }
}
