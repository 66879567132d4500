// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/numerics/logistic_regression.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/byte_reader.hpp>
#include <xlens/storage/byte_writer.hpp>
#include <xlens/storage/mapped_file.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace xlens::early_exit {

/// Writes a fitted rule, little-endian, piece by piece; the file appears when it is whole. A header
/// of 8 bytes of magic, the version and the model's fingerprint comes first.
class exit_writer : public byte_writer<atomic_file> {
public:
    static constexpr std::array<char, 8> magic{'x', 'l', 'e', 'n', 's', 'e', 'x', 't'};
    static constexpr std::uint32_t version = 3;

    exit_writer(const std::filesystem::path& path, std::uint64_t fingerprint);
    void lens(const linear_lens& fitted);
    void regression(const logistic& fitted);
    void commit() { m_file.commit(); }

private:
    atomic_file m_file;
};

/// Reads what exit_writer wrote. Throws xlens::error for a file that is no fitted rule, has another
/// version or belongs to another model, and for any length that the file does not hold.
class exit_reader {
public:
    exit_reader(const std::filesystem::path& path, std::uint64_t fingerprint);
    exit_reader(const exit_reader&) = delete;
    exit_reader& operator=(const exit_reader&) = delete;

    [[nodiscard]] const std::string& name() const { return m_file.name(); }

    template <class T>
    T value(std::string_view field) {
        return m_in.value<T>(field);
    }
    /// A number up to `most`.
    std::size_t size(std::string_view field, std::size_t most);
    template <class T>
    std::vector<T> list(std::string_view field) {
        return m_in.list<T>(field);
    }
    std::string string(std::string_view field) { return std::string(m_in.string(field)); }
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
    linear_lens lens(std::size_t layers, std::size_t width);
    logistic regression(std::size_t features);
    /// Fails if bytes are left.
    void finish() const;

private:
    mapped_file m_file;
    byte_reader m_in;
};

#if XLENS_DEFINES(early_exit)

XLENS_API exit_writer::exit_writer(const std::filesystem::path& path, std::uint64_t fingerprint)
    : byte_writer(m_file), m_file(path) {
    value(magic);
    value(version);
    value(fingerprint);
}

XLENS_API void exit_writer::lens(const linear_lens& fitted) {
    size(fitted.layers().size());
    for (const auto& [layer, t] : fitted.layers()) {
        size(layer);
        list(std::vector<float>(t.weights.begin(), t.weights.end()));
        list(std::vector<float>(t.bias.begin(), t.bias.end()));
        value(t.how);
    }
}

XLENS_API void exit_writer::regression(const logistic& fitted) {
    list(fitted.weights);
    value(fitted.constant);
}

XLENS_API exit_reader::exit_reader(const std::filesystem::path& path, std::uint64_t fingerprint)
    : m_file(path), m_in(m_file.name(), m_file.bytes()) {
    if (m_file.bytes().size() < sizeof exit_writer::magic ||
        value<std::array<char, 8>>("magic") != exit_writer::magic) {
        fail("{}: not a fitted exit rule of xlens", name());
    }
    const auto format = value<std::uint32_t>("version");
    if (format != exit_writer::version) {
        fail("{}: exit rule: expected version {}, got {}", name(), exit_writer::version, format);
    }
    const auto model = value<std::uint64_t>("model");
    if (model != fingerprint) {
        fail("{}: exit rule: fitted to model {}, this one is {}", name(),
             fmt::format("{:016x}", model), fmt::format("{:016x}", fingerprint));
    }
}

XLENS_API std::size_t exit_reader::size(std::string_view field, std::size_t most) {
    const auto out = value<std::uint64_t>(field);
    if (out > most) {
        fail("{}: exit rule: {}: expected at most {}, got {}", name(), field, most, out);
    }
    return static_cast<std::size_t>(out);
}

XLENS_API linear_lens exit_reader::lens(std::size_t layers, std::size_t width) {
    linear_lens out;
    const std::size_t count = size("lens", layers);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t layer = size("layer", layers - 1);
        const auto weights = list<float>("lens weights", width * width);
        const auto bias = list<float>("lens bias");
        if (!bias.empty() && bias.size() != width) {
            fail("{}: exit rule: lens bias: expected {} numbers or none, got {}", name(), width,
                 bias.size());
        }
        const auto how = value<std::uint8_t>("lens kind");
        if (how > static_cast<std::uint8_t>(translation::added)) {
            fail("{}: exit rule: lens kind: expected 0 to 2, got {}", name(), how);
        }
        translator t{xt::empty<float>({width, width}), xt::empty<float>({bias.size()}),
                     static_cast<translation>(how)};
        std::copy(weights.begin(), weights.end(), t.weights.begin());
        std::copy(bias.begin(), bias.end(), t.bias.begin());
        out.set(layer, std::move(t));
    }
    return out;
}

XLENS_API logistic exit_reader::regression(std::size_t features) {
    logistic out;
    out.weights = list<float>("weights", features);
    out.constant = value<float>("constant");
    return out;
}

XLENS_API void exit_reader::finish() const {
    if (m_in.remaining() != 0) {
        fail("{}: exit rule: expected {} bytes, got {}", name(), m_in.position(),
             m_file.bytes().size());
    }
}

#endif

}  // namespace xlens::early_exit
