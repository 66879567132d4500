// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/io/zip_archive.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#if XLENS_DEFINES(io)
#include <xlens/core/checked.hpp>
#include <xlens/core/error.hpp>
#include <xlens/storage/byte_reader.hpp>
#include <xlens/storage/formats.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <system_error>
#include <vector>
#endif

namespace xlens {

/// The array of a .npy file (format 1.0 to 3.0) in C order, of f32 or f16, in place. `file` and
/// `label` name it in errors; anything else is refused by name. Format: numpy/lib/_format_impl.py.
XLENS_API stored_tensor parse_npy(const std::string& file, const std::string& label,
                                  std::span<const std::byte> bytes);

/// What numpy.savez writes: a ZIP archive of stored .npy files. Tensors point into the mapping and
/// live as long as this object.
class npz_file {
public:
    explicit npz_file(const std::filesystem::path& path);

    [[nodiscard]] const std::string& name() const { return m_zip.name(); }
    /// The arrays by name, without ".npy".
    [[nodiscard]] const tensor_map& tensors() const { return m_tensors; }

private:
    zip_archive m_zip;
    tensor_map m_tensors;
};

#if XLENS_DEFINES(io)

namespace detail {

/// The header of a .npy: a Python dict of 'descr', 'fortran_order' and 'shape'. Read as what numpy
/// writes, literals in this form alone.
class npy_header {
public:
    npy_header(const std::string& file, const std::string& label, std::string_view text)
        : m_file(&file), m_label(&label), m_text(text) {
        expect("{");
        while (!take("}")) {
            const std::string_view key = quoted();
            expect(":");
            if (key == "descr") {
                descr = quoted();
            } else if (key == "fortran_order") {
                fortran = take("True");
                if (!fortran) { expect("False"); }
            } else if (key == "shape") {
                read_shape();
            } else {
                refuse();
            }
            if (!take(",")) {
                expect("}");
                break;
            }
        }
        if (m_text.find_first_not_of(" \n") != std::string_view::npos) { refuse(); }
    }

    std::string_view descr;
    bool fortran = false;
    std::optional<std::vector<std::size_t>> shape;

private:
    [[noreturn]] void refuse() const {
        fail("{}: {}: header: expected a dict of descr, fortran_order and shape, got '{}'", *m_file,
             *m_label, printable(m_text));
    }
    bool take(std::string_view word) {
        m_text.remove_prefix(std::min(m_text.find_first_not_of(' '), m_text.size()));
        if (!m_text.starts_with(word)) { return false; }
        m_text.remove_prefix(word.size());
        return true;
    }
    void expect(std::string_view word) {
        if (!take(word)) { refuse(); }
    }
    std::string_view quoted() {
        expect("'");
        const std::size_t end = m_text.find('\'');
        if (end == std::string_view::npos) { refuse(); }
        const std::string_view out = m_text.substr(0, end);
        m_text.remove_prefix(end + 1);
        return out;
    }
    void read_shape() {
        shape.emplace();
        expect("(");
        while (!take(")")) {
            take("");
            std::size_t size = 0;
            const auto result = std::from_chars(m_text.data(), m_text.data() + m_text.size(), size);
            if (result.ec != std::errc() || shape->size() == 8) { refuse(); }
            m_text.remove_prefix(static_cast<std::size_t>(result.ptr - m_text.data()));
            shape->push_back(size);
            if (!take(",")) {
                expect(")");
                return;
            }
        }
    }

    const std::string* m_file;
    const std::string* m_label;
    std::string_view m_text;
};

}  // namespace detail

XLENS_API stored_tensor parse_npy(const std::string& file, const std::string& label,
                                  std::span<const std::byte> bytes) {
    constexpr std::string_view magic = "\x93NUMPY";
    byte_reader in(file, bytes);
    const auto begin = in.take(magic.size(), label);
    if (!std::ranges::equal(begin, std::as_bytes(std::span(magic)))) {
        fail("{}: {}: expected an array of NumPy", file, label);
    }
    const auto edition = in.number<std::uint8_t>(label);
    in.number<std::uint8_t>(label);
    if (edition < 1 || edition > 3) {
        fail("{}: {}: expected format 1 to 3, got {}", file, label, edition);
    }
    const std::uint32_t length =
        edition == 1 ? in.number<std::uint16_t>(label) : in.number<std::uint32_t>(label);
    const auto text = in.take(length, label);
    const detail::npy_header header(file, label,
                                    {reinterpret_cast<const char*>(text.data()), text.size()});
    if (header.descr != "<f4" && header.descr != "<f2") {
        fail("{}: {}: descr: expected <f4 or <f2, got '{}'", file, label, printable(header.descr));
    }
    if (header.fortran) { fail("{}: {}: expected C order, got Fortran's", file, label); }
    if (!header.shape) { fail("{}: {}: header: no shape", file, label); }
    const format_id format = header.descr == "<f4" ? format_id::f32 : format_id::f16;
    std::optional<std::uint64_t> size = format_bytes(format);
    for (const std::size_t n : *header.shape) {
        size = size ? checked_multiply<std::uint64_t>(*size, n) : std::nullopt;
    }
    if (size != in.remaining()) {
        fail("{}: {}: shape ({}) of {}, got {} bytes", file, label, joined(*header.shape, ", "),
             header.descr, in.remaining());
    }
    const auto data = in.take(*size, label);
    return {label, format, *header.shape, data.data(), data.size(), file};
}

XLENS_API npz_file::npz_file(const std::filesystem::path& path) : m_zip(path) {
    constexpr std::string_view ending = ".npy";
    for (const auto& [entry, found] : m_zip.entries()) {
        if (!entry.ends_with(ending)) {
            fail("{}: entry '{}': expected an array, .npy", name(), printable(entry));
        }
        const std::string label = entry.substr(0, entry.size() - ending.size());
        m_tensors.emplace(label, parse_npy(name(), printable(label), m_zip.read(entry)));
    }
}

#endif

}  // namespace xlens
