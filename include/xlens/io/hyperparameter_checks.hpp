// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Hyperparameters are checked where they are read and nowhere else: every count is between 1 and a
// stated maximum, heads divide what they must divide. `Source` is gguf_file or hugging_face_folder.

namespace xlens {

inline constexpr std::uint64_t max_layers = 4096;
inline constexpr std::uint64_t max_width = 1U << 20U;
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
