// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/io/safetensors_parse.hpp>
#include <xlens/storage/guarded.hpp>
#include <xlens/storage/mapped_file.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace xlens {

/// A safetensors file, mapped and checked when it is opened. Tensors point into the mapping and
/// live as long as this object, which may be moved. Opening is O(header); the data are not read.
class safetensors_file {
public:
    explicit safetensors_file(const std::filesystem::path& path)
        : m_file(path), m_contents(guarded(m_file.name(), [this] {
              return parse_safetensors(m_file.name(), m_file.bytes());
          })) {}

    [[nodiscard]] const std::string& name() const { return m_file.name(); }
    /// The whole file.
    [[nodiscard]] std::span<const std::byte> bytes() const { return m_file.bytes(); }

    /// The weights: F32, F16, BF16, F8_E4M3 and F8_E5M2.
    [[nodiscard]] const tensor_map& tensors() const { return m_contents.tensors; }
    /// The weight of that name, or null.
    [[nodiscard]] const stored_tensor* find(std::string_view tensor) const {
        const auto found = m_contents.tensors.find(tensor);
        return found == m_contents.tensors.end() ? nullptr : &found->second;
    }
    /// Tensors that are no weights, integers and booleans: name -> dtype.
    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& skipped() const {
        return m_contents.skipped;
    }
    /// Of these, those in U8, with their bytes.
    [[nodiscard]] const std::map<std::string, packed_bytes, std::less<>>& packed() const {
        return m_contents.packed;
    }
    /// `__metadata__`.
    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& metadata() const {
        return m_contents.metadata;
    }

private:
    mapped_file m_file;
    safetensors_contents m_contents;
};

}  // namespace xlens
