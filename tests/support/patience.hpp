// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace xlens::test {

/// Times as long as natively that a test with a limit of seconds may take: sanitizers are slow.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr double patience = 6.0;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr double patience = 6.0;
#else
inline constexpr double patience = 1.0;
#endif
#else
inline constexpr double patience = 1.0;
#endif

}  // namespace xlens::test
