// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/model/model.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

/// What no way to run a model of a GGUF can do without: its weights come from memory, its products
/// are multiplied. Each function does that and nothing else, on all threads.
class bounds {
public:
    explicit bounds(const xlens::model& model) {
        const auto& c = model.config;
        const bool tied = !model.tensors().contains("output.weight");
        for (const auto& [name, t] : model.tensors()) {
            const std::string_view n = name;
            const auto has = [&](std::string_view part) { return n.find(part) != n.npos; };
            const bool embedding = n == "token_embd.weight";
            if (embedding && !tied) { continue; }  // of which a token reads a row
            // Of each mixture a token reads some experts.
            const std::size_t parts = has("_exps.") ? c.experts : 1;
            const std::size_t read = has("_exps.") ? c.experts_used : 1;
            m_weights.emplace_back(t.data, t.bytes / parts * read);
            if (has("ffn_down")) { m_values.emplace_back(t.data, t.bytes); }
            std::size_t elements = 1;
            for (const std::size_t n_of : t.shape) { elements *= n_of; }
            if (t.shape.size() > 1 && !embedding && n != "output.weight") {
                m_products += elements / parts * read;
            }
        }
        m_unembedding = c.vocabulary * c.width;
    }

    /// Reads the bytes that one position of a decode needs.
    void read_weights() const { read(m_weights); }
    /// ... that a search of all value vectors needs.
    void read_values() const { read(m_values); }
    /// As many multiply-adds in f32 as the products of a prompt, whose last position has logits.
    void multiply_prefill(std::size_t count) const { multiply(count * m_products + m_unembedding); }
    /// ... as those of the unembedding with this many vectors.
    void multiply_unembedding(std::size_t count) const { multiply(count * m_unembedding); }

private:
    using bytes = std::span<const std::byte>;

    static void read(const std::vector<bytes>& all) {
        constexpr std::size_t piece = std::size_t{1} << 20U;
        std::vector<bytes> pieces;
        for (bytes rest : all) {
            while (!rest.empty()) {
                const std::size_t some = std::min(piece, rest.size());
                pieces.push_back(rest.first(some));
                rest = rest.subspan(some);
            }
        }
        std::atomic<std::uint64_t> total = 0;
        // Without asking ahead: where there is nothing to compute that is a hindrance.
        xlens::parallel_for(pieces.size(), piece, [&](std::size_t i) {
            using words = xsimd::batch<std::uint64_t>;
            constexpr std::size_t together = 4;
            std::array<words, together> sums;
            sums.fill(words(0));
            const auto* from = reinterpret_cast<const std::uint64_t*>(pieces[i].data());
            const std::size_t end = pieces[i].size() / sizeof(std::uint64_t);
            for (std::size_t at = 0; at + together * words::size <= end;
                 at += together * words::size) {
                xlens::unrolled<together>([&](auto k) XLENS_INLINE {
                    sums[k] += words::load_unaligned(from + at + k * words::size);
                });
            }
            std::array<std::uint64_t, words::size> sum;
            ((sums[0] + sums[1]) + (sums[2] + sums[3])).store_unaligned(sum.data());
            for (const std::uint64_t s : sum) { total += s; }
        });
        keep(total);
    }
    static void multiply(std::size_t multiply_adds) {
        constexpr std::size_t chains = 12;
        constexpr std::size_t steps = 1U << 16U;
        const std::size_t pieces = multiply_adds / (chains * steps * xlens::lanes) + 1;
        std::atomic<std::uint64_t> total = 0;
        xlens::parallel_for(pieces, chains * steps * xlens::lanes, [&](std::size_t) {
            const xlens::batch factor(0.5F);
            std::array<xlens::batch, chains> x;
            xlens::unrolled<chains>([&](auto i) { x[i] = xlens::batch(static_cast<float>(i)); });
            for (std::size_t s = 0; s < steps; ++s) {
                xlens::unrolled<chains>(
                    [&](auto i) XLENS_INLINE { x[i] = xlens::multiply_add(x[i], factor, factor); });
            }
            xlens::batch sum(0.0F);
            xlens::unrolled<chains>([&](auto i) XLENS_INLINE { sum += x[i]; });
            total += static_cast<std::uint64_t>(sum.get(0));
        });
        keep(total);
    }
    /// So that nothing is left out.
    static void keep(std::uint64_t value) {
        static std::atomic<std::uint64_t> kept;
        kept = value;
    }

    std::vector<bytes> m_weights;
    std::vector<bytes> m_values;
    std::size_t m_products = 0;     // multiply-adds a position, without the unembedding's
    std::size_t m_unembedding = 0;  // of one position
};
