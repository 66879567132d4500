// SPDX-License-Identifier: BSD-3-Clause

// The smallest program on top of an installed xlens: it multiplies one row by a 2 x 2 matrix.
// Makefile, CMakeLists.txt and meson.build beside it each show one way to find the library.
#include <fmt/format.h>
#include <xlens/storage/matrix.hpp>

#include <array>
#include <cstddef>
#include <span>

int main() {
    const std::array weights{1.0F, 2.0F, 3.0F, 4.0F};
    const xlens::matrix<xlens::f32> w(std::as_bytes(std::span(weights)).data(), 2, 2);
    const std::array x{10.0F, 1.0F};
    fmt::print("{} {}\n", w(0, 0) * x[0] + w(0, 1) * x[1], w(1, 0) * x[0] + w(1, 1) * x[1]);
}
