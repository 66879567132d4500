// SPDX-License-Identifier: BSD-3-Clause
// expect: policy: member 'check' must be
// lines: 19
#include <xlens/model/presets.hpp>
#include <xlens/model/transformer.hpp>

struct mine {
    static constexpr xlens::hook hooks = xlens::hook::none;
#ifdef XLENS_MUST_NOT_COMPILE
    void check(const xlens::model_sizes&) {}  // not const: it would not be called
#else
    void check(const xlens::model_sizes&) const {}
#endif
};

void f(const xlens::transformer<xlens::presets::llama>& model, xlens::sequence_state& state,
       std::span<const xlens::token_id> tokens, mine& policy) {
    model.forward(state, tokens, policy);
}
