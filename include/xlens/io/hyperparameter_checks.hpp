// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/token.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Hyperparameters are checked where they are read and nowhere else: every count is between 1 and a
// stated maximum, heads divide what they must divide. `Source` is gguf_file or hugging_face_folder.

namespace xlens {

inline constexpr std::uint64_t max_layers = 4096;
inline constexpr std::uint64_t max_width = 1U << 20U;
inline constexpr std::uint64_t max_experts = 4096;
inline constexpr std::uint64_t max_context = 1U << 28U;
inline constexpr std::uint64_t max_vocabulary = 1U << 27U;

namespace detail {

template <class Source>
std::size_t count_in(const Source& source, std::string_view key, std::uint64_t value,
                     std::uint64_t most) {
    if (value < 1 || value > most) {
        fail("{}: {}: expected 1 to {}, got {}", source.name(), key, most, value);
    }
    return static_cast<std::size_t>(value);
}
template <class Source>
std::size_t count(const Source& source, const std::string& key, std::uint64_t most) {
    return count_in(source, key, source.unsigned_integer(key), most);
}
template <class Source>
std::size_t count(const Source& source, const std::string& key, std::uint64_t most,
                  std::uint64_t fallback) {
    return count_in(source, key, source.unsigned_integer(key, fallback), most);
}
template <class Source>
float positive(const Source& source, std::string_view key, double value) {
    if (!(value > 0.0) || !(value < 1e30)) {
        fail("{}: {}: expected a positive number, got {}", source.name(), key, value);
    }
    return static_cast<float>(value);
}
template <class Source>
float epsilon(const Source& source, std::string_view key) {
    const double value = source.number(key);
    if (!(value >= 0.0) || value > 1.0) {
        fail("{}: {}: expected 0 to 1, got {}", source.name(), key, value);
    }
    return static_cast<float>(value);
}

/// wikilm's cutoffs: the first token of each tail cluster. The list may end with V.
template <class Integer>
void read_cutoffs(const std::string& file, std::string_view key, const std::vector<Integer>& list,
                  hyperparameters& p) {
    if (list.empty()) { fail("{}: {}: expected at least one token count, got none", file, key); }
    std::size_t last = 0;
    for (const Integer item : list) {
        if (std::cmp_less_equal(item, last) || std::cmp_greater(item, p.vocabulary)) {
            fail("{}: {}: expected rising numbers up to the vocabulary {}, got {}", file, key,
                 p.vocabulary, item);
        }
        last = static_cast<std::size_t>(item);
        if (last < p.vocabulary) { p.cutoffs.push_back(last); }
    }
}
/// wikilm's sines and cosines: position 0 counts as the one after the padding token's id, as in
/// fairseq. `key` names that token, 1 where there is none.
template <class Source>
void read_sinusoidal(const Source& source, std::string_view key, hyperparameters& p) {
    if (p.width < 4 || p.width % 2 != 0) {
        fail("{}: width: expected an even number of at least 4 for sines and cosines, got {}",
             source.name(), p.width);
    }
    const std::uint64_t padding = source.unsigned_integer(key, 1);
    check_token(padding, p.vocabulary, fmt::format("{}: {}", source.name(), key));
    p.position_origin = static_cast<std::size_t>(padding) + 1;
}

inline void check_heads(const std::string& file, const hyperparameters& p, bool head_size_given) {
    if (!head_size_given && p.width % p.heads != 0) {
        fail("{}: heads: {} do not divide the width {}", file, p.heads, p.width);
    }
    if (p.heads % p.kv_heads != 0) {
        fail("{}: key-value heads: {} do not divide the {} heads", file, p.kv_heads, p.heads);
    }
    if (p.rotary_size > p.head_size || p.rotary_size % 2 != 0) {
        fail("{}: rotated dimensions: expected an even number up to the head size {}, got {}", file,
             p.head_size, p.rotary_size);
    }
}

}  // namespace detail

}  // namespace xlens
