// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/interventions/direction_set.hpp>

#include <filesystem>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/core/hash.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_writer.hpp>
#include <xlens/io/safetensors.hpp>
#include <xlens/io/safetensors_writer.hpp>
#include <xlens/kernels/finite.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>
#endif

// Files of directions. In both kinds tensor `direction.L` (D) is what is added at layer L, counted
// from 0.
//
// safetensors: our own; what is known of the directions stands in the metadata.
//
// GGUF: llama.cpp's control vectors, general.architecture = controlvector. llama.cpp adds
// direction.L to the residual behind the FFN update of its layer il = L, which it counts from 0 as
// we do: common_control_vector_load_one (common/common.cpp) puts direction.L at row L - 1,
// llama_adapter_cvec::apply (src/llama-adapter.cpp) reads row il - 1 for layer il, and build_cvec
// follows the addition of the FFN's output. It has none for layer 0, and `before` is no site of
// its. (Its own cvector-generator writes what it measured behind layer L - 1 as direction.L:
// tools/cvector-generator/mean.hpp. What such a file does is what it says all the same.)

namespace xlens {

class atomic_file;

/// Reads directions, of either kind, told apart by how the file begins. Directions of zeros, which
/// add nothing, are left out. Throws xlens::error for anything else, numbers that are not finite,
/// tensors of two widths and a file without a direction.
[[nodiscard]] XLENS_API direction_set read_directions(const std::filesystem::path& path);

/// Whether a path asks for a control vector of llama.cpp (.gguf) or for our own file
/// (.safetensors). Throws xlens::error for any other.
[[nodiscard]] XLENS_API bool is_control_vector(const std::filesystem::path& path);

/// Writes a file of either kind and commits it. A control vector cannot hold directions of layer 0
/// or of `before`: xlens::error.
XLENS_API void write_control_vector(atomic_file& to, const direction_set& set);
XLENS_API void write_directions(atomic_file& to, const direction_set& set);

#if XLENS_DEFINES(interventions)

namespace detail {

inline constexpr std::string_view direction_format = "xlens directions 1";

/// The layer of a tensor "direction.L".
inline std::size_t direction_layer(std::string_view file, std::string_view name) {
    constexpr std::string_view prefix = "direction.";
    std::size_t layer = 0;
    const std::string_view digits = name.substr(std::min(prefix.size(), name.size()));
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), layer);
    if (!name.starts_with(prefix) || result.ec != std::errc() ||
        result.ptr != digits.data() + digits.size() || layer >= max_tensors) {
        fail("{}: tensor '{}': expected direction.L, L being a layer", file, printable(name));
    }
    return layer;
}

inline void take_directions(const std::string& file, const tensor_map& tensors,
                            direction_set& out) {
    for (const auto& [name, t] : tensors) {
        const std::size_t layer = direction_layer(file, name);
        if (t.format != format_id::f32 || t.shape.size() != 1 || t.shape[0] == 0) {
            fail("{}: {}: expected f32 of one dimension, got {} ({})", file, name,
                 format_name(t.format), joined(t.shape, ", "));
        }
        std::vector<float> d(t.shape[0]);
        row_format_of(format_id::f32).decode(t.data, d);
        if (const std::size_t i = kernels::first_not_finite(d); i < d.size()) {
            fail("{}: {}: number {} is {}, expected a finite one", file, name, i, d[i]);
        }
        if (!out.of.empty() && out.width() != d.size()) {
            fail("{}: {}: width {}, others have {}", file, name, d.size(), out.width());
        }
        if (std::ranges::any_of(d, [](float x) { return x != 0.0F; })) {
            out.of.emplace(layer, std::move(d));
        }
    }
    if (out.of.empty()) { fail("{}: expected a direction that is not zero, got none", file); }
}

inline std::uint64_t direction_checksum(const direction_set& set) {
    fnv1a hash;
    for (const std::string* text : {&set.method, &set.position, &set.hint}) {
        hash.add(text->size());
        hash.add(std::as_bytes(std::span(*text)));
    }
    for (const std::uint64_t number :
         {set.fingerprint, std::uint64_t{set.layers}, std::uint64_t{set.pairs},
          std::uint64_t{set.site == hook::before ? 1U : 0U}}) {
        hash.add(number);
    }
    for (const auto& [layer, d] : set.of) {
        hash.add(std::uint64_t{layer});
        for (const float x : d) { hash.add(std::uint64_t{std::bit_cast<std::uint32_t>(x)}); }
    }
    return hash.value();
}

/// Values of the metadata of our own file.
class direction_metadata {
public:
    explicit direction_metadata(const safetensors_file& file) : m_file(&file) {}

    [[nodiscard]] std::string text(std::string_view key) const {
        const auto found = m_file->metadata().find(key);
        return found == m_file->metadata().end() ? "" : found->second;
    }
    [[nodiscard]] std::uint64_t number(std::string_view key, int base = 10) const {
        const std::string digits = text(key);
        std::uint64_t out = 0;
        const char* end = digits.data() + digits.size();
        const auto result = std::from_chars(digits.data(), end, out, base);
        if (result.ec != std::errc() || result.ptr != end) {
            fail("{}: {}: expected a number, got '{}'", m_file->name(), key, printable(digits));
        }
        return out;
    }

private:
    const safetensors_file* m_file;
};

inline direction_set read_own_directions(const std::filesystem::path& path) {
    const safetensors_file file(path);
    const direction_metadata said(file);
    if (const std::string format = said.text("format"); format != direction_format) {
        fail("{}: format: expected '{}', got '{}'", file.name(), direction_format,
             printable(format));
    }
    direction_set out;
    const std::string site = said.text("site");
    if (site != "before" && site != "after") {
        fail("{}: site: expected before or after, got '{}'", file.name(), printable(site));
    }
    out.site = site == "before" ? hook::before : hook::after;
    out.method = said.text("method");
    out.position = said.text("position");
    out.hint = said.text("architecture");
    out.pairs = static_cast<std::size_t>(said.number("pairs"));
    out.layers = static_cast<std::size_t>(said.number("layers"));
    out.fingerprint = said.number("model", 16);
    if (!file.skipped().empty()) {
        fail("{}: tensor '{}': expected directions alone", file.name(),
             printable(file.skipped().begin()->first));
    }
    take_directions(file.name(), file.tensors(), out);
    const std::string sum = fmt::format("{:016x}", direction_checksum(out));
    if (said.text("checksum").empty()) {
        fail("{}: metadata: checksum: expected that of its directions, got none", file.name());
    }
    if (said.text("checksum") != sum) {
        fail("{}: checksum: expected {}, got {}: damaged", file.name(),
             printable(said.text("checksum")), sum);
    }
    return out;
}

inline direction_set read_control_vector(const std::filesystem::path& path) {
    const gguf_file file(path);
    const std::string architecture = file.string("general.architecture");
    if (architecture != "controlvector") {
        fail("{}: general.architecture: expected 'controlvector', got '{}'", file.name(),
             printable(architecture));
    }
    direction_set out;
    out.hint = file.string("controlvector.model_hint", "");
    take_directions(file.name(), file.tensors(), out);
    if (out.of.begin()->first == 0) {
        fail("{}: direction.0: control vectors begin with layer 1", file.name());
    }
    return out;
}

inline std::vector<float_tensor> direction_tensors(const direction_set& set) {
    if (set.of.empty()) { fail("directions: expected at least 1, got 0"); }
    std::vector<float_tensor> out;
    for (const auto& [layer, d] : set.of) {
        out.push_back({fmt::format("direction.{}", layer), {d.size()}, d});
    }
    return out;
}

}  // namespace detail

XLENS_API direction_set read_directions(const std::filesystem::path& path) {
    const bool gguf = [&] {
        const mapped_file file(path);
        constexpr std::string_view magic = "GGUF";
        return file.bytes().size() >= magic.size() &&
               std::memcmp(file.bytes().data(), magic.data(), magic.size()) == 0;
    }();
    return gguf ? detail::read_control_vector(path) : detail::read_own_directions(path);
}

XLENS_API bool is_control_vector(const std::filesystem::path& path) {
    const std::string ending = path.extension().string();
    if (ending == ".gguf") { return true; }
    if (ending == ".safetensors") { return false; }
    fail("{}: expected a name that ends in .gguf or .safetensors", printable(path.string(), 1024));
}

XLENS_API void write_control_vector(atomic_file& to, const direction_set& set) {
    const std::vector<float_tensor> tensors = detail::direction_tensors(set);
    if (set.site != hook::after) {
        fail("directions: a control vector acts after the FFN update, not before it");
    }
    if (set.of.begin()->first == 0) {
        fail("directions: layer 0: a control vector has layers from 1 on");
    }
    const std::vector<gguf_entry> keys{
        {"general.architecture", std::string("controlvector")},
        {"controlvector.model_hint", set.hint},
        {"controlvector.layer_count", static_cast<std::int32_t>(tensors.size())}};
    write_gguf(to, keys, tensors);
}

XLENS_API void write_directions(atomic_file& to, const direction_set& set) {
    write_safetensors(to,
                      {{"format", std::string(detail::direction_format)},
                       {"site", set.site == hook::before ? "before" : "after"},
                       {"method", set.method},
                       {"position", set.position},
                       {"architecture", set.hint},
                       {"pairs", std::to_string(set.pairs)},
                       {"layers", std::to_string(set.layers)},
                       {"model", fmt::format("{:016x}", set.fingerprint)},
                       {"checksum", fmt::format("{:016x}", detail::direction_checksum(set))}},
                      detail::direction_tensors(set));
}

#endif

}  // namespace xlens
