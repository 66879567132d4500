// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/lens/lens_facts.hpp>
#include <xlens/lens/linear_lens.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#if XLENS_DEFINES(lens)
#include <xlens/core/error.hpp>
#include <xlens/core/hash.hpp>
#include <xlens/io/safetensors.hpp>
#include <xlens/io/safetensors_writer.hpp>
#include <xlens/io/torch_file.hpp>
#include <xlens/io/zip_archive.hpp>
#include <xlens/lens/jacobian_lens_file.hpp>
#include <xlens/lens/tuned_lens_folder.hpp>
#include <xlens/model/model.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <span>
#include <system_error>
#include <vector>
#endif

namespace xlens {

class atomic_file;
class model;

/// A lens that is read from a file, and what the file says of it.
struct lens_file {
    lens_facts facts;
    linear_lens lens;
};

/// Reads a fitted lens:
/// - a file that `write_lens` wrote (safetensors);
/// - the folder of a published tuned lens: config.json and params.pt (lens/tuned_lens_folder.hpp);
/// - a published Jacobian lens, or the checkpoint of its fit: a file of torch.save
///   (lens/jacobian_lens_file.hpp), or a folder with one named lens.pt.
/// Maps are kept as f32: 4·L·D² bytes. Throws xlens::error for anything else.
XLENS_API lens_file read_lens_file(const std::filesystem::path& path);

/// The maps of a lens that is to read this model. A map of the last layer, after which the final
/// residual is read as it is, is left out. Throws xlens::error naming both values where the lens is
/// of another width, of another number of layers or, if it says so, of another model.
XLENS_API linear_lens read_lens(const std::filesystem::path& path, const model& m);

/// The same of one that has been read; `name` is the file's, for errors.
XLENS_API linear_lens lens_for(lens_file file, const model& m, std::string_view name);

/// Writes a lens as safetensors, so that read_lens_file gives it back bit for bit: of each layer
/// `layer.L.weight` (D, D) and `layer.L.bias` (D); of what enters layer 0 `embedding.weight` and
/// `embedding.bias`; the facts, and a checksum of the numbers, in the metadata. Commits the file.
XLENS_API void write_lens(atomic_file& to, const lens_file& lens);

#if XLENS_DEFINES(lens)

namespace detail {

inline constexpr std::string_view lens_format = "xlens lens 1";

/// How a lens reads, in a file.
inline constexpr std::array<std::string_view, 3> translation_names{"unit", "raw", "added"};

/// A value of the metadata that is a number, base 10 or 16.
inline std::uint64_t lens_number(const safetensors_file& file, std::string_view key,
                                 int base = 10) {
    const auto found = file.metadata().find(key);
    const std::string text = found == file.metadata().end() ? "" : found->second;
    std::uint64_t out = 0;
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, out, base);
    if (result.ec != std::errc() || result.ptr != end) {
        fail("{}: {}: expected a number, got '{}'", file.name(), key, printable(text));
    }
    return out;
}
inline std::string lens_text(const safetensors_file& file, std::string_view key) {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? "" : found->second;
}

inline translator lens_map(const safetensors_file& file, const std::string& place,
                           std::size_t width, translation how) {
    const auto get = [&](const std::string& name,
                         const std::vector<std::size_t>& shape) -> const stored_tensor* {
        const stored_tensor* t = file.find(place + name);
        if (t != nullptr && (t->format != format_id::f32 || t->shape != shape)) {
            fail("{}: {}{}: expected F32 ({}), got {} ({})", file.name(), place, name,
                 joined(shape, ", "), format_name(t->format), joined(t->shape, ", "));
        }
        return t;
    };
    const stored_tensor* weights = get(".weight", {width, width});
    const stored_tensor* bias = get(".bias", {width});
    if (weights == nullptr) { fail("{}: {}.weight: no such tensor", file.name(), place); }
    translator out{xt::empty<float>({width, width}),
                   xt::empty<float>({bias == nullptr ? std::size_t{0} : width}), how};
    const auto& decode = *row_format_of(format_id::f32).decode;
    decode(weights->data, {out.weights.data(), out.weights.size()});
    if (bias != nullptr) { decode(bias->data, {out.bias.data(), width}); }
    return out;
}

/// Of the numbers and of what the metadata say of them.
inline std::uint64_t lens_checksum(const lens_file& file) {
    fnv1a hash;
    const lens_facts& facts = file.facts;
    for (const std::string* text : {&facts.kind, &facts.source, &facts.model}) {
        hash.add(text->size());
        hash.add(std::as_bytes(std::span(*text)));
    }
    for (const std::uint64_t number :
         {facts.fingerprint, std::uint64_t{facts.width}, std::uint64_t{facts.layers},
          std::uint64_t{facts.examples}, file.lens.hash()}) {
        hash.add(number);
    }
    return hash.value();
}

inline lens_file read_own_lens(const std::filesystem::path& path) {
    const safetensors_file file(path);
    if (const std::string format = lens_text(file, "format"); format != lens_format) {
        fail("{}: format: expected '{}', got '{}'", file.name(), lens_format, printable(format));
    }
    lens_file out;
    out.facts.kind = lens_text(file, "kind");
    const std::string& kind = out.facts.kind;
    if (kind != "linear" && kind != "tuned" && kind != "jacobian") {
        fail("{}: kind: expected linear, tuned or jacobian, got '{}'", file.name(),
             printable(kind));
    }
    out.facts.source = lens_text(file, "source");
    out.facts.model = lens_text(file, "model_name");
    out.facts.fingerprint = lens_number(file, "model", 16);
    out.facts.width = static_cast<std::size_t>(lens_number(file, "width"));
    out.facts.layers = static_cast<std::size_t>(lens_number(file, "layers"));
    out.facts.examples = static_cast<std::size_t>(lens_number(file, "examples"));
    if (out.facts.layers > max_tensors) {
        fail("{}: layers: expected at most {}, got {}", file.name(), max_tensors, out.facts.layers);
    }
    const std::string how = lens_text(file, "reads");
    const auto found = std::ranges::find(translation_names, how);
    if (found == translation_names.end()) {
        fail("{}: reads: expected unit, raw or added, got '{}'", file.name(), printable(how));
    }
    const auto reads = static_cast<translation>(found - translation_names.begin());
    std::size_t used = 0;
    const auto take = [&](const std::string& place) {
        translator t = lens_map(file, place, out.facts.width, reads);
        used += t.bias.size() == 0 ? 1U : 2U;
        return t;
    };
    if (file.find("embedding.weight") != nullptr) { out.lens.set_embedding(take("embedding")); }
    for (std::size_t l = 0; l < (out.facts.layers == 0 ? max_tensors : out.facts.layers) &&
                            used < file.tensors().size();
         ++l) {
        const std::string place = "layer." + std::to_string(l);
        if (file.find(place + ".weight") != nullptr) { out.lens.set(l, take(place)); }
    }
    if (used != file.tensors().size() + file.skipped().size()) {
        fail("{}: {} tensors, of which {} belong to a lens of {} layers", file.name(),
             file.tensors().size() + file.skipped().size(), used, out.facts.layers);
    }
    if (lens_number(file, "checksum", 16) != lens_checksum(out)) {
        fail("{}: checksum: expected {}, got {}: damaged", file.name(), lens_text(file, "checksum"),
             fmt::format("{:016x}", lens_checksum(out)));
    }
    return out;
}

}  // namespace detail

XLENS_API lens_file read_lens_file(const std::filesystem::path& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
        const bool tuned = std::filesystem::exists(path / "config.json", ignored);
        const bool jacobian = std::filesystem::exists(path / "lens.pt", ignored);
        if (!tuned && !jacobian) {
            fail("{}: expected a lens: config.json and params.pt, or lens.pt; got none of them",
                 printable(path.string(), 1024));
        }
        lens_file out;
        tuned ? read_tuned_lens(path, out.facts, out.lens)
              : read_jacobian_lens(path / "lens.pt", out.facts, out.lens);
        return out;
    }
    const bool archive = [&] {
        const mapped_file file(path);
        return zip_archive::begins(file.bytes());
    }();
    if (!archive) { return detail::read_own_lens(path); }
    lens_file out;
    read_jacobian_lens(path, out.facts, out.lens);
    return out;
}

XLENS_API linear_lens lens_for(lens_file file, const model& m, std::string_view name) {
    const lens_facts& facts = file.facts;
    const std::string shown = printable(name, 1024);
    if (facts.width != m.config.width) {
        fail("{}: lens: width {}, the model has {}", shown, facts.width, m.config.width);
    }
    if (facts.layers != 0 && facts.layers != m.config.layers) {
        fail("{}: lens: of {} layers, the model has {}", shown, facts.layers, m.config.layers);
    }
    if (!file.lens.empty() && file.lens.layers().rbegin()->first >= m.config.layers) {
        fail("{}: lens: layer {}, the model has layers 0 to {}", shown,
             file.lens.layers().rbegin()->first, m.config.layers - 1);
    }
    if (facts.target && *facts.target + 1 != m.config.layers) {
        fail("{}: lens: fitted to the output of layer {}, the model's last is {}", shown,
             *facts.target, m.config.layers - 1);
    }
    const std::uint64_t own = m.fingerprint();
    if (facts.fingerprint != 0 && own != 0 && facts.fingerprint != own) {
        fail("{}: lens: fitted to model {}, this one is {}", shown,
             fmt::format("{:016x}", facts.fingerprint), fmt::format("{:016x}", own));
    }
    file.lens.erase(m.config.layers - 1);
    if (file.lens.empty()) { fail("{}: lens: no layer before the last has a map", shown); }
    return std::move(file.lens);
}

XLENS_API linear_lens read_lens(const std::filesystem::path& path, const model& m) {
    return lens_for(read_lens_file(path), m, path.string());
}

XLENS_API void write_lens(atomic_file& to, const lens_file& file) {
    const lens_facts& facts = file.facts;
    std::vector<float_tensor> tensors;
    std::optional<translation> how;
    const auto add = [&](const std::string& place, const translator& t) {
        if (how && *how != t.how) { fail("lens: maps of two kinds cannot be in one file"); }
        how = t.how;
        tensors.push_back({place + ".weight",
                           {t.weights.shape(0), t.weights.shape(1)},
                           {t.weights.data(), t.weights.size()}});
        if (t.bias.size() == 0) { return; }
        tensors.push_back({place + ".bias", {t.bias.size()}, {t.bias.data(), t.bias.size()}});
    };
    if (file.lens.embedding()) { add("embedding", *file.lens.embedding()); }
    for (const auto& [layer, t] : file.lens.layers()) { add(fmt::format("layer.{}", layer), t); }
    if (!how) { fail("lens: no maps to write"); }
    write_safetensors(
        to,
        {{"format", std::string(detail::lens_format)},
         {"kind", facts.kind},
         {"source", facts.source},
         {"model_name", facts.model},
         {"model", fmt::format("{:016x}", facts.fingerprint)},
         {"width", std::to_string(facts.width)},
         {"layers", std::to_string(facts.layers)},
         {"examples", std::to_string(facts.examples)},
         {"reads", std::string(detail::translation_names[static_cast<std::size_t>(*how)])},
         {"checksum", fmt::format("{:016x}", detail::lens_checksum(file))}},
        tensors);
}

#endif

}  // namespace xlens
