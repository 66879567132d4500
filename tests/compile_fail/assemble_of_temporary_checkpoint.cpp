// SPDX-License-Identifier: BSD-3-Clause
// expect: deleted function
#include <xlens/io/assemble.hpp>
#include <xlens/io/open_checkpoint.hpp>

void f(const char* path) {
#ifdef XLENS_MUST_NOT_COMPILE
    (void)xlens::assemble<xlens::presets::any>(xlens::open_checkpoint(path));
#else
    const xlens::checkpoint file = xlens::open_checkpoint(path);
    (void)xlens::assemble<xlens::presets::any>(file);
#endif
}
