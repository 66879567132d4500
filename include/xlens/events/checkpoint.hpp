// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/events/statistics.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/fingerprint.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/text/text_windows.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace xlens {

/// What a run is of, as (name, value): a checkpoint belongs to runs with equal values alone.
using run_identity = std::vector<std::pair<std::string, std::string>>;

/// Where a run of `events` stands.
struct event_checkpoint {
    text_cursor cursor;
    std::uint64_t rows_bytes = 0;  ///< of the table of events, so far
    std::uint64_t cut = 0;         ///< 1: the limit ended the run within a window
    event_statistics found;
};

namespace detail {

static_assert(std::endian::native == std::endian::little, "checkpoints are little-endian");
inline constexpr std::string_view checkpoint_magic = "xlens events checkpoint 2\n";

/// Bytes of a checkpoint, put together.
class checkpoint_writer {
public:
    template <class T>
        requires std::is_trivially_copyable_v<T>
    void add(const T& x) {
        const auto bytes = std::as_bytes(std::span(&x, 1));
        m_bytes.insert(m_bytes.end(), bytes.begin(), bytes.end());
    }
    template <class T>
    void add(const std::vector<T>& list) {
        add(std::uint64_t{list.size()});
        for (const T& x : list) { add(x); }
    }
    void add_text(std::string_view text) { add(std::vector<char>(text.begin(), text.end())); }
    [[nodiscard]] std::span<const std::byte> bytes() const { return m_bytes; }

private:
    std::vector<std::byte> m_bytes;
};

/// And taken apart again.
class checkpoint_reader {
public:
    checkpoint_reader(std::span<const std::byte> bytes, std::string name)
        : m_bytes(bytes), m_name(std::move(name)) {}

    template <class T>
        requires std::is_trivially_copyable_v<T>
    void take(T& to) {
        if (m_bytes.size() < sizeof(T)) { damaged(); }
        std::memcpy(&to, m_bytes.data(), sizeof(T));
        m_bytes = m_bytes.subspan(sizeof(T));
    }
    template <class T>
    void take(std::vector<T>& list) {
        std::uint64_t count = 0;
        take(count);
        if (count > m_bytes.size() / sizeof(T)) { damaged(); }
        list.resize(static_cast<std::size_t>(count));
        for (T& x : list) { take(x); }
    }
    std::string take_text() {
        std::vector<char> text;
        take(text);
        return {text.begin(), text.end()};
    }
    /// A list that must have as many elements as `to` has.
    template <class T>
    void fill(std::vector<T>& to) {
        std::vector<T> list;
        take(list);
        if (list.size() != to.size()) { damaged(); }
        to = std::move(list);
    }
    [[noreturn]] void damaged() const {
        fail("{}: damaged; delete it to start from the beginning", m_name);
    }

private:
    std::span<const std::byte> m_bytes;
    std::string m_name;
};

inline void check_identity(checkpoint_reader& in, const run_identity& now,
                           const std::string& name) {
    std::uint64_t count = 0;
    in.take(count);
    if (count != now.size()) { in.damaged(); }
    for (const auto& [field, value] : now) {
        const std::string then_field = in.take_text();
        const std::string then = in.take_text();
        if (then_field != field) { in.damaged(); }
        if (then != value) {
            fail(
                "{}: belongs to a run with {} {}, this one has {}; delete it to start from the "
                "beginning",
                name, field, printable(then), printable(value));
        }
    }
}

}  // namespace detail

/// Writes a checkpoint; the file is whole or is the one before.
inline void write_checkpoint(const std::filesystem::path& path, const run_identity& identity,
                             event_checkpoint& now) {
    detail::checkpoint_writer out;
    out.add(std::uint64_t{identity.size()});
    for (const auto& [field, value] : identity) {
        out.add_text(field);
        out.add_text(value);
    }
    out.add(now.cursor);
    out.add(now.rows_bytes);
    out.add(now.cut);
    out.add(now.found.tokens);
    out.add(now.found.positions);
    out.add(now.found.windows);
    out.add(now.found.settled_counts);
    for (update_means& means : now.found.means) { out.add(means.state()); }
    out.add(now.found.neurons);
    out.add(now.found.extreme_updates);
    out.add(now.found.saturation_layers);
    out.add(now.found.by_part);
    out.add(now.found.part_positions);
    fnv1a hash;
    hash.add(out.bytes());
    const std::uint64_t sum = hash.value();
    atomic_file file(path);
    file.write(std::as_bytes(std::span(detail::checkpoint_magic)));
    file.write(std::as_bytes(std::span(&sum, 1)));
    file.write(out.bytes());
    file.commit();
}

/// Reads a checkpoint into `to`, whose statistics must have the model's size. Throws xlens::error
/// if it is none, is damaged, or belongs to another run; the message names what differs.
inline void read_checkpoint(const std::filesystem::path& path, const run_identity& identity,
                            event_checkpoint& to) {
    const mapped_file file(path);
    std::span<const std::byte> bytes = file.bytes();
    const auto magic = std::as_bytes(std::span(detail::checkpoint_magic));
    if (bytes.size() < magic.size() || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) {
        fail("{}: expected a checkpoint of xlens events, version 2", file.name());
    }
    detail::checkpoint_reader in(bytes.subspan(magic.size()), file.name());
    std::uint64_t sum = 0;
    in.take(sum);
    fnv1a hash;
    hash.add(bytes.subspan(magic.size() + sizeof sum));
    if (hash.value() != sum) { in.damaged(); }
    detail::check_identity(in, identity, file.name());
    in.take(to.cursor);
    in.take(to.rows_bytes);
    in.take(to.cut);
    in.take(to.found.tokens);
    in.take(to.found.positions);
    in.take(to.found.windows);
    in.take(to.found.settled_counts);
    for (update_means& means : to.found.means) { in.fill(means.state()); }
    in.fill(to.found.neurons);
    in.fill(to.found.extreme_updates);
    in.fill(to.found.saturation_layers);
    in.fill(to.found.by_part);
    in.take(to.found.part_positions);
}

}  // namespace xlens
