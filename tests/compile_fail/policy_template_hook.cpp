// SPDX-License-Identifier: BSD-3-Clause
// expect: policy: hook 'before' must be declared
// lines: 19
#include <xlens/model/model.hpp>
#include <xlens/trace/trace.hpp>

struct mine {
#ifdef XLENS_MUST_NOT_COMPILE
    static constexpr xlens::hook hooks = xlens::hook::none;
    template <class Rows>
    void before(const xlens::site&, Rows) {}
#else
    static constexpr xlens::hook hooks = xlens::hook::before;
    void before(const xlens::site&, xlens::rows<float>) {}
#endif
};

void f(const xlens::model& model, std::span<const xlens::token_id> tokens, mine& policy) {
    xlens::trace(model, tokens, {}, policy);
}
