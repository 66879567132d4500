// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE formats
#include <boost/test/unit_test.hpp>

#include <xlens/storage/formats.hpp>

#include "support/golden_bytes.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace {

struct golden {
    std::vector<std::byte> blocks;
    std::vector<std::uint32_t> expected;  // bits of the floats
};

template <class F>
golden split_golden() {
    const auto all = xlens::test::golden_bytes("formats/" + std::string(F::name) + ".bin");
    const std::size_t count = all.size() / (F::bytes + 4 * F::block);
    BOOST_REQUIRE(count > 0);
    BOOST_REQUIRE_EQUAL(count * (F::bytes + 4 * F::block), all.size());
    golden out{{all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count * F::bytes)},
               std::vector<std::uint32_t>(count * F::block)};
    std::memcpy(out.expected.data(), all.data() + count * F::bytes, 4 * out.expected.size());
    return out;
}

/// `nan_is_nan`: which NaN does not matter.
void check_bits(const std::vector<float>& got, const std::vector<std::uint32_t>& expected,
                bool nan_is_nan = false) {
    BOOST_REQUIRE_EQUAL(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (nan_is_nan && std::isnan(got[i]) && std::isnan(std::bit_cast<float>(expected[i]))) {
            continue;
        }
        BOOST_REQUIRE_MESSAGE(std::bit_cast<std::uint32_t>(got[i]) == expected[i],
                              "element " << i << ": got " << got[i] << ", expected "
                                         << std::bit_cast<float>(expected[i]));
    }
}

/// Of f8 NaN is one value; F16C's instruction makes a signalling NaN of f16 a quiet one.
template <class F>
constexpr bool any_nan = F::name.starts_with("f8") || F::name == "f16";

/// All but f32, which is as it is.
constexpr std::span<const xlens::format_id> stored_with_golden =
    std::span(xlens::all_formats).subspan(1);

}  // namespace

BOOST_AUTO_TEST_CASE(rows_have_the_bits_of_the_gguf_package_at_any_alignment) {
    for (const auto id : stored_with_golden) {
        xlens::visit_format(id, []<class F>(F) {
            BOOST_TEST_CONTEXT(F::name) {
                const golden g = split_golden<F>();
                for (std::size_t shift = 0; shift < 16; ++shift) {
                    std::vector<std::byte> moved(shift);
                    moved.insert(moved.end(), g.blocks.begin(), g.blocks.end());
                    std::vector<float> out(g.expected.size());
                    xlens::decode_row<F>(moved.data() + shift, out);
                    check_bits(out, g.expected, any_nan<F>);
                }
            }
        });
    }
}

BOOST_AUTO_TEST_CASE(one_block_decodes_like_its_place_in_a_row) {
    for (const auto id : stored_with_golden) {
        xlens::visit_format(id, []<class F>(F) {
            BOOST_TEST_CONTEXT(F::name) {
                const golden g = split_golden<F>();
                std::vector<float> out(g.expected.size());
                for (std::size_t b = 0; b * F::bytes < g.blocks.size(); ++b) {
                    xlens::decode_row<F>(g.blocks.data() + b * F::bytes,
                                         {out.data() + b * F::block, F::block});
                }
                check_bits(out, g.expected, any_nan<F>);
            }
        });
    }
}

// IEEE 754 section 3.4, written with ldexp instead of with bits.
BOOST_AUTO_TEST_CASE(every_half_converts_exactly) {
    for (std::uint32_t pattern = 0; pattern <= 0xFFFF; ++pattern) {
        const float got = xlens::half_to_float(static_cast<std::uint16_t>(pattern));
        const int exponent = static_cast<int>((pattern >> 10U) & 0x1FU);
        const int fraction = static_cast<int>(pattern & 0x3FFU);
        BOOST_REQUIRE_EQUAL(std::signbit(got), pattern >= 0x8000U);
        if (exponent == 31 && fraction != 0) {
            BOOST_REQUIRE(std::isnan(got));
        } else if (exponent == 31) {
            BOOST_REQUIRE(std::isinf(got));
        } else {
            const int significand = exponent == 0 ? fraction : fraction + 1024;
            const double magnitude = std::ldexp(significand, std::max(exponent, 1) - 25);
            BOOST_REQUIRE_EQUAL(std::fabs(static_cast<double>(got)), magnitude);
        }
    }
}

BOOST_AUTO_TEST_CASE(f32_keeps_every_bit) {
    const std::vector<std::uint32_t> bits{0U,          0x80000000U, 1U,          0x7F800001U,
                                          0xFFC12345U, 0x7F800000U, 0x3F800000U, 0x00800000U};
    std::vector<std::byte> bytes(4 * bits.size() + 3);
    std::memcpy(bytes.data() + 3, bits.data(), 4 * bits.size());
    std::vector<float> out(bits.size());
    xlens::decode_row<xlens::f32>(bytes.data() + 3, out);
    check_bits(out, bits);
}

BOOST_AUTO_TEST_CASE(lengths_around_the_chunk_of_the_float_formats) {
    const golden g = split_golden<xlens::f16>();
    for (std::size_t n = 0; n < 100; ++n) {
        std::vector<float> out(n + 1, 7.0F);
        xlens::decode_row<xlens::f16>(g.blocks.data(), std::span(out).first(n));
        BOOST_REQUIRE_EQUAL(out[n], 7.0F);
        out.pop_back();
        check_bits(out, {g.expected.begin(), g.expected.begin() + static_cast<std::ptrdiff_t>(n)},
                   any_nan<xlens::f16>);
    }
}

// Sizes of ggml's table of types (gguf.GGML_QUANT_SIZES).
BOOST_AUTO_TEST_CASE(names_and_sizes) {
    struct row {
        xlens::format_id id;
        const char* name;
        std::size_t block, bytes;
    };
    using enum xlens::format_id;
    const std::array table{row{f32, "f32", 1, 4},
                           row{f16, "f16", 1, 2},
                           row{bf16, "bf16", 1, 2},
                           row{q8_0, "q8_0", 32, 34},
                           row{q4_0, "q4_0", 32, 18},
                           row{q4_1, "q4_1", 32, 20},
                           row{q5_0, "q5_0", 32, 22},
                           row{q5_1, "q5_1", 32, 24},
                           row{q4_k, "q4_k", 256, 144},
                           row{q5_k, "q5_k", 256, 176},
                           row{q6_k, "q6_k", 256, 210},
                           row{q2_k, "q2_k", 256, 84},
                           row{q3_k, "q3_k", 256, 110},
                           row{iq4_nl, "iq4_nl", 32, 18},
                           row{iq4_xs, "iq4_xs", 256, 136},
                           row{mxfp4, "mxfp4", 32, 17},
                           row{iq3_xxs, "iq3_xxs", 256, 98},
                           row{iq3_s, "iq3_s", 256, 110},
                           row{iq2_xxs, "iq2_xxs", 256, 66},
                           row{iq2_xs, "iq2_xs", 256, 74},
                           row{iq2_s, "iq2_s", 256, 82},
                           row{iq1_s, "iq1_s", 256, 50},
                           row{iq1_m, "iq1_m", 256, 56},
                           row{tq1_0, "tq1_0", 256, 54},
                           row{tq2_0, "tq2_0", 256, 66},
                           row{nvfp4, "nvfp4", 64, 36},
                           row{f8_e4m3, "f8_e4m3", 1, 1},
                           row{f8_e5m2, "f8_e5m2", 1, 1},
                           row{f8_e4m3_scaled, "f8_e4m3_scaled", 32, 36}};
    BOOST_TEST(table.size() == xlens::all_formats.size());
    for (const auto& r : table) {
        BOOST_TEST(xlens::format_name(r.id) == r.name);
        BOOST_TEST(xlens::format_block(r.id) == r.block);
        BOOST_TEST(xlens::format_bytes(r.id) == r.bytes);
        BOOST_TEST((xlens::format_from_name(r.name) == r.id));
    }
    BOOST_TEST(!xlens::format_from_name("q8_1").has_value());
    BOOST_TEST(!xlens::format_from_name("").has_value());
    BOOST_CHECK_THROW((void)xlens::format_name(static_cast<xlens::format_id>(99)), xlens::error);
}
