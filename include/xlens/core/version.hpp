// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

namespace xlens {

/// The library's version, the one in meson.build (a test compares them).
inline constexpr std::string_view version = "0.2.0";

}  // namespace xlens
