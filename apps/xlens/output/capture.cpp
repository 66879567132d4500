// SPDX-License-Identifier: BSD-3-Clause
#include "output/capture.hpp"

#include <xlens/core/number_ranges.hpp>
#include <xlens/json/writer.hpp>
#include <xlens/text/utf8.hpp>
#include <xlens/trace/capture.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

namespace xlens::program {

namespace {

std::uint64_t bytes_of(const capture_result& result) {
    std::uint64_t out = 0;
    for (const capture_file& f : result.files) { out += f.bytes; }
    return out;
}

/// "(rows, 576)"
std::string shape_text(const capture_layout& l) {
    std::string out = "(rows";
    for (const std::size_t size : l.shape) { out += fmt::format(", {}", size); }
    return out + ")";
}

/// Arrays of several layers in one line.
void print_arrays(const std::vector<capture_layout>& arrays) {
    for (std::size_t a = 0; a < arrays.size();) {
        const capture_layout& first = arrays[a];
        std::vector<std::size_t> layers;
        do {
            if (arrays[a].layer) { layers.push_back(*arrays[a].layer); }
            ++a;
        } while (a < arrays.size() && first.layer && arrays[a].site == first.site &&
                 first.computed_by.empty() && arrays[a].computed_by.empty());
        const std::string name = first.layer && first.computed_by.empty()
                                     ? fmt::format("{}.{}", first.site, ranges_text(layers))
                                     : first.name;
        fmt::print("  {:<24} {} {}\n", name, facts_of(first.type).safetensors, shape_text(first));
    }
}

}  // namespace

void write_capture(xlens::json_writer& out, const std::string& folder,
                   const capture_result& result) {
    out.field("folder", replace_invalid(folder));
    out.field("sequences", result.sequences);
    out.field("rows", result.rows);
    out.field("bytes", bytes_of(result));
    out.key("arrays");
    out.begin_array();
    for (const capture_layout& l : result.arrays) {
        out.begin_object();
        out.field("name", l.name);
        out.field("dtype", facts_of(l.type).safetensors);
        out.key("shape");
        out.begin_array();
        out.value(result.rows);
        for (const std::size_t size : l.shape) { out.value(size); }
        out.end_array();
        out.end_object();
    }
    out.end_array();
    out.key("files");
    out.begin_array();
    for (const capture_file& f : result.files) { out.value(f.name); }
    out.end_array();
}

void print_capture(const std::string& folder, const capture_result& result) {
    const auto plural = [](std::size_t n) { return n == 1 ? "" : "s"; };
    fmt::print("{}: {} row{} of {} sequence{}, {:.1f} MB in {} file{}\n", replace_invalid(folder),
               result.rows, plural(result.rows), result.sequences, plural(result.sequences),
               static_cast<double>(bytes_of(result)) / 1e6, result.files.size(),
               plural(result.files.size()));
    print_arrays(result.arrays);
}

}  // namespace xlens::program
