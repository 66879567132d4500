// SPDX-License-Identifier: BSD-3-Clause
// expect: policy: hook 'after' must be declared
// lines: 19
#include <xlens/model/model.hpp>

struct mine {
#ifdef XLENS_MUST_NOT_COMPILE
    static constexpr xlens::hook hooks = xlens::hook::none;
    void after(const xlens::site&, int) {}
    void after(const xlens::site&, double) {}
#else
    static constexpr xlens::hook hooks = xlens::hook::after;
    void after(const xlens::site&, xlens::rows<float>) {}
#endif
};

void f(const xlens::model& model, xlens::sequence_state& state, mine& policy) {
    model.forward(state, {1}, policy);
}
