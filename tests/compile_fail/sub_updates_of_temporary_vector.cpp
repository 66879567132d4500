// SPDX-License-Identifier: BSD-3-Clause
// expect: deleted function
// expect: deleted member function
#include <xlens/kernels/activation.hpp>
#include <xlens/nn/feed_forward.hpp>
#include <xlens/nn/sub_updates.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/matrix.hpp>

#include <vector>

using layer = xlens::feed_forward<xlens::relu, xlens::ungated, xlens::matrix<xlens::f32>>;

void f(const layer& ffn, const std::vector<float>& x) {
#ifdef XLENS_MUST_NOT_COMPILE
    (void)ffn.sub_updates(std::vector<float>(x));
#else
    (void)ffn.sub_updates(x);
#endif
}
