// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/storage/byte_reader.hpp>
#include <xlens/storage/byte_writer.hpp>
#include <xlens/storage/mapped_file.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(storage)
#include <xlens/core/error.hpp>
#include <xlens/core/hash.hpp>
#include <xlens/storage/atomic_file.hpp>

#include <cstdint>
#include <cstring>
#include <span>
#endif

namespace xlens {

/// What a run is of, as (name, value): a checkpoint belongs to runs with equal values alone.
using run_identity = std::vector<std::pair<std::string, std::string>>;

/// The kind of a checkpoint: of what, and the version of its layout ("xlens events checkpoint 3").
struct checkpoint_kind {
    std::string_view program;  ///< "events"
    unsigned version = 1;
};

[[noreturn]] XLENS_API void fail_damaged(std::string_view file);

/// Throws xlens::error naming the first value of `then` that is not that of `now`.
XLENS_API void check_same_run(std::string_view file, const run_identity& then,
                              const run_identity& now);

/// Writes where a run stands (`body`, its own layout) with what it is of and a checksum; the file
/// is whole or is the one before.
XLENS_API void write_run_checkpoint(const std::filesystem::path& path, const checkpoint_kind& kind,
                                    const run_identity& identity, const byte_buffer& body);

/// A checkpoint that was read, at the begin of its body.
class run_checkpoint {
public:
    /// Throws xlens::error for a file of another kind, a damaged one, and one of another run; the
    /// message names what differs.
    run_checkpoint(const std::filesystem::path& path, const checkpoint_kind& kind,
                   const run_identity& identity);
    run_checkpoint(const run_checkpoint&) = delete;  // the reader borrows the file
    run_checkpoint& operator=(const run_checkpoint&) = delete;

    [[nodiscard]] byte_reader& body() { return m_body; }

private:
    mapped_file m_file;
    byte_reader m_body;
};

#if XLENS_DEFINES(storage)

namespace detail {
inline std::string checkpoint_magic(const checkpoint_kind& kind) {
    return fmt::format("xlens {} checkpoint {}\n", kind.program, kind.version);
}
}  // namespace detail

[[noreturn]] XLENS_API void fail_damaged(std::string_view file) {
    fail("{}: damaged; delete it to start from the beginning", file);
}

XLENS_API void check_same_run(std::string_view file, const run_identity& then,
                              const run_identity& now) {
    if (then.size() != now.size()) { fail_damaged(file); }
    for (std::size_t i = 0; i < now.size(); ++i) {
        if (then[i].first != now[i].first) { fail_damaged(file); }
        if (then[i].second != now[i].second) {
            fail(
                "{}: belongs to a run with {} {}, this one has {}; delete it to start from the "
                "beginning",
                file, now[i].first, printable(then[i].second), printable(now[i].second));
        }
    }
}

XLENS_API void write_run_checkpoint(const std::filesystem::path& path, const checkpoint_kind& kind,
                                    const run_identity& identity, const byte_buffer& body) {
    byte_buffer head;
    head.bytes.reserve(4096);  // without it g++ 12 warns of an overflow that cannot be
    byte_writer out(head);
    out.size(identity.size());
    for (const auto& [field, value] : identity) {
        out.string(field);
        out.string(value);
    }
    fnv1a hash;
    hash.add(head.bytes);
    hash.add(body.bytes);
    atomic_file file(path);
    byte_writer whole(file);
    const std::string magic = detail::checkpoint_magic(kind);
    whole.values(std::span(magic));
    whole.value(hash.value());
    whole.values(std::span(head.bytes));
    whole.values(std::span(body.bytes));
    file.commit();
}

XLENS_API run_checkpoint::run_checkpoint(const std::filesystem::path& path,
                                         const checkpoint_kind& kind, const run_identity& identity)
    : m_file(path), m_body(m_file.name(), m_file.bytes()) {
    const std::string expected = detail::checkpoint_magic(kind);
    const auto magic = std::as_bytes(std::span(expected));
    const std::span<const std::byte> bytes = m_file.bytes();
    if (bytes.size() < magic.size() || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) {
        fail("{}: expected a checkpoint of xlens {}, version {}", m_file.name(), kind.program,
             kind.version);
    }
    m_body.take(magic.size(), "begin");
    const auto sum = m_body.number<std::uint64_t>("checksum");
    fnv1a hash;
    hash.add(bytes.subspan(m_body.position()));
    if (hash.value() != sum) { fail_damaged(m_file.name()); }
    run_identity then;
    const auto count = m_body.number<std::uint64_t>("identity");
    if (count != identity.size()) { fail_damaged(m_file.name()); }
    for (std::size_t i = 0; i < identity.size(); ++i) {
        const std::string_view field = m_body.string("identity");
        then.emplace_back(field, m_body.string("identity"));
    }
    check_same_run(m_file.name(), then, identity);
}

#endif

}  // namespace xlens
