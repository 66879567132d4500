// SPDX-License-Identifier: BSD-3-Clause
// What -Dprecompiled=true compiles once for our programs and tests, which take half of their time
// to compile without it.
#pragma once

#include <xlens/xlens.hpp>

#if __has_include(<CLI/CLI.hpp>)
#include <CLI/CLI.hpp>
#endif
