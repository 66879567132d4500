// SPDX-License-Identifier: BSD-3-Clause
// expect: deleted function
// expect: deleted member function
#include <xlens/kernels/activation.hpp>
#include <xlens/nn/feed_forward.hpp>
#include <xlens/nn/sub_updates.hpp>

using layer = xlens::feed_forward<xlens::silu, xlens::gated, xlens::any_matrix>;

void f(const layer& ffn, const xt::xtensor<float, 1>& x) {
#ifdef XLENS_MUST_NOT_COMPILE
    (void)ffn.sub_updates(xt::xtensor<float, 1>(x));
#else
    (void)ffn.sub_updates(x);
#endif
}
