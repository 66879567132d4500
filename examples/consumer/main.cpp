// SPDX-License-Identifier: BSD-3-Clause

// The smallest program on top of an installed xlens: it multiplies one row by a 2 x 2 matrix.
// Makefile, CMakeLists.txt and meson.build beside it each show one way to find the library.
#include <fmt/core.h>
#include <xlens/kernels/matmul.hpp>
#include <xlens/report/assets.hpp>
#include <xlens/storage/matrix.hpp>

#include <array>
#include <cstddef>
#include <span>

int main() {
    const std::array weights{1.0F, 2.0F, 3.0F, 4.0F};
    const xlens::matrix<xlens::f32> w(std::as_bytes(std::span(weights)).data(), 2, 2);
    const std::array x{10.0F, 1.0F};
    std::array<float, 2> y{};
    xlens::kernels::matvec(w, x, y);
    fmt::print("{} {}\n", y[0], y[1]);
}
