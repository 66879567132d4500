// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/numerics/logistic_regression.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/mapped_file.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace xlens {

/// Writes a fitted rule, little-endian, piece by piece; the file appears when it is whole. A header
/// of 8 bytes of magic, the version and the model's fingerprint comes first.
class exit_writer {
public:
    static constexpr std::array<char, 8> magic{'x', 'l', 'e', 'n', 's', 'e', 'x', 't'};
    static constexpr std::uint32_t version = 2;

    exit_writer(const std::filesystem::path& path, std::uint64_t fingerprint) : m_file(path) {
        numbers(std::span(magic));
        number(version);
        number(fingerprint);
    }
    template <class T>
        requires std::is_arithmetic_v<T>
    void number(T value) {
        numbers(std::span<const T>(&value, 1));
    }
    template <class T, std::size_t N>
    void numbers(std::span<T, N> values) {
        m_file.write(std::as_bytes(values));
    }
    void size(std::size_t value) { number(std::uint64_t{value}); }
    /// A length, then the values.
    template <class T>
    void list(const std::vector<T>& values) {
        size(values.size());
        numbers(std::span(values));
    }
    void text(std::string_view value) { list(std::vector<char>(value.begin(), value.end())); }
    void lens(const linear_lens& value) {
        size(value.layers().size());
        for (const auto& [layer, t] : value.layers()) {
            size(layer);
            list(std::vector<float>(t.weights.begin(), t.weights.end()));
            list(std::vector<float>(t.bias.begin(), t.bias.end()));
        }
    }
    void regression(const logistic& value) {
        list(value.weights);
        number(value.constant);
    }
    void commit() { m_file.commit(); }

private:
    atomic_file m_file;
};

/// Reads what exit_writer wrote. Throws xlens::error for a file that is no fitted rule, has another
/// version or belongs to another model, and for any length that the file does not hold.
class exit_reader {
public:
    exit_reader(const std::filesystem::path& path, std::uint64_t fingerprint) : m_file(path) {
        if (m_file.bytes().size() < sizeof exit_writer::magic ||
            std::memcmp(m_file.bytes().data(), exit_writer::magic.data(), 8) != 0) {
            fail("{}: not a fitted exit rule of xlens", name());
        }
        m_position = sizeof exit_writer::magic;
        const auto version = number<std::uint32_t>("version");
        if (version != exit_writer::version) {
            fail("{}: exit rule: expected version {}, got {}", name(), exit_writer::version,
                 version);
        }
        const auto model = number<std::uint64_t>("model");
        if (model != fingerprint) {
            fail("{}: exit rule: fitted to model {:016x}, this one is {:016x}", name(), model,
                 fingerprint);
        }
    }
    [[nodiscard]] const std::string& name() const { return m_file.name(); }

    template <class T>
    T number(std::string_view field) {
        T out;
        std::memcpy(&out, take(sizeof(T), 1, field), sizeof(T));
        return out;
    }
    /// A number up to `most`.
    std::size_t size(std::string_view field, std::size_t most) {
        const auto out = number<std::uint64_t>(field);
        if (out > most) {
            fail("{}: exit rule: {}: expected at most {}, got {}", name(), field, most, out);
        }
        return static_cast<std::size_t>(out);
    }
    template <class T>
    std::vector<T> list(std::string_view field) {
        const std::size_t count = size(field, m_file.bytes().size());
        std::vector<T> out;
        const std::byte* from = take(sizeof(T), count, field);
        out.resize(count);
        if (count > 0) { std::memcpy(out.data(), from, count * sizeof(T)); }
        return out;
    }
    std::string text(std::string_view field) {
        const auto chars = list<char>(field);
        return {chars.begin(), chars.end()};
    }
    /// A list of exactly `count` numbers.
    template <class T>
    std::vector<T> list(std::string_view field, std::size_t count) {
        auto out = list<T>(field);
        if (out.size() != count) {
            fail("{}: exit rule: {}: expected {} numbers, got {}", name(), field, count,
                 out.size());
        }
        return out;
    }
    linear_lens lens(std::size_t layers, std::size_t width) {
        linear_lens out;
        const std::size_t count = size("lens", layers);
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t layer = size("layer", layers - 1);
            const auto weights = list<float>("lens weights", width * width);
            const auto bias = list<float>("lens bias", width);
            translator t{xt::empty<float>({width, width}), xt::empty<float>({width})};
            std::copy(weights.begin(), weights.end(), t.weights.begin());
            std::copy(bias.begin(), bias.end(), t.bias.begin());
            out.set(layer, std::move(t));
        }
        return out;
    }
    logistic regression(std::size_t features) {
        logistic out;
        out.weights = list<float>("weights", features);
        out.constant = number<float>("constant");
        return out;
    }
    /// Fails if bytes are left.
    void finish() const {
        if (m_position != m_file.bytes().size()) {
            fail("{}: exit rule: expected {} bytes, got {}", name(), m_position,
                 m_file.bytes().size());
        }
    }

private:
    const std::byte* take(std::size_t bytes, std::size_t count, std::string_view field) {
        const std::size_t left = m_file.bytes().size() - m_position;
        if (count > left / bytes) {
            fail("{}: exit rule: {}: expected {} numbers of {} bytes, got {} bytes", name(), field,
                 count, bytes, left);
        }
        const std::byte* out = m_file.bytes().data() + m_position;
        m_position += bytes * count;
        return out;
    }

    mapped_file m_file;
    std::size_t m_position = 0;
};

}  // namespace xlens
