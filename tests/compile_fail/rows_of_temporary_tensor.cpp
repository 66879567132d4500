// SPDX-License-Identifier: BSD-3-Clause
// expect: deleted function
// expect: deleted constructor
#include <xlens/storage/rows.hpp>

float f(const xt::xtensor<float, 2>& x) {
#ifdef XLENS_MUST_NOT_COMPILE
    const xlens::rows<float> r(xt::xtensor<float, 2>{x});
#else
    const xlens::rows<const float> r(x);
#endif
    return r[0][0];
}
