// SPDX-License-Identifier: BSD-3-Clause
// expect: policy: hook 'after' must be declared
// lines: 19
#include <xlens/model/presets.hpp>
#include <xlens/model/transformer.hpp>

struct mine {
#ifdef XLENS_MUST_NOT_COMPILE
    static constexpr xlens::hook hooks = xlens::hook::before;
#else
    static constexpr xlens::hook hooks = xlens::hook::before | xlens::hook::after;
#endif
    void before(const xlens::site&, xlens::rows<float>) {}
    xlens::flow after(const xlens::site&, xlens::rows<float>) { return xlens::flow::stop; }
};

void f(const xlens::transformer<xlens::presets::gpt2>& model, xlens::sequence_state& state,
       std::span<const xlens::token_id> tokens, mine& policy) {
    model.forward(state, tokens, policy);
}
