// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <support/byte_writer.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xlens::test {

/// Writes GGUF files from the format's description, independently of the reader, right or wrong:
/// every number that a file declares can be set.
class gguf_builder {
public:
    // The format's own numbers.
    enum type : std::uint32_t {
        u8,
        i8,
        u16,
        i16,
        u32,
        i32,
        f32,
        boolean,
        string,
        array,
        u64,
        i64,
        f64
    };

    std::string magic = "GGUF";
    std::uint32_t version = 3;
    std::optional<std::uint64_t> tensor_count;  // instead of the right one
    std::optional<std::uint64_t> key_count;
    std::size_t alignment = 32;

    template <class T>
    gguf_builder& key(std::string_view name, type id, T value) {
        return raw_key(name, byte_writer().number(static_cast<std::uint32_t>(id)).number(value));
    }
    gguf_builder& text(std::string_view name, std::string_view value) {
        return raw_key(name, byte_writer().number(std::uint32_t{string}).text(value));
    }
    template <class T>
    gguf_builder& numbers(std::string_view name, type id, const std::vector<T>& values) {
        byte_writer out;
        array_header(out, id, values.size());
        for (const T value : values) { out.number(value); }
        return raw_key(name, out);
    }
    gguf_builder& texts(std::string_view name, const std::vector<std::string>& values) {
        byte_writer out;
        array_header(out, string, values.size());
        for (const auto& value : values) { out.text(value); }
        return raw_key(name, out);
    }
    /// `value` is everything after the key's name: type and value.
    gguf_builder& raw_key(std::string_view name, const byte_writer& value) {
        m_keys.text(name).raw(value.bytes());
        ++m_key_count;
        return *this;
    }
    /// `dims` fastest first, as the file has them.
    gguf_builder& tensor(std::string_view name, const std::vector<std::uint64_t>& dims,
                         std::uint32_t id, std::uint64_t offset) {
        m_tensors.text(name).number(static_cast<std::uint32_t>(dims.size()));
        for (const auto size : dims) { m_tensors.number(size); }
        m_tensors.number(id).number(offset);
        ++m_tensor_count;
        return *this;
    }
    gguf_builder& data(std::string_view bytes) {
        m_data.raw(bytes);
        return *this;
    }
    gguf_builder& data(std::size_t zeros) { return data(std::string(zeros, '\0')); }

    [[nodiscard]] std::string bytes() const {
        byte_writer out;
        out.raw(magic).number(version);
        out.number(tensor_count.value_or(m_tensor_count)).number(key_count.value_or(m_key_count));
        out.raw(m_keys.bytes()).raw(m_tensors.bytes());
        if (m_tensor_count > 0) { out.align(alignment); }
        return out.raw(m_data.bytes()).bytes();
    }

private:
    static void array_header(byte_writer& out, type id, std::size_t count) {
        out.number(std::uint32_t{array}).number(static_cast<std::uint32_t>(id));
        out.number(static_cast<std::uint64_t>(count));
    }

    byte_writer m_keys;
    byte_writer m_tensors;
    byte_writer m_data;
    std::uint64_t m_key_count = 0;
    std::uint64_t m_tensor_count = 0;
};

}  // namespace xlens::test
