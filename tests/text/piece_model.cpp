// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE piece_model
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/golden_bytes.hpp>
#include <support/piece_bytes.hpp>

#include <xlens/text/piece_model.hpp>
#include <xlens/text/piece_tokenizer.hpp>

#include <filesystem>
#include <random>
#include <string>

namespace {

using xlens::test::error_message;
using xlens::test::piece_bytes;
using xlens::test::wire_bytes;
using xlens::test::wire_number;

std::string golden(const std::string& name) {
    const auto bytes = xlens::test::golden_bytes(std::filesystem::path("tokenizers") / name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string message(const std::string& bytes) {
    return error_message([&] { (void)xlens::parse_piece_model(bytes, "m"); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(fields_and_their_defaults) {
    const auto model = xlens::parse_piece_model(
        piece_bytes("<unk>", 0, 2) + piece_bytes("a", -1.5F, 1) + wire_bytes(9, "x"), "m");
    BOOST_TEST(model.pieces.size() == 2U);
    BOOST_TEST(model.pieces[1].text == "a");
    BOOST_TEST(model.pieces[1].score == -1.5F);
    BOOST_TEST(model.pieces[0].type == 2);
    BOOST_TEST(model.model_type == 1U);
    BOOST_TEST(model.adds_space);
    BOOST_TEST(model.removes_spaces);
    BOOST_TEST(!model.byte_fallback);
    const auto bpe = xlens::parse_piece_model(golden("spm_bpe.model"), "m");
    BOOST_TEST(bpe.model_type == 2U);
    BOOST_TEST(bpe.byte_fallback);
    BOOST_TEST(!bpe.removes_spaces);
    BOOST_TEST(bpe.pieces.size() == 1000U);
    BOOST_TEST(bpe.charsmap.empty());
    BOOST_TEST(!xlens::parse_piece_model(golden("spm_unigram.model"), "m").charsmap.empty());
}

BOOST_AUTO_TEST_CASE(each_mistake_is_named) {
    BOOST_TEST(message("") == "m: expected a SentencePiece model, got no pieces");
    BOOST_TEST(message("\x0A\x05yy") == "m: byte 2: expected 5 more bytes, got 2");
    BOOST_TEST(message("\x0A") == "m: byte 1: a number without end");
    BOOST_TEST(message(std::string(11, '\xFF')) == "m: byte 10: a number of more than 10 bytes");
    BOOST_TEST(message("\x0B") == "m: byte 1: wire type 3 of field 1, expected 0, 1, 2 or 5");
    BOOST_TEST(message(std::string(2, '\0')) == "m: byte 1: field 0");
    BOOST_TEST(message(piece_bytes("", 0, 1)) ==
               "m: pieces[0]: expected a piece with text, a finite score and a type of 1 to 6, got "
               "no text, 0, 1");
    BOOST_TEST(message(piece_bytes("a", 0, 7)).ends_with("got a, 0, 7"));
    BOOST_TEST(message(piece_bytes("a", 0, 1) + wire_bytes(2, wire_number(3, 3))) ==
               "m: trainer_spec.model_type: expected 1 (unigram) or 2 (BPE), got 3");
    const auto parts = [](const std::string& bytes) {
        return error_message(
            [&] { (void)xlens::make_piece_parts(xlens::parse_piece_model(bytes, "m"), "m"); });
    };
    BOOST_TEST(parts(piece_bytes("a", 0, 1)) ==
               "m: expected a piece of the type unknown, got none");
    BOOST_TEST(parts(piece_bytes("a", 0, 2) + piece_bytes("a", 0, 1)) ==
               "m: pieces[1]: a is there already");
    BOOST_TEST(parts(piece_bytes("a", 0, 2) + piece_bytes("<0x1>", 0, 6)) ==
               "m: expected a byte token <0x00> to <0xFF>, got <0x1>");
}

BOOST_AUTO_TEST_CASE(broken_files_are_errors_or_models) {
    std::mt19937 random(3);  // NOLINT: the same every time
    for (const std::string name : {"spm_unigram.model", "spm_bpe.model"}) {
        const std::string sound = golden(name);
        for (int round = 0; round < 300; ++round) {
            std::string bytes =
                sound.substr(0, round % 3 == 0 ? random() % sound.size() : sound.size());
            for (int flip = 0; flip < 1 + round % 20 && !bytes.empty(); ++flip) {
                bytes[random() % bytes.size()] ^= static_cast<char>(1U << random() % 8);
            }
            (void)error_message([&] {
                const xlens::tokenizer tok(
                    xlens::make_piece_parts(xlens::parse_piece_model(bytes, "m"), "m"));
                (void)tok.encode("\xEF\xBC\xA1 caf\xC3\xA9 \xE2\x80\xA6 <s> 123");
            });
        }
    }
}
