// SPDX-License-Identifier: BSD-3-Clause
// expect: policy: hook 'logits' must be declared
// lines: 19
#include <xlens/model/presets.hpp>
#include <xlens/model/transformer.hpp>

struct mine {
    static constexpr xlens::hook hooks = xlens::hook::logits;
#ifdef XLENS_MUST_NOT_COMPILE
    bool logits(const xlens::site&, xlens::rows<float>) { return false; }
#else
    void logits(const xlens::site&, xlens::rows<float>) {}
#endif
};

void f(const xlens::transformer<xlens::presets::llama>& model, xlens::sequence_state& state,
       std::span<const xlens::token_id> tokens, mine& policy) {
    model.forward(state, tokens, policy);
}
