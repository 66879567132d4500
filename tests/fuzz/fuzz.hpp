// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <xlens/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace xlens::test {

/// Runs read(); an xlens::error with a one-line message is a good answer, everything else (another
/// exception, a message of several lines) is a finding.
template <class Read>
void accept_error(Read&& read) {
    try {
        read();
    } catch (const error& e) {
        const std::string_view message = e.what();
        if (message.empty() || message.find('\n') != std::string_view::npos) { std::abort(); }
    }
}

/// A copy of the input that ends where its allocation ends, so that a sanitizer sees a read past
/// it.
class exact_copy {
public:
    exact_copy(const std::uint8_t* data, std::size_t size)
        : m_bytes(std::make_unique<std::byte[]>(size)), m_size(size) {
        for (std::size_t i = 0; i < size; ++i) { m_bytes[i] = std::byte{data[i]}; }
    }
    [[nodiscard]] std::span<const std::byte> bytes() const { return {m_bytes.get(), m_size}; }

private:
    std::unique_ptr<std::byte[]> m_bytes;
    std::size_t m_size;
};

/// A file of these bytes that has no name.
class memory_file {
public:
    memory_file(const std::uint8_t* data, std::size_t size)
        : m_number(::memfd_create("fuzz", MFD_CLOEXEC)) {
        if (m_number < 0 || ::write(m_number, data, size) != static_cast<ssize_t>(size)) {
            std::abort();
        }
    }
    ~memory_file() { ::close(m_number); }
    memory_file(const memory_file&) = delete;
    memory_file& operator=(const memory_file&) = delete;
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(m_number); }

private:
    int m_number;
};

/// Aborts unless the tensor lies inside the file, and reads its first and last byte.
template <class Tensor>
void check_inside(const Tensor& tensor, std::span<const std::byte> file) {
    if (tensor.bytes == 0) { return; }
    if (tensor.data < file.data() || tensor.bytes > file.size() ||
        tensor.data - file.data() > static_cast<std::ptrdiff_t>(file.size() - tensor.bytes)) {
        std::abort();
    }
    const volatile std::byte sink = tensor.data[0] ^ tensor.data[tensor.bytes - 1];
    static_cast<void>(sink);
}

/// Writes the seeds, name -> bytes, into the folder that XLENS_FUZZ_SEEDS names and ends the
/// program; does nothing where it is not set. Call it from LLVMFuzzerInitialize.
inline void write_seeds(const std::map<std::string, std::string>& seeds) {
    const char* folder = std::getenv("XLENS_FUZZ_SEEDS");
    if (folder == nullptr) { return; }
    std::filesystem::create_directories(folder);
    for (const auto& [name, bytes] : seeds) {
        std::ofstream out(std::filesystem::path(folder) / name, std::ios::binary);
        out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    std::exit(0);
}

}  // namespace xlens::test
