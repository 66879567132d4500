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

/// Any number of policies chosen at run time, as one. Calls them in the order they were added. What
/// xlens::model reads with: whatever the policies of a program, a pass is compiled once.
class dynamic_policies {
public:
    static constexpr hook hooks = all_hooks;

    dynamic_policies() = default;

    /// Keeps a copy of the policy.
    template <class P>
    void add(P p) {
        if constexpr (check_policy<P>()) {
            m_policies.push_back(std::make_unique<holder<P, P>>(std::move(p)));
        }
    }
    /// Calls a policy that belongs to the caller, who reads it afterwards.
    template <class P>
    void borrow(P& p) {
        if constexpr (check_policy<P>()) {
            m_policies.push_back(std::make_unique<holder<P, P&>>(p));
        }
    }
    /// Several such, in the order in which they are to be called.
    template <class... P>
    [[nodiscard]] static dynamic_policies of(P&... borrowed) {
        dynamic_policies out;
        if constexpr ((check_policy<P>() && ...)) { (out.borrow(borrowed), ...); }
        return out;
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
    void check(const model_sizes& sizes) const {
        for (const auto& p : m_policies) { p->check(sizes); }
    }
    [[nodiscard]] std::optional<named_token> answer(std::span<const float> x) const {
        detail::pack_answer all;
        for (const auto& p : m_policies) { all.add(p->ask(x)); }
        return all.reads ? std::nullopt : all.named;
    }

#define XLENS_HOOK(name) \
    flow name(const site& where, rows<float> x) { return call(hook::name, where, x); }
    XLENS_FOR_EACH_HOOK(XLENS_HOOK)
#undef XLENS_HOOK

private:
    struct base {
        virtual ~base() = default;
        virtual flow call(hook h, const site& where, rows<float> x) = 0;
        virtual void check(const model_sizes& sizes) const = 0;
        [[nodiscard]] virtual bool wants_hook(hook h) const = 0;
        [[nodiscard]] virtual bool rowwise() const = 0;
        [[nodiscard]] virtual detail::pack_answer ask(std::span<const float> x) const = 0;
    };
    template <class P, class Stored>
    struct holder final : base {
        explicit holder(Stored p) : held(static_cast<Stored&&>(p)) {}
        flow call(hook h, const site& where, rows<float> x) override {
            P& p = held;
            return detail::call_one(h, p, where, x);
        }
        void check(const model_sizes& sizes) const override {
            check_fits(std::as_const(held), sizes);
        }
        [[nodiscard]] bool wants_hook(hook h) const override {
            return xlens::wants(h, std::as_const(held));
        }
        [[nodiscard]] bool rowwise() const override { return xlens::is_rowwise(held); }
        [[nodiscard]] detail::pack_answer ask(std::span<const float> x) const override {
            return detail::ask(x, std::as_const(held));
        }
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
