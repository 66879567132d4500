// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json.hpp>

#include "support/json_document.hpp"

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

// Reading the arrays of safetensors files by the format's own description: a length of 8 bytes, a
// JSON header, bytes.

namespace xlens::test {

struct stored_array {
    std::string dtype;
    std::vector<std::size_t> shape;  ///< of the rows of all files
    std::string bytes;

    template <class T>
    [[nodiscard]] std::vector<T> as(const std::string& expected) const {
        if (dtype != expected) { throw std::runtime_error("dtype " + dtype); }
        std::vector<T> out(bytes.size() / sizeof(T));
        std::memcpy(out.data(), bytes.data(), bytes.size());
        return out;
    }
    [[nodiscard]] std::vector<float> floats() const { return as<float>("F32"); }
    [[nodiscard]] std::vector<std::uint16_t> halves() const { return as<std::uint16_t>("F16"); }
    [[nodiscard]] std::vector<std::int32_t> integers() const { return as<std::int32_t>("I32"); }
};

/// The arrays of all safetensors files of a folder, file after file.
inline std::map<std::string, stored_array> read_capture(const std::filesystem::path& folder) {
    std::set<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() == ".safetensors") { files.insert(entry.path()); }
    }
    std::map<std::string, stored_array> out;
    for (const auto& path : files) {
        std::ifstream in(path, std::ios::binary);
        const std::string all((std::istreambuf_iterator<char>(in)),
                              std::istreambuf_iterator<char>());
        std::uint64_t length = 0;
        std::memcpy(&length, all.data(), sizeof(length));
        const auto header = json_document(all.substr(8, length));
        for (const auto& [name, tensor] : header.items()) {
            if (name == "__metadata__") { continue; }
            const auto begin = tensor["data_offsets"][0].get<std::size_t>();
            const auto end = tensor["data_offsets"][1].get<std::size_t>();
            stored_array& to = out[name];
            const auto shape = tensor["shape"].get<std::vector<std::size_t>>();
            to.dtype = tensor["dtype"].get<std::string>();
            if (to.shape.empty()) {
                to.shape = shape;
            } else {
                to.shape[0] += shape[0];
            }
            to.bytes += all.substr(8 + length + begin, end - begin);
        }
    }
    return out;
}

}  // namespace xlens::test
