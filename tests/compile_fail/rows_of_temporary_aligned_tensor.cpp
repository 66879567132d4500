// SPDX-License-Identifier: BSD-3-Clause
// expect: deleted function
// expect: deleted constructor
#include <xlens/core/aligned.hpp>
#include <xlens/storage/rows.hpp>

float f(const xlens::aligned_tensor& x) {
#ifdef XLENS_MUST_NOT_COMPILE
    const xlens::rows<const float> r(xlens::aligned_tensor{x});
#else
    const xlens::rows<const float> r(x);
#endif
    return r[0][0];
}
