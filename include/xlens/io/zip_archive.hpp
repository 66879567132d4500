// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/storage/mapped_file.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#if XLENS_DEFINES(io)
#include <xlens/core/checked.hpp>
#include <xlens/core/error.hpp>
#include <xlens/io/crc32.hpp>
#include <xlens/storage/byte_reader.hpp>

#include <algorithm>
#include <optional>
#endif

namespace xlens {

/// Most entries that an archive may have.
inline constexpr std::size_t max_zip_entries = std::size_t{1} << 16U;

/// A ZIP archive whose entries are stored as they are (method 0), mapped: what torch.save and
/// numpy.savez write. Sizes come from the central directory, 64-bit ones included; whatever does
/// not fit into the file, overlaps the directory, is compressed or encrypted is refused by name.
/// Opening is O(entries); data are read when they are asked for. Format: PKWARE's APPNOTE 6.3.9.
class zip_archive {
public:
    explicit zip_archive(const std::filesystem::path& path);

    [[nodiscard]] const std::string& name() const { return m_file.name(); }
    /// Whether the file begins as an archive does.
    [[nodiscard]] static bool begins(std::span<const std::byte> bytes);

    struct entry {
        std::span<const std::byte> bytes;
        std::uint32_t crc = 0;
    };
    /// Name -> where its bytes are.
    [[nodiscard]] const std::map<std::string, entry, std::less<>>& entries() const {
        return m_entries;
    }
    /// The bytes of an entry, whose checksum is computed and compared: O(bytes). Throws
    /// xlens::error if there is none of that name, or the checksum is another.
    [[nodiscard]] std::span<const std::byte> read(std::string_view called) const;

private:
    mapped_file m_file;
    std::map<std::string, entry, std::less<>> m_entries;
};

#if XLENS_DEFINES(io)

namespace detail {

/// Where a central directory is.
struct zip_directory {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::uint64_t entries = 0;
};

inline constexpr std::uint32_t zip_local = 0x04034b50;
inline constexpr std::uint32_t zip_central = 0x02014b50;
inline constexpr std::uint32_t zip_end = 0x06054b50;
inline constexpr std::uint32_t zip64_end = 0x06064b50;
inline constexpr std::uint32_t zip64_locator = 0x07064b50;
inline constexpr std::uint32_t in_zip64 = 0xffffffff;  // of a 32-bit field: the value is elsewhere

/// The record at the end of the file, behind which a comment of at most 64 KiB may stand.
inline std::size_t find_zip_end(const std::string& file, std::span<const std::byte> bytes) {
    constexpr std::size_t record = 22;
    constexpr std::size_t most_comment = 0xffff;
    const std::size_t first =
        bytes.size() > record + most_comment ? bytes.size() - record - most_comment : 0;
    for (std::size_t at = bytes.size() < record ? 0 : bytes.size() - record + 1; at-- > first;) {
        if (load_number<std::uint32_t>(&bytes[at]) == zip_end &&
            at + record + load_number<std::uint16_t>(&bytes[at + 20]) == bytes.size()) {
            return at;
        }
    }
    fail("{}: expected a ZIP archive, got no directory at its end; cut off?", file);
}

inline zip_directory read_zip64_end(const std::string& file, std::span<const std::byte> bytes,
                                    std::size_t end) {
    constexpr std::size_t locator = 20;
    if (end < locator || load_number<std::uint32_t>(&bytes[end - locator]) != zip64_locator) {
        fail("{}: archive: expected a 64-bit directory, got none", file);
    }
    const auto at = load_number<std::uint64_t>(&bytes[end - locator + 8]);
    if (at > bytes.size()) {
        fail("{}: archive: 64-bit directory at {} of {} bytes", file, at, bytes.size());
    }
    byte_reader in(file, bytes.subspan(static_cast<std::size_t>(at)));
    const auto signature = in.number<std::uint32_t>("64-bit directory");
    if (signature != zip64_end) {
        fail("{}: archive: expected a 64-bit directory at {}, got none", file, at);
    }
    in.take(28, "64-bit directory");
    zip_directory out;
    out.entries = in.number<std::uint64_t>("64-bit directory: entries");
    out.bytes = in.number<std::uint64_t>("64-bit directory: size");
    out.offset = in.number<std::uint64_t>("64-bit directory: offset");
    return out;
}

inline zip_directory find_zip_directory(const std::string& file, std::span<const std::byte> bytes) {
    const std::size_t end = find_zip_end(file, bytes);
    const auto entries = load_number<std::uint16_t>(&bytes[end + 10]);
    const auto size = load_number<std::uint32_t>(&bytes[end + 12]);
    const auto offset = load_number<std::uint32_t>(&bytes[end + 16]);
    zip_directory out{offset, size, entries};
    if (entries == 0xffff || size == in_zip64 || offset == in_zip64) {
        out = read_zip64_end(file, bytes, end);
    }
    if (out.offset > end || out.bytes > end - out.offset) {
        fail("{}: archive: directory of {} bytes at {}, the file has {}", file, out.bytes,
             out.offset, bytes.size());
    }
    if (out.entries > max_zip_entries) {
        fail("{}: archive: expected at most {} entries, got {}", file, max_zip_entries,
             out.entries);
    }
    return out;
}

/// Size and offset of an entry where they do not fit 32 bits: its extra field 1 has, in this order,
/// those of uncompressed size, compressed size and offset that read 2^32 - 1.
struct zip_place {
    std::uint64_t size = 0;
    std::uint64_t stored = 0;
    std::uint64_t offset = 0;
};
inline void read_zip64_extra(const std::string& file, const std::string& label,
                             std::span<const std::byte> extra, zip_place& to) {
    byte_reader in(file, extra);
    while (in.remaining() >= 4) {
        const auto id = in.number<std::uint16_t>("extra field");
        const auto size = in.number<std::uint16_t>("extra field");
        byte_reader field(file, in.take(size, "extra field"));
        if (id != 1) { continue; }
        for (std::uint64_t* value : {&to.size, &to.stored, &to.offset}) {
            if (*value == in_zip64) { *value = field.number<std::uint64_t>("64-bit size"); }
        }
        return;
    }
    fail("{}: {}: expected a 64-bit size, got none", file, label);
}

/// The data of an entry, behind its local header, which must tell the same name.
inline std::span<const std::byte> zip_data(const std::string& file, const std::string& label,
                                           std::string_view name, std::span<const std::byte> bytes,
                                           const zip_place& place) {
    if (place.offset > bytes.size()) {
        fail("{}: {}: begins at {}, behind the data", file, label, place.offset);
    }
    byte_reader in(file, bytes.subspan(static_cast<std::size_t>(place.offset)));
    const auto signature = in.number<std::uint32_t>("entry");
    if (signature != zip_local) {
        fail("{}: {}: expected an entry at {}, got none", file, label, place.offset);
    }
    in.take(22, "entry");
    const auto name_size = in.number<std::uint16_t>("entry: name");
    const auto extra_size = in.number<std::uint16_t>("entry: extra field");
    const auto own = in.take(name_size, "entry: name");
    if (!std::ranges::equal(own, std::as_bytes(std::span(name)))) {
        fail("{}: {}: the entry at {} has another name", file, label, place.offset);
    }
    in.take(extra_size, "entry: extra field");
    return in.take(place.size, label);
}

}  // namespace detail

XLENS_API zip_archive::zip_archive(const std::filesystem::path& path) : m_file(path) {
    const std::string& file = name();
    const std::span<const std::byte> bytes = m_file.bytes();
    const detail::zip_directory directory = detail::find_zip_directory(file, bytes);
    const auto begin = static_cast<std::size_t>(directory.offset);
    const auto data = bytes.first(begin);
    byte_reader in(file, bytes.subspan(begin, static_cast<std::size_t>(directory.bytes)));
    for (std::uint64_t i = 0; i < directory.entries; ++i) {
        const auto signature = in.number<std::uint32_t>("directory");
        if (signature != detail::zip_central) {
            fail("{}: archive: expected {} entries in its directory, got {}", file,
                 directory.entries, i);
        }
        in.take(4, "directory");
        const auto flags = in.number<std::uint16_t>("directory: flags");
        const auto method = in.number<std::uint16_t>("directory: method");
        in.take(4, "directory: time");
        const auto crc = in.number<std::uint32_t>("directory: checksum");
        detail::zip_place place;
        place.stored = in.number<std::uint32_t>("directory: size");
        place.size = in.number<std::uint32_t>("directory: size");
        const auto name_size = in.number<std::uint16_t>("directory: name");
        const auto extra_size = in.number<std::uint16_t>("directory: extra field");
        const auto comment_size = in.number<std::uint16_t>("directory: comment");
        in.take(8, "directory: attributes");
        place.offset = in.number<std::uint32_t>("directory: offset");
        const auto name_bytes = in.take(name_size, "directory: name");
        const std::string called(reinterpret_cast<const char*>(name_bytes.data()),
                                 name_bytes.size());
        const auto extra = in.take(extra_size, "directory: extra field");
        in.take(comment_size, "directory: comment");
        const auto label = "entry '" + printable(called) + "'";
        if ((flags & 1U) != 0) { fail("{}: {}: is encrypted", file, label); }
        if (method != 0) {
            fail(
                "{}: {}: is compressed (method {}), expected one that is stored: save it again "
                "without compression (numpy.savez, torch.save)",
                file, label, method);
        }
        if (place.size == detail::in_zip64 || place.stored == detail::in_zip64 ||
            place.offset == detail::in_zip64) {
            detail::read_zip64_extra(file, label, extra, place);
        }
        if (place.size != place.stored) {
            fail("{}: {}: stored, but {} bytes of {}", file, label, place.stored, place.size);
        }
        const auto contents = detail::zip_data(file, label, called, data, place);
        if (!m_entries.emplace(called, entry{contents, crc}).second) {
            fail("{}: {}: is there twice", file, label);
        }
    }
}

XLENS_API bool zip_archive::begins(std::span<const std::byte> bytes) {
    return bytes.size() >= 4 && load_number<std::uint32_t>(bytes.data()) == detail::zip_local;
}

XLENS_API std::span<const std::byte> zip_archive::read(std::string_view called) const {
    const auto found = m_entries.find(called);
    if (found == m_entries.end()) {
        fail("{}: expected an entry '{}', got none", name(), printable(called));
    }
    const std::uint32_t crc = crc32(found->second.bytes);
    if (crc != found->second.crc) {
        fail("{}: entry '{}': checksum {}, its bytes have {}: damaged, or saved without checksums",
             name(), printable(called), found->second.crc, crc);
    }
    return found->second.bytes;
}

#endif

}  // namespace xlens
