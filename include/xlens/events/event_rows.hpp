// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/events/event_reader.hpp>

#include <fmt/format.h>

#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#if XLENS_DEFINES(events)
#include <xlens/core/error.hpp>
#include <xlens/storage/open_files.hpp>
#include <xlens/text/tokenizer.hpp>

#include <cerrno>
#include <system_error>
#endif

namespace xlens {

/// The header of the table of events, one comma-separated row an event.
XLENS_API std::string event_header(std::string_view form);

namespace detail {
/// In quotes, as RFC 4180 has it.
XLENS_API std::string csv_text(std::string_view text);
/// Six significant digits; nothing where there is no number.
inline std::string csv_number(float x) { return std::isnan(x) ? "" : fmt::format("{:.6g}", x); }
}  // namespace detail

/// An event as a row; scores in one form, folded or raw.
XLENS_API std::string event_row(const text_event& e, projection form, std::string_view token);

/// A file that grows while a run goes on, beside the name that it will get: `path`.part. A run that
/// goes on later cuts it back to what its checkpoint knows of. Throws xlens::error, also where a
/// name is that of a file that is being read.
class growing_file {
public:
    /// Goes on after the first `kept` bytes.
    growing_file(std::filesystem::path path, std::uint64_t kept);

    void write(std::string_view text);
    /// Everything is on the disk; how much that is.
    std::uint64_t flush();
    /// Gives the file its name.
    void finish();

private:
    struct closer {
        void operator()(std::FILE* file) const { static_cast<void>(std::fclose(file)); }
    };
    [[noreturn]] static void refuse(const std::string& name);

    std::filesystem::path m_path;
    std::string m_part;
    std::uint64_t m_bytes = 0;
    std::unique_ptr<std::FILE, closer> m_file;
};

#if XLENS_DEFINES(events)

XLENS_API std::string event_header(std::string_view form) {
    std::string out =
        "position,window,layer,kind,token,text,other,log_before,log_after,"
        "dominance_share,norm_share,whole,whole_centred,other_whole,"
        "other_whole_centred";
    for (const std::string_view group : score_groups) {
        for (const std::string_view centred : {"", "_centred"}) {
            for (const std::string_view which : {"mean", "max", "min"}) {
                out += fmt::format(",{}_{}{}_{}", group, form, centred, which);
            }
        }
    }
    return out + "\n";
}

namespace detail {

XLENS_API std::string csv_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        out += c;
        if (c == '"') { out += c; }
    }
    return out + '"';
}

}  // namespace detail

XLENS_API std::string event_row(const text_event& e, projection form, std::string_view token) {
    const update_measures& u = e.measures;
    std::string out = fmt::format(
        "{},{},{},{},{},{},{},{},{},{},{}", e.position, e.window, e.what.layer,
        update_sets[static_cast<std::size_t>(e.what.kind)], e.what.token, detail::csv_text(token),
        e.what.other, detail::csv_number(u.log_before), detail::csv_number(u.log_after),
        detail::csv_number(u.dominance_share), detail::csv_number(u.norm_share));
    for (const float x : {u.whole.score, u.whole.centred, u.other.score, u.other.centred}) {
        out += ',';
        out += detail::csv_number(x);
    }
    const std::size_t first = form == projection::raw ? 2 : 0;
    for (const auto& group : u.scores.all) {
        for (const std::size_t f : {first, first + 1}) {
            for (const float x : {group[f].mean, group[f].max, group[f].min}) {
                out += ',';
                out += detail::csv_number(x);
            }
        }
    }
    return out + "\n";
}

XLENS_API growing_file::growing_file(std::filesystem::path path, std::uint64_t kept)
    : m_path(std::move(path)), m_part(m_path.string() + ".part"), m_bytes(kept) {
    refuse_input(m_path);
    refuse_input(m_part);
    std::error_code ignored;
    if (kept > 0 && !std::filesystem::exists(m_part, ignored)) {
        std::filesystem::rename(m_path, m_part, ignored);  // it was finished
    }
    m_file.reset(std::fopen(m_part.c_str(), kept > 0 ? "r+b" : "wb"));
    if (!m_file) { refuse(m_part); }
    std::error_code problem;
    const std::uintmax_t size = std::filesystem::file_size(m_part, problem);
    if (problem || size < kept) {
        fail("{}: {} bytes, the run to be continued had written {}", printable(m_part, 1024), size,
             kept);
    }
    if (::ftruncate(::fileno(m_file.get()), static_cast<off_t>(kept)) != 0 ||
        std::fseek(m_file.get(), 0, SEEK_END) != 0) {
        refuse(m_part);
    }
}

XLENS_API void growing_file::write(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), m_file.get()) != text.size()) { refuse(m_part); }
    m_bytes += text.size();
}

XLENS_API std::uint64_t growing_file::flush() {
    if (std::fflush(m_file.get()) != 0 || ::fsync(::fileno(m_file.get())) != 0) { refuse(m_part); }
    return m_bytes;
}

XLENS_API void growing_file::finish() {
    flush();
    m_file.reset();
    if (std::rename(m_part.c_str(), m_path.c_str()) != 0) { refuse(m_path.string()); }
}

XLENS_API void growing_file::refuse(const std::string& name) {
    fail("{}: cannot be written: {}", printable(name, 1024),
         std::generic_category().message(errno));
}

#endif

}  // namespace xlens
