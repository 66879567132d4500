// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/hooks/answer.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace xlens {

/// Any number of policies chosen at run time, as one: a model's forward is compiled twice in a
/// program, for the empty pack and for this. Calls them in the order they were added.
class dynamic_policies {
public:
    static constexpr hook hooks = hook::embedding | hook::attention_out | hook::before |
                                  hook::pre_activations | hook::coefficients | hook::after |
                                  hook::read_out | hook::logits;

    /// Keeps a copy of the policy.
    template <policy P>
    void add(P p) {
        m_policies.push_back(std::make_unique<holder<P, P>>(std::move(p)));
    }
    /// Calls a policy that belongs to the caller, who reads it afterwards.
    template <policy P>
    void borrow(P& p) {
        m_policies.push_back(std::make_unique<holder<P, P&>>(p));
    }
    [[nodiscard]] bool empty() const { return m_policies.empty(); }
    [[nodiscard]] bool wants(hook h) const {
        return std::any_of(m_policies.begin(), m_policies.end(),
                           [h](const auto& p) { return p->wants_hook(h); });
    }
    [[nodiscard]] bool is_rowwise() const {
        return std::all_of(m_policies.begin(), m_policies.end(),
                           [](const auto& p) { return p->rowwise(); });
    }

    [[nodiscard]] std::optional<named_token> answer(std::span<const float> x) const {
        detail::pack_answer all;
        for (const auto& p : m_policies) { all.add(p->ask(x)); }
        return all.reads ? std::nullopt : all.named;
    }

    flow embedding(const site& where, rows<float> x) { return call(hook::embedding, where, x); }
    flow attention_out(const site& where, rows<float> x) {
        return call(hook::attention_out, where, x);
    }
    flow before(const site& where, rows<float> x) { return call(hook::before, where, x); }
    flow pre_activations(const site& where, rows<float> x) {
        return call(hook::pre_activations, where, x);
    }
    flow coefficients(const site& where, rows<float> x) {
        return call(hook::coefficients, where, x);
    }
    flow after(const site& where, rows<float> x) { return call(hook::after, where, x); }
    flow logits(const site& where, rows<float> x) { return call(hook::logits, where, x); }
    flow read_out(const site& where, rows<float> x) { return call(hook::read_out, where, x); }

private:
    struct base {
        virtual ~base() = default;
        virtual flow call(hook h, const site& where, rows<float> x) = 0;
        [[nodiscard]] virtual bool wants_hook(hook h) const = 0;
        [[nodiscard]] virtual bool rowwise() const = 0;
        [[nodiscard]] virtual detail::pack_answer ask(std::span<const float> x) const = 0;
    };
    template <class P, class Stored>
    struct holder final : base {
        explicit holder(Stored p) : held(static_cast<Stored&&>(p)) {}
        flow call(hook h, const site& where, rows<float> x) override {
            switch (h) {
                case hook::embedding: return call_hooks<hook::embedding>(where, x, ref());
                case hook::attention_out: return call_hooks<hook::attention_out>(where, x, ref());
                case hook::before: return call_hooks<hook::before>(where, x, ref());
                case hook::pre_activations:
                    return call_hooks<hook::pre_activations>(where, x, ref());
                case hook::coefficients: return call_hooks<hook::coefficients>(where, x, ref());
                case hook::after: return call_hooks<hook::after>(where, x, ref());
                case hook::logits: return call_hooks<hook::logits>(where, x, ref());
                case hook::read_out: return call_hooks<hook::read_out>(where, x, ref());
                case hook::none: break;
            }
            return flow::proceed;
        }
        [[nodiscard]] bool wants_hook(hook h) const override {
            return h == hook::pre_activations
                       ? xlens::wants<hook::pre_activations>(std::as_const(held))
                       : contains(P::hooks, h);
        }
        [[nodiscard]] bool rowwise() const override { return xlens::is_rowwise(held); }
        [[nodiscard]] detail::pack_answer ask(std::span<const float> x) const override {
            return detail::ask(x, std::as_const(held));
        }
        P& ref() { return held; }
        Stored held;
    };

    flow call(hook h, const site& where, rows<float> x) {
        flow result = flow::proceed;
        for (const auto& p : m_policies) {
            if (p->call(h, where, x) == flow::stop) { result = flow::stop; }
        }
        return result;
    }

    std::vector<std::unique_ptr<base>> m_policies;
};

}  // namespace xlens
