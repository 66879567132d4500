// SPDX-License-Identifier: BSD-3-Clause
// expect: policy: hook 'head_outputs' must be declared
// lines: 19
#include <xlens/model/presets.hpp>
#include <xlens/model/transformer.hpp>

struct mine {
    static constexpr xlens::hook hooks = xlens::hook::pattern | xlens::hook::head_outputs;
    void pattern(const xlens::site&, xlens::rows<float>) {}
#ifdef XLENS_MUST_NOT_COMPILE
    void head_output(const xlens::site&, xlens::rows<float>) {}
#else
    void head_outputs(const xlens::site&, xlens::rows<float>) {}
#endif
};

void f(const xlens::transformer<xlens::presets::llama>& model, xlens::sequence_state& state,
       std::span<const xlens::token_id> tokens, mine& policy) {
    model.forward(state, tokens, policy);
}
