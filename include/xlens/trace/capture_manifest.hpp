// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/json/value.hpp>
#include <xlens/storage/run_checkpoint.hpp>
#include <xlens/trace/capture_rows.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/io/npy_header.hpp>
#include <xlens/io/safetensors_writer.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/json/write_value.hpp>
#include <xlens/json/writer.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/mapped_file.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#endif

namespace xlens {

/// How the arrays of a capture lie in files.
enum class capture_storage {
    safetensors,  ///< capture-00000.safetensors with all arrays, and so on
    npy,          ///< a file an array: after.3-00000.npy, and so on
};

/// A file of a capture: rows [first_row, first_row + rows) of one array or of all.
struct capture_file {
    std::string name;
    std::uint64_t first_row = 0;
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
    std::uint32_t crc32 = 0;
};

/// A file that is to be: what stands before the numbers, and whose they are.
struct capture_file_plan {
    std::string name;
    std::string header;
    std::vector<std::size_t> arrays;
};
/// The files of `rows` rows, the number-th of the capture.
XLENS_API std::vector<capture_file_plan> plan_capture_files(capture_storage storage,
                                                            std::span<const capture_layout> layouts,
                                                            std::size_t number, std::size_t rows);

/// What a capture's manifest says, but for its sequences.
struct capture_facts {
    std::vector<capture_layout> layouts;
    capture_storage storage = capture_storage::safetensors;
    std::uint64_t file_rows = 0;  ///< rows of every file but the last
    run_identity identity;   ///< what it is of: captures of one run differ in their shard alone
    std::string run = "{}";  ///< a JSON object: how the run was made
};

/// A prompt, a window or whatever else was read as one sequence, and which of its positions are in
/// the next rows.
struct capture_sequence {
    std::uint64_t number = 0;  ///< in the whole input
    std::vector<token_id> tokens;
    std::string positions;  ///< as position_choice writes them
    std::uint64_t rows = 0;
    std::string metadata = {};  ///< a JSON object of what else the input says of it, or nothing
};

/// A line of the manifest; `first_row` is of the whole capture.
XLENS_API std::string capture_sequence_json(const capture_sequence& s, std::uint64_t first_row);

/// Writes manifest.json into a folder. `lines` is a file with a sequence a line.
XLENS_API void write_capture_manifest(const std::filesystem::path& folder,
                                      const capture_facts& facts, std::uint64_t rows,
                                      std::span<const capture_file> files,
                                      const std::filesystem::path& lines);

/// A manifest that was read.
class capture_manifest {
public:
    /// Of a folder. Throws xlens::error where there is none, or it is none of a capture.
    explicit capture_manifest(const std::filesystem::path& folder);

    [[nodiscard]] const std::string& name() const { return m_name; }
    [[nodiscard]] const capture_facts& facts() const { return m_facts; }
    [[nodiscard]] std::uint64_t rows() const { return m_rows; }
    [[nodiscard]] const std::vector<capture_file>& files() const { return m_files; }
    [[nodiscard]] std::size_t sequences() const;
    [[nodiscard]] capture_sequence sequence(std::size_t i) const;

private:
    std::string m_name;
    json_value m_document;
    capture_facts m_facts;
    std::uint64_t m_rows = 0;
    std::vector<capture_file> m_files;
};

inline constexpr std::string_view capture_manifest_name = "manifest.json";
inline constexpr std::string_view capture_format = "xlens capture 1";

#if XLENS_DEFINES(trace)

XLENS_API std::vector<capture_file_plan> plan_capture_files(capture_storage storage,
                                                            std::span<const capture_layout> layouts,
                                                            std::size_t number, std::size_t rows) {
    std::vector<capture_file_plan> out;
    std::vector<tensor_record> records;
    for (std::size_t a = 0; a < layouts.size(); ++a) {
        const capture_layout& l = layouts[a];
        std::vector<std::size_t> shape{rows};
        shape.insert(shape.end(), l.shape.begin(), l.shape.end());
        if (storage == capture_storage::npy) {
            out.push_back({fmt::format("{}-{:05}.npy", l.name, number),
                           npy_header(facts_of(l.type).numpy, shape),
                           {a}});
        }
        records.push_back({l.name, facts_of(l.type).safetensors, shape, rows * l.row_bytes()});
    }
    if (storage == capture_storage::npy) { return out; }
    std::vector<std::size_t> all(layouts.size());
    for (std::size_t a = 0; a < all.size(); ++a) { all[a] = a; }
    out.push_back({fmt::format("capture-{:05}.safetensors", number),
                   safetensors_header({{"format", std::string(capture_format)}}, records),
                   std::move(all)});
    return out;
}

XLENS_API std::string capture_sequence_json(const capture_sequence& s, std::uint64_t first_row) {
    std::string text;
    json_writer out(text);
    out.begin_object();
    out.field("sequence", s.number);
    out.field("first_row", first_row);
    out.field("rows", s.rows);
    out.field("positions", s.positions);
    out.key("ids");
    out.begin_array();
    for (const token_id id : s.tokens) { out.value(id); }
    out.end_array();
    if (!s.metadata.empty()) {
        out.key("metadata");
        out.literal(s.metadata);
    }
    out.end_object();
    return text;
}

namespace detail {

inline constexpr std::string_view storage_name(capture_storage s) {
    return s == capture_storage::npy ? "npy" : "safetensors";
}

inline void write_layouts(json_writer& out, std::span<const capture_layout> layouts) {
    out.key("arrays");
    out.begin_array();
    for (const capture_layout& l : layouts) {
        out.line_break();
        out.begin_object();
        out.field("name", l.name);
        out.field("dtype", facts_of(l.type).safetensors);
        out.key("shape");
        out.begin_array();
        for (const std::size_t size : l.shape) { out.value(size); }
        out.end_array();
        if (!l.site.empty()) { out.field("site", l.site); }
        if (l.layer) { out.field("layer", *l.layer); }
        if (!l.computed_by.empty()) {
            out.key("computed_by");
            write_value(out, parse_json("computed_by", l.computed_by));
        }
        out.end_object();
    }
    out.end_array();
}

inline void write_files(json_writer& out, std::span<const capture_file> files) {
    out.key("files");
    out.begin_array();
    for (const capture_file& f : files) {
        out.line_break();
        out.begin_object();
        out.field("name", f.name);
        out.field("first_row", f.first_row);
        out.field("rows", f.rows);
        out.field("bytes", f.bytes);
        out.field("crc32", fmt::format("{:08x}", f.crc32));
        out.end_object();
    }
    out.end_array();
}

inline void write_lines(json_writer& out, std::string_view lines) {
    out.key("sequences");
    out.begin_array();
    while (!lines.empty()) {
        const std::size_t end = std::min(lines.find('\n'), lines.size() - 1);
        out.line_break();
        out.literal(lines.substr(0, end));
        lines.remove_prefix(end + 1);
    }
    out.end_array();
}

inline void write_facts(json_writer& out, const capture_facts& facts) {
    out.line_break();
    out.key("identity");
    out.begin_object();
    for (const auto& [name, value] : facts.identity) { out.field(name, value); }
    out.end_object();
    out.line_break();
    out.key("run");
    write_value(out, parse_json("run record", facts.run));
}

}  // namespace detail

XLENS_API void write_capture_manifest(const std::filesystem::path& folder,
                                      const capture_facts& facts, std::uint64_t rows,
                                      std::span<const capture_file> files,
                                      const std::filesystem::path& lines) {
    const mapped_file sequences(lines);
    const auto bytes = sequences.bytes();
    atomic_file file(folder / capture_manifest_name);
    json_writer out([&](std::string_view part) { file.write(std::as_bytes(std::span(part))); });
    out.begin_object();
    out.field("format", capture_format);
    out.field("storage", detail::storage_name(facts.storage));
    out.field("rows", rows);
    out.field("rows_a_file", facts.file_rows);
    detail::write_layouts(out, facts.layouts);
    detail::write_files(out, files);
    detail::write_lines(out, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    detail::write_facts(out, facts);
    out.end_object();
    out.finish();
    file.commit();
}

namespace detail {

inline array_type parse_array_type(const json_object& array) {
    const std::string name = array.string("dtype");
    for (const array_type_facts& f : array_types) {
        if (f.safetensors == name) { return f.type; }
    }
    fail("{}: dtype: expected F32, F16 or I32, got '{}'", array.place(), printable(name));
}

inline std::string json_text(const json_value& value) {
    std::string out;
    json_writer writer(out);
    write_value(writer, value);
    return out;
}

inline std::vector<capture_layout> read_layouts(const json_object& manifest) {
    std::vector<capture_layout> out;
    for (const json_field& item : manifest.at("arrays").items()) {
        const json_object array(item.place(), item.value());
        capture_layout l{array.string("name"), parse_array_type(array), {}};
        for (const std::uint64_t n : array.unsigned_integers("shape")) {
            constexpr std::uint64_t most = std::uint64_t{1} << 32U;
            if (n > most) { fail("{}: shape: expected up to {}, got {}", item.place(), most, n); }
            l.shape.push_back(static_cast<std::size_t>(n));
        }
        l.site = array.string("site", "");
        if (array.has("layer")) {
            l.layer = static_cast<std::size_t>(array.unsigned_integer("layer"));
        }
        if (array.has("computed_by")) {
            l.computed_by = json_text(array.at("computed_by").value());
        }
        out.push_back(std::move(l));
    }
    return out;
}

inline std::vector<capture_file> read_files(const json_object& manifest) {
    std::vector<capture_file> out;
    for (const json_field& item : manifest.at("files").items()) {
        const json_object f(item.place(), item.value());
        const std::string crc = f.string("crc32");
        std::uint32_t sum = 0;
        const auto read = std::from_chars(crc.data(), crc.data() + crc.size(), sum, 16);
        if (read.ec != std::errc() || read.ptr != crc.data() + crc.size()) {
            fail("{}: crc32: expected 8 hexadecimal digits, got '{}'", f.place(), printable(crc));
        }
        out.push_back({f.string("name"), f.unsigned_integer("first_row"),
                       f.unsigned_integer("rows"), f.unsigned_integer("bytes"), sum});
    }
    return out;
}

inline run_identity read_identity(const json_field& from) {
    run_identity out;
    from.expect(from.value().is_object(), "an object");
    for (const auto& [name, value] : from.value().object()) {
        out.emplace_back(name, value.is_string() ? value.string() : value.text());
    }
    return out;
}

/// Far above what a file of outside may have: these are ours, with every token of a text.
inline constexpr json_limits manifest_limits{
    .depth = 64, .values = std::size_t{1} << 32U, .bytes = std::size_t{1} << 36U};

}  // namespace detail

XLENS_API capture_manifest::capture_manifest(const std::filesystem::path& folder)
    : m_name(printable((folder / capture_manifest_name).string(), 1024)),
      m_document(read_json(folder / capture_manifest_name, detail::manifest_limits)) {
    const json_object manifest(m_name, m_document);
    const std::string format = manifest.string("format", "");
    if (format != capture_format) {
        fail("{}: format: expected '{}', got '{}'", m_name, capture_format, printable(format));
    }
    const std::string storage = manifest.string("storage");
    manifest.expect(storage == "npy" || storage == "safetensors", "storage npy or safetensors");
    m_facts = {detail::read_layouts(manifest),
               storage == "npy" ? capture_storage::npy : capture_storage::safetensors,
               manifest.unsigned_integer("rows_a_file"),
               detail::read_identity(manifest.at("identity")),
               detail::json_text(manifest.at("run").value())};
    m_rows = manifest.unsigned_integer("rows");
    m_files = detail::read_files(manifest);
    const json_field all = manifest.at("sequences");
    all.expect(all.value().is_list(), "a list");
}

XLENS_API std::size_t capture_manifest::sequences() const {
    return m_document.find("sequences")->list().size();
}

XLENS_API capture_sequence capture_manifest::sequence(std::size_t i) const {
    const std::string place = fmt::format("{}: sequences[{}]", m_name, i);
    const json_object from(place, m_document.find("sequences")->list()[i]);
    capture_sequence out;
    out.number = from.unsigned_integer("sequence");
    out.rows = from.unsigned_integer("rows");
    out.positions = from.string("positions");
    const json_field ids = from.at("ids");
    ids.expect(ids.value().is_list(), "a list");
    for (const json_value& id : ids.value().list()) {
        if (!id.is_unsigned() || id.unsigned_integer() > INT32_MAX) {
            fail("{}: expected ids, got {}", ids.place(), printable(id.text()));
        }
        out.tokens.push_back(static_cast<token_id>(id.unsigned_integer()));
    }
    if (from.has("metadata")) { out.metadata = detail::json_text(from.at("metadata").value()); }
    return out;
}

#endif

}  // namespace xlens
